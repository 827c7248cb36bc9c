"""What the C module has; what each does is told where the same is in Python."""

from collections.abc import Sequence

from rpcserver.rpc.pending import PythonPending
from rpcserver.rpc.pending import python_begin_call as begin_call
from rpcserver.rpc.pending import python_settle_record as settle_record
from rpcserver.rpc.pending import python_settle_stream as settle_stream
from rpcserver.rpc.plain import About, PythonPlainCalls, Ran
from rpcserver.xdr.reference import Codec as Codec

OPCODES: tuple[str, ...]
SOURCE_HASH: str

class PlainCalls(PythonPlainCalls): ...

class Pending(PythonPending): ...

class Block:
    def __init__(self, size: int) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def reuse(self, size: int, /) -> None: ...
    def take(self) -> bytes: ...

def exchange(
    calls: PlainCalls, file: int, scratch: memoryview, about: About, /
) -> bool | tuple[int, int, bytes, Ran | None]: ...
def add(cells: memoryview | Sequence[int], index: int, amount: int, /) -> None: ...
