"""What a service or a method demands of the calls that it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rpcserver.errors import AuthError, UsageError

if TYPE_CHECKING:
    from rpcserver.rpc.call import Connection
    from rpcserver.rpc.flavor import Accepted

AUTH_TOOWEAK = 5

Marked = TypeVar("Marked", bound=Callable[..., Any])

GSS_SERVICES = ("none", "integrity", "privacy")
"""The services of RPCSEC_GSS (RFC 2203 section 5), each more than the one before."""

_FLAVORS = {"sys": (1, 2), "gss": (6,)}  # AUTH_SHORT stands for an AUTH_SYS


class Demand(NamedTuple):
    """What ``requires`` was given. ``gss`` is a place in ``GSS_SERVICES``, -1 for no demand;
    ``flavors`` are numbers, empty for no demand."""

    gss: int = -1
    tls: bool = False
    flavors: frozenset[int] = frozenset()

    def check(self, flavor: int, accepted: Accepted, connection: Connection | None) -> None:
        """Raises ``AuthError`` AUTH_TOOWEAK if the call does not bring it; ``flavor`` is that of
        its credential."""
        if self.flavors and flavor not in self.flavors:
            raise _too_weak("another flavor")
        if self.gss > _place(accepted.service):
            raise _too_weak(f"RPCSEC_GSS, with service {GSS_SERVICES[self.gss]} or more")
        if self.tls and (connection is None or connection.tls is None):
            raise _too_weak("TLS")


def requires(
    *, gss: bool | str = False, tls: bool = False, flavor: str | Iterable[str] = ()
) -> Callable[[Marked], Marked]:
    """Mark a method, or a whole service class, as one that demands something of its callers.

    ``gss``: RPCSEC_GSS, with service ``"integrity"`` or ``"privacy"`` or more, ``True`` for any.
    ``tls``: a connection inside TLS. ``flavor``: the credential is ``"sys"`` (or a short one that
    stands for it), ``"gss"``, or one of several: ``flavor=("sys", "gss")`` keeps anonymous callers
    out. What is demanded together, in several decorators, or of the class and its method, must all
    be there; a method that is overridden keeps what its base class demands.

    A call that does not bring it is refused with AUTH_TOOWEAK, before its arguments are decoded.
    Procedure 0 of a class is answered without: pings, and the call that starts TLS (RFC 9289
    section 4.1), come before anything else. Raises ``UsageError`` for an unknown word.
    """
    service = "none" if gss is True else gss
    names = (flavor,) if isinstance(flavor, str) else tuple(flavor)
    if service and service not in GSS_SERVICES:
        raise UsageError(f"gss={gss!r}: it is True or one of {', '.join(GSS_SERVICES)}")
    if unknown := [name for name in names if name not in _FLAVORS]:
        raise UsageError(f"flavor={unknown[0]!r}: it is one of {', '.join(_FLAVORS)}")
    if not (service or tls or names):
        raise UsageError("requires() with nothing that is required")
    flavors = frozenset(number for name in names for number in _FLAVORS[name])
    demand = Demand(_place(service or None), tls, flavors)

    def mark(marked: Marked) -> Marked:
        marked._demands = (*getattr(marked, "_demands", ()), demand)  # type: ignore[attr-defined]
        return marked

    return mark


def demands_of(service: object, method: str, procedure: int) -> tuple[Demand, ...]:
    """What must be there for a call of the procedure that ``method`` of ``service`` answers."""
    found: list[Any] = [getattr(service, method, None)]
    found += [vars(base).get(method) for base in type(service).__mro__]
    if procedure != 0:
        found += type(service).__mro__
    return tuple(dict.fromkeys(one for each in found for one in getattr(each, "_demands", ())))


def _place(service: str | None) -> int:
    return -1 if service is None else GSS_SERVICES.index(service)


def _too_weak(wanted: str) -> AuthError:
    return AuthError(AUTH_TOOWEAK, f"the service demands {wanted}")
