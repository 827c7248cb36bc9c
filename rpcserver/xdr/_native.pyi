"""What the C module has; what each does is told where the same is in Python."""

from collections.abc import Callable, Sequence
from typing import Any

from rpcserver.rpc.plain import About, PythonPlainCalls, Ran
from rpcserver.xdr.reference import Codec as Codec

OPCODES: tuple[str, ...]
SOURCE_HASH: str

class PlainCalls(PythonPlainCalls): ...

class Block:
    def __init__(self, size: int) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def reuse(self, size: int, /) -> None: ...
    def take(self) -> bytes: ...

class Datagrams:
    """On Linux alone."""

    def __init__(
        self,
        calls: PlainCalls,
        file: int,
        size: int,
        make_about: Callable[[Any, list[tuple[int, int, bytes]]], About],
    ) -> None: ...
    def exchange(
        self,
    ) -> tuple[
        int, list[tuple[bytes, list[tuple[int, int, bytes]], int, Any, bytes | Ran | None]]
    ]: ...

def exchange(
    calls: PlainCalls, file: int, scratch: memoryview, about: About, /
) -> bool | tuple[int, int, bytes, Ran | None]: ...
def add(cells: memoryview | Sequence[int], index: int, amount: int, /) -> None: ...
