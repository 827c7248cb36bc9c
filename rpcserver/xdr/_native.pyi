"""What the C module has; what each does is told where the same is in Python."""

from collections.abc import Callable, Sequence
from socket import socket
from typing import Any

from rpcserver.rpc.pending import PendingCall, PendingT, PythonPending, Way
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

class Datagrams:
    """On Linux alone."""

    def __init__(
        self,
        calls: PlainCalls,
        file: int,
        size: int,
        make_about: Callable[[Any, list[tuple[int, int, bytes]]], About],
        rest: Callable[
            [
                list[tuple[bytes, list[tuple[int, int, bytes]], int, Any, bytes | Ran | None]]
                | OSError
            ],
            object,
        ],
    ) -> None: ...
    @property
    def taken(self) -> int: ...
    def __call__(self) -> None: ...

class Exchange:
    clear: bool
    since: float
    about: About
    def __init__(
        self,
        calls: PlainCalls,
        file: int,
        scratch: memoryview,
        about: About,
        rest: Callable[[tuple[int, int, Any, Ran | None] | OSError | None], object],
    ) -> None: ...
    def __call__(self) -> None: ...

def begin_call(
    cls: type[PendingT],
    way: Way,
    xid: int,
    arguments: tuple[Any, ...],
    resend: bool,
    lenient: bool,
    oneway: bool,
    /,
) -> PendingT: ...
def settle_stream(
    waiting: dict[int, PendingCall],
    data: bytes | memoryview,
    start: int,
    end: int,
    max_record: int,
    /,
) -> tuple[int, list[PendingCall]]: ...
def settle_record(waiting: dict[int, PendingCall], record: bytes, /) -> PendingCall | None: ...
def receive(sock: socket, room: memoryview, milliseconds: int, /) -> int | None: ...
def receive_blocking(sock: socket, room: memoryview, /) -> int | None: ...
def set_patience(sock: socket, milliseconds: int, /) -> None: ...
def offer(sock: socket, part: bytes, /) -> int: ...
def add(cells: memoryview | Sequence[int], index: int, amount: int, /) -> None: ...
