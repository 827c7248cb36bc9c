"""What the engines ask of an authentication flavor (RFC 5531 section 8); ``auth/`` has them.

The server side may accept a call (``Accepted``), answer it itself (``Answered``), refuse it
(raise ``AuthError``) or stay silent (``None``). Both sides may wrap what goes over the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from rpcserver.rpc.call import Connection, Peer
    from rpcserver.rpc.message import CallMessage
    from rpcserver.rpc.version import Procedure

AUTH_NONE = 0
MAX_AUTH_BYTES = 400
"""Bytes in the body of a credential or verifier (RFC 5531 section 8.2)."""


class Auth(NamedTuple):
    """A credential or verifier: ``opaque_auth`` with a flavor that may be unknown."""

    flavor: int
    body: bytes


NO_AUTH = Auth(AUTH_NONE, b"")

OpenReply = Callable[[Auth, bytes], bytes]
"""What gets a reply's verifier and results, and returns the plain results"""

AfterHeader = tuple[bytes, OpenReply | None]
"""Credential and verifier, and what opens a reply that has a verifier, if anything does"""


@dataclass(slots=True)
class Accepted:
    """A call whose credential is good.

    ``credential`` becomes ``call.credential``. The plain arguments are ``data`` from ``start``
    on. ``verifier`` goes into the reply, whose results ``wrap``, if given, protects.
    ``lasting``: over the same connection the same bytes have the same outcome. ``service`` is
    what RPCSEC_GSS did for the call: ``"none"``, ``"integrity"``, ``"privacy"``; ``None`` for the
    other flavors. ``garbage``: why the arguments could not be had, if so. ``identity`` is the same
    for all calls of a client, and tells it from the others of its host; ``None`` if the credential
    does not.
    """

    credential: Any
    data: bytes
    start: int
    verifier: Auth = NO_AUTH
    wrap: Callable[[bytes], bytes] | None = None
    lasting: bool = False
    service: str | None = None
    garbage: str | None = None
    identity: bytes | None = None


@dataclass(slots=True)
class Answered:
    """A call that is the flavor's own business, and the results to send."""

    results: bytes
    verifier: Auth = NO_AUTH


@dataclass(slots=True)
class Work:
    """A call that is the flavor's own business, and takes time: ``run()`` gives the answer, or
    raises ``Refused``. It is called where nobody else waits for it."""

    run: Callable[[], Answered | None]


class ServerFlavor(Protocol):
    """The server side of a flavor."""

    flavor: int

    def accept(
        self, call: CallMessage, peer: Peer, connection: Connection | None
    ) -> Accepted | Answered | Work | None:
        """Judge the credential of ``call``, which ``peer`` sent over ``connection`` (``None`` for
        datagrams). ``None`` is silence; raises ``AuthError``."""


class ClientFlavor(Protocol):
    """The client side of a flavor."""

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        """The call message for ``header`` (xid to procedure) and the encoded ``arguments``.

        Also the function that will get the reply's verifier and results, check them, and return
        the plain results; it raises ``BadReply``.
        """
        ...

    def refused(self, stat: int) -> bool:
        """Told that the server refused with ``stat``: whether another try may go better."""
        ...


def after_header(flavor: ClientFlavor, oneway: bool = False) -> AfterHeader | None:
    """What ``flavor`` puts between the header and the arguments of every call (``oneway``: that
    nobody answers), if that is all it does: then nobody need ask it for each.

    The class that has its ``protect`` says so, with a method ``after_header``. It is asked again
    after each reply with a verifier, and after each refusal.
    """
    for cls in type(flavor).__mro__:
        if "protect" in vars(cls):
            fixed: Callable[[Any, bool], AfterHeader] | None = vars(cls).get("after_header")
            return None if fixed is None else fixed(flavor, oneway)
    return None


class Exchange(NamedTuple):
    """A call that a flavor makes for itself, with a credential of its own."""

    procedure: Procedure[Any]
    arguments: tuple[Any, ...]
    flavor: ClientFlavor


@runtime_checkable
class SessionFlavor(ClientFlavor, Protocol):
    """The client side of a flavor that must come to terms with the server first. Each channel has
    one of its own; every message, also one that is sent again, is protected when it is sent."""

    @property
    def ready(self) -> bool:
        """Whether calls can be protected."""
        ...

    @property
    def window(self) -> int:
        """How many calls may be under way at once."""
        ...

    def moved(self, bindings: bytes | None) -> None:
        """Told that calls go over a new connection from now on, which has these channel bindings
        (RFC 5056), if it has any."""
        ...

    def negotiate(self) -> Generator[Exchange, Any, None]:
        """Calls to be made one after the other; each one's result is sent in, or what it raised
        is thrown. What is between them may take time. Raises ``AuthError``."""
        ...

    def farewell(self) -> Exchange | None:
        """What is to be sent before the channel closes; nobody waits for the reply."""
        ...
