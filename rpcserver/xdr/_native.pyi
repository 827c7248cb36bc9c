"""The native codec; what it does is what ``reference.Codec`` does."""

from rpcserver.xdr.reference import Codec as Codec

OPCODES: tuple[str, ...]
SOURCE_HASH: str
