"""What a service method can know about the call it answers, and say about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from rpcserver.rpc.version import Procedure, Version

Marked = TypeVar("Marked", bound=Callable[..., Any])


class Peer(NamedTuple):
    """Who called, as the transport knows it.

    ``transport`` is ``tcp``, ``udp``, ``unix``, ``unixgram`` or ``vsock``; ``address`` and
    ``local`` (where the call came in) are what ``socket`` gives: ``(host, port, ...)`` or a path;
    ``uid`` is the user of a UNIX socket's other end, if the kernel told.
    """

    transport: str
    address: Any
    local: Any = None
    uid: int | None = None

    def __str__(self) -> str:
        address = self.address
        if not isinstance(address, tuple):
            return f"{self.transport}:{address or 'unnamed'}"
        host = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
        return f"{self.transport}://{host}:{address[1]}"


class Connection:
    """The connection that a call came over; ``state`` is the service's own, for as long as it
    lasts."""

    __slots__ = ("_hooks", "state")

    def __init__(self) -> None:
        self.state: dict[Any, Any] = {}
        self._hooks: list[Callable[[], object]] | None = []

    def on_close(self, function: Callable[[], object]) -> None:
        """Have ``function()`` called when the connection is gone, at once if it is gone already.

        It may run in another thread than the method, and must not wait.
        """
        if self._hooks is None:
            function()
        else:
            self._hooks.append(function)

    def closed(self) -> list[Callable[[], object]]:
        """What is to be called now that the connection is gone; nothing if asked again."""
        hooks, self._hooks = self._hooks or [], None
        return hooks


class Call(NamedTuple):
    """What a method can know about the call it answers.

    ``credential`` is what the authentication flavor made of it: ``None`` for AUTH_NONE, a
    ``rpcserver.auth.SysCredential`` for AUTH_SYS. ``deadline`` is the time (``time.monotonic``)
    by which the server wants to have answered, if it has a time limit. ``connection`` is
    ``None`` for datagrams and in other processes.
    """

    peer: Peer
    credential: Any
    xid: int
    version: type[Version]
    procedure: Procedure[Any]
    connection: Connection | None = None
    deadline: float | None = None

    @property
    def transport(self) -> str:
        """The peer's: ``tcp``, ``udp``, ..."""
        return self.peer.transport

    @property
    def prog(self) -> int:
        """The program's number."""
        return self.version._prog

    @property
    def vers(self) -> int:
        """The version's number."""
        return self.version._vers


def blocking(marked: Marked) -> Marked:
    """Mark a method, or a whole service class, as one that takes its time.

    A server with one loop for all connections hands its calls to an executor.
    """
    marked._blocking = True  # type: ignore[attr-defined]
    return marked


def oneway(marked: Marked) -> Marked:
    """Mark a method whose callers wait for no reply (RFC 5531 section 8): none is sent, whatever
    becomes of the call."""
    marked._oneway = True  # type: ignore[attr-defined]
    return marked
