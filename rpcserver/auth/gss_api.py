"""What RPCSEC_GSS needs of GSS-API (RFC 2743), from the package ``gssapi``, which is loaded here
when it is first used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, NamedTuple

from rpcserver.errors import UsageError

S_COMPLETE = 0
S_CONTINUE_NEEDED = 1
S_NO_CONTEXT = 8 << 16
S_CONTEXT_EXPIRED = 12 << 16
S_FAILURE = 13 << 16

_SUPPLEMENTARY = 0xFFFF  # duplicate, old, out of order: a number of RPCSEC_GSS says so, too

MECHANISMS = {"krb5": "1.2.840.113554.1.2.2"}
"""names of mechanisms; any other is its object identifier, dotted"""

_NAMES = {oid: name for name, oid in MECHANISMS.items()}

Lock = AbstractContextManager[Any]


class Failure(Exception):
    """GSS-API refused; the text is the library's, and holds no token."""

    def __init__(self, text: str, major: int = S_FAILURE) -> None:
        super().__init__(text)
        self.major = major

    @property
    def expired(self) -> bool:
        """Whether the context is at the end of its time."""
        return self.major & ~_SUPPLEMENTARY in (S_CONTEXT_EXPIRED, S_NO_CONTEXT)


class Step(NamedTuple):
    """What a leg of the way to a context has brought. ``seconds`` is how long it will last,
    ``None``: without end."""

    context: Any
    token: bytes
    done: bool
    name: Any
    mechanism: str
    seconds: float | None


def api() -> Any:
    """The package. Raises ``UsageError`` if it is not there."""
    try:
        return import_module("gssapi")
    except ImportError as error:
        raise UsageError(
            f"RPCSEC_GSS needs the package gssapi: pip install 'rpcserver[gss]' ({error})"
        ) from None


def _raw() -> Any:
    return api().raw


def _failed(error: Any) -> Failure:
    text = " ".join(str(error).split())
    return Failure(text, int(getattr(error, "maj_code", S_FAILURE)))


def _errors() -> Any:
    return api().exceptions.GSSError


def mechanism_name(oid: Any) -> str:
    """``krb5``, or the dotted form of another mechanism."""
    dotted = str(oid.dotted_form)
    return _NAMES.get(dotted, dotted)


def mechanism(name: str | None) -> Any:
    """The mechanism with that name. Raises ``UsageError``."""
    if name is None:
        name = "krb5"
    try:
        return _raw().OID.from_int_seq(MECHANISMS.get(name, name))
    except ValueError:
        text = f"{name!r} is no mechanism of GSS-API: krb5, or an object identifier with dots"
        raise UsageError(text) from None


def service_name(name: str) -> Any:
    """``nfs@host``, or a principal (``nfs/host@REALM``). Raises ``Failure``."""
    types = api().NameType
    kind = types.kerberos_principal if "/" in name else types.hostbased_service
    try:
        return _raw().import_name(name.encode(), kind)
    except _errors() as error:
        raise _failed(error) from None


def display(name: Any) -> str:
    """A name as text: the principal."""
    shown: bytes = _raw().display_name(name, False).name
    return shown.decode("utf-8", "surrogateescape")


def acceptor(name: str | None, keytab: str | None, mechanisms: Sequence[str]) -> Any:
    """The credentials to accept with. Raises ``Failure``."""
    raw = _raw()
    try:
        wanted = None if name is None else service_name(name)
        mechs = [mechanism(each) for each in mechanisms]
        if keytab is not None:
            store = {b"keytab": keytab.encode()}
            return raw.acquire_cred_from(store, wanted, mechs=mechs, usage="accept").creds
        return raw.acquire_cred(wanted, mechs=mechs, usage="accept").creds
    except _errors() as error:
        raise _failed(error) from None


def initiator(principal: str | None, ccache: str | None) -> Any:
    """The credentials to initiate with; ``None``: whatever is there. Raises ``Failure``."""
    if principal is None and ccache is None:
        return None
    raw = _raw()
    try:
        name = None
        if principal is not None:
            name = raw.import_name(principal.encode(), api().NameType.user)
        if ccache is not None:
            store = {b"ccache": ccache.encode()}
            return raw.acquire_cred_from(store, name, usage="initiate").creds
        return raw.acquire_cred(name, usage="initiate").creds
    except _errors() as error:
        raise _failed(error) from None


def accept(token: bytes, credentials: Any, context: Any) -> Step:
    """A leg of the acceptor. Raises ``Failure``."""
    try:
        done = _raw().accept_sec_context(token, credentials, context)
    except _errors() as error:
        raise _failed(error) from None
    mech = mechanism_name(done.mech) if done.mech is not None else ""
    return Step(
        done.context,
        done.token or b"",
        not done.more_steps,
        done.initiator_name,
        mech,
        done.lifetime,
    )


def initiate(target: Any, mech: Any, credentials: Any, context: Any, token: bytes | None) -> Step:
    """A leg of the initiator. Raises ``Failure``."""
    flag = api().RequirementFlag
    # Neither replay nor sequence detection: that is for the window (RFC 2203 section 5.2.2).
    flags = [flag.mutual_authentication, flag.integrity, flag.confidentiality]
    try:
        done = _raw().init_sec_context(target, credentials, context, mech, flags, input_token=token)
    except _errors() as error:
        raise _failed(error) from None
    return Step(done.context, done.token or b"", not done.more_steps, None, "", done.lifetime)


class Protection:
    """An established context: signs, wraps, and checks. Raises ``Failure``.

    ``lock``: held meanwhile, for contexts that threads share.
    """

    def __init__(self, context: Any, lock: Lock | None = None) -> None:
        raw = _raw()
        self._context = context
        self._lock = lock or nullcontext()
        self._error = _errors()
        self._get_mic, self._verify_mic = raw.get_mic, raw.verify_mic
        self._wrap, self._unwrap, self._time = raw.wrap, raw.unwrap, raw.context_time

    def sign(self, message: bytes) -> bytes:
        """The MIC of ``message``."""
        try:
            with self._lock:
                mic: bytes = self._get_mic(self._context, message)
                return mic
        except self._error as error:
            raise _failed(error) from None

    def check(self, message: bytes, mic: bytes) -> None:
        """Raises ``Failure`` unless ``mic`` is that of ``message``."""
        try:
            with self._lock:
                self._verify_mic(self._context, message, mic)
        except self._error as error:
            if error.maj_code & ~_SUPPLEMENTARY:
                raise _failed(error) from None

    def wrap(self, message: bytes) -> bytes:
        """``message``, encrypted."""
        try:
            with self._lock:
                wrapped, encrypted = self._wrap(self._context, message, True)
        except self._error as error:
            raise _failed(error) from None
        if not encrypted:
            raise Failure("the mechanism does not encrypt")
        return bytes(wrapped)

    def unwrap(self, wrapped: bytes) -> bytes:
        """What was wrapped, if it was encrypted."""
        try:
            with self._lock:
                message, encrypted, _ = self._unwrap(self._context, wrapped)
        except self._error as error:
            raise _failed(error) from None
        if not encrypted:
            raise Failure("it is signed, and not encrypted")
        return bytes(message)

    @property
    def over(self) -> bool:
        """Whether its time is over."""
        try:
            with self._lock:
                left = self._time(self._context)
        except self._error:
            return True
        return left is not None and left <= 0
