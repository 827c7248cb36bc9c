"""What a service method can know about the call it answers, and say about itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rpcserver.errors import UsageError
from rpcserver.rpc.version import AsyncClient, Channel, Client

if TYPE_CHECKING:
    from rpcserver.rpc.version import Procedure, Version

ClientT = TypeVar("ClientT", bound=Client | AsyncClient)
Marked = TypeVar("Marked", bound=Callable[..., Any])


class Peer(NamedTuple):
    """Who called, as the transport knows it.

    ``transport`` is ``tcp``, ``udp``, ``unix``, ``unixgram`` or ``vsock``; ``address`` and
    ``local`` (where the call came in) are what ``socket`` gives: ``(host, port, ...)`` or a path;
    ``uid``, ``gid`` and ``groups`` are those of a UNIX socket's other end, as far as the kernel
    told.
    """

    transport: str
    address: Any
    local: Any = None
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None

    @property
    def place(self) -> Any:
        """What of it stays the same over connections: the host, or the user of a UNIX socket."""
        address = self.address
        return address[0] if isinstance(address, tuple) and address else (self.transport, self.uid)

    def __str__(self) -> str:
        address = self.address
        if not isinstance(address, tuple):
            return f"{self.transport}:{address or 'unnamed'}"
        host = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
        return f"{self.transport}://{host}:{address[1]}"


class Connection:
    """The connection that a call came over; ``state`` is the service's own, for as long as it
    lasts.

    ``tls`` is what is known about its TLS, ``None`` without. ``way_back`` makes the channel of
    the server's calls over it, ``way_back(True)`` that of asyncio's clients.
    """

    __slots__ = ("_hooks", "_name", "_way_back", "state", "tls")

    def __init__(self, way_back: Callable[[bool], Channel] | None = None) -> None:
        self.state: dict[Any, Any] = {}
        self.tls: Any = None
        self._name = b""
        self._way_back = way_back
        self._hooks: list[Callable[[], object]] | None = []

    def client(self, client_class: type[ClientT], **options: Any) -> ClientT:
        """A client that calls whoever made the connection, over the same connection.

        It may be used for as long as the connection lasts, from any thread. ``options``: those
        of ``using``, ``timeout`` and ``oneway``; and ``flavor``, from ``rpcserver.auth``, whose
        credential to send. Its calls raise ``UsageError`` where nobody would read the replies.
        """
        if self._way_back is None:
            raise UsageError(
                "this connection is no way back: connect to an address that the caller tells"
            )
        return client_class(self._way_back(issubclass(client_class, AsyncClient)), **options)

    @property
    def name(self) -> bytes:
        """What no other connection is called, of no process."""
        self._name = self._name or os.urandom(16)
        return self._name

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

    ``credential`` is what the authentication flavor made of it: ``None`` for AUTH_NONE (or the
    ``rpcserver.auth.TlsCredential`` of the connection, if its client has shown a certificate), a
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

    def client(self, client_class: type[ClientT], **options: Any) -> ClientT:
        """A client that calls the caller, over the connection of this call; see
        ``Connection.client``. Raises ``UsageError`` if the call has none."""
        if self.connection is None:
            raise UsageError(
                f"no connection to call back over: a call over {self.transport} has none here (a"
                " datagram never has, nor has a call in another process): connect to an address"
                " that the caller tells"
            )
        return self.connection.client(client_class, **options)

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


def idempotent(marked: Marked) -> Marked:
    """Mark a method, or a whole service class, whose calls may run twice: the second time nothing
    more happens, and the result is as good.

    A server that remembers its replies (``reply_cache``) does so for all others.
    """
    marked._idempotent = True  # type: ignore[attr-defined]
    return marked


def buffers(marked: Marked) -> Marked:
    """Mark a method, or a whole service class, as one that takes large data as they came.

    Its opaque arguments are ``memoryview`` instead of ``bytes``, not copied out of the record;
    arrays of int, hyper, float and double are an ``array.array`` instead of a list.
    """
    marked._buffers = True  # type: ignore[attr-defined]
    return marked


def oneway(marked: Marked) -> Marked:
    """Mark a method whose callers wait for no reply (RFC 5531 section 8): none is sent, whatever
    becomes of the call."""
    marked._oneway = True  # type: ignore[attr-defined]
    return marked
