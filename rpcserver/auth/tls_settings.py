"""Whom a side of TLS is, and whom it trusts: certificates, keys, and what is made of them."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpcserver.errors import UsageError

if TYPE_CHECKING:
    import ssl

    from rpcserver.auth.tls_session import Session

logger = logging.getLogger("rpcserver")

SERVER_MODES = ("offer", "require")
CLIENT_MODES = ("try", "require")
CLIENT_CERTS = ("require", "optional")


@dataclass(frozen=True, slots=True)
class TlsClient:
    """How a client uses TLS (RFC 9289).

    ``mode``: ``require`` it, or ``try``: go on in the clear where the server has none.  A server
    that has TLS, but none that can be trusted, is an error in both. ``ca``: a file or directory
    of CA certificates, by default the system's. ``cert`` and ``key``: files with the client's
    own certificate chain and key (one file may have both). ``name``: what the server's
    certificate must be for, by default the host as it was given, name or address;
    ``check_name=False``: any name that the CAs vouch for. ``alpn_required``: insist that the
    server speaks of ``sunrpc`` (the Linux kernel's does not). ``context`` is used as it is, in
    place of ``ca``, ``cert``, ``key`` and ``check_name``; it must leave TLS 1.3 on.
    """

    mode: str = "require"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    name: str | None = None
    check_name: bool = True
    alpn_required: bool = False
    context: ssl.SSLContext | None = None

    @property
    def required(self) -> bool:
        """Whether nothing may go in the clear."""
        return self.mode == "require"

    def made(self) -> ssl.SSLContext:
        """The context for it. Raises ``UsageError`` for files that are missing or broken."""
        if self.mode not in CLIENT_MODES:
            raise UsageError(f"tls is one of {', '.join(CLIENT_MODES)}, not {self.mode!r}")
        if self.context is not None:
            return self.context
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.check_name
        _set(context, self.cert, self.key, self.ca)
        if self.ca is None:
            context.load_default_certs()
        return context


def client_settings(
    tls: str | ssl.SSLContext | TlsClient | None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    name: str | None = None,
) -> TlsClient | None:
    """What a user's ``tls`` and the files beside it mean; ``None`` without any of them.

    Raises ``UsageError`` for another word, and for files beside settings that have their own.
    """
    files = {"ca": ca, "cert": cert, "key": key, "name": name}
    given = {which: value for which, value in files.items() if value is not None}
    if isinstance(tls, TlsClient):
        if given:
            raise UsageError("tls has settings already, so there is no room for tls_ca and others")
        return tls
    if tls is None:
        return TlsClient(**given) if given else None  # type: ignore[arg-type]
    if isinstance(tls, str):
        if tls not in CLIENT_MODES:
            raise UsageError(f"tls is one of {', '.join(CLIENT_MODES)}, not {tls!r}")
        return TlsClient(tls, **given)  # type: ignore[arg-type]
    if given.keys() - {"name"}:
        raise UsageError("an SSLContext has its own certificates: leave tls_ca and others out")
    return TlsClient(name=name, context=tls)


class TlsServer:
    """What a server is in TLS: ``session()`` for each connection.

    The files are looked at again for each, and loaded again when they have changed; if they are
    broken then, the old ones stay, and the log says so. Raises ``UsageError`` for files that are
    missing or broken at first.
    """

    def __init__(
        self,
        cert: str | None,
        key: str | None = None,
        ca: str | None = None,
        *,
        client_cert: str = "require",
        alpn_required: bool = False,
        context: ssl.SSLContext | None = None,
    ) -> None:
        if cert is None and context is None:
            raise UsageError("TLS needs a certificate: tls_cert (and tls_key)")
        if client_cert not in CLIENT_CERTS:
            names = ", ".join(CLIENT_CERTS)
            raise UsageError(f"tls_client_cert is one of {names}, not {client_cert!r}")
        self._cert, self._key, self._ca = cert, key, ca
        self._optional = client_cert == "optional"
        self._alpn_required = alpn_required
        self._own_cert: bytes | None = None
        self._fixed = context is not None
        self._seen = self._files()
        self._context = context or self._made()

    def refresh(self) -> None:
        """Load the files again if they have changed. Never raises."""
        if self._fixed:
            return
        files = self._files()
        if files == self._seen:
            return
        self._seen = files
        try:
            self._context = self._made()
            logger.info("TLS: %s was loaded again", self._cert)
        except UsageError as error:
            logger.error("TLS: %s; what was loaded before is used on", error)

    def session(self) -> Session:
        """The server's side of a new connection."""
        from rpcserver.auth.tls_session import Session

        self.refresh()
        return Session(
            self._context, server=True, alpn_required=self._alpn_required, own_cert=self._own_cert
        )

    def _files(self) -> list[tuple[int, int, int] | None]:
        found: list[tuple[int, int, int] | None] = []
        for path in (self._cert, self._key, self._ca):
            try:
                status = os.stat(path) if path is not None else None
            except OSError:
                status = None
            found.append(status and (status.st_mtime_ns, status.st_size, status.st_ino))
        return found

    def _made(self) -> ssl.SSLContext:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0  # each connection proves anew who it is
        _set(context, self._cert, self._key, self._ca)
        if self._ca is not None:
            context.verify_mode = ssl.CERT_OPTIONAL if self._optional else ssl.CERT_REQUIRED
        assert self._cert is not None
        self._own_cert = _first_certificate(self._cert)
        return context


def _set(context: ssl.SSLContext, cert: str | None, key: str | None, ca: str | None) -> None:
    import ssl

    from rpcserver.auth.tls_session import ALPN

    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])
    reading = ca
    try:
        if ca is not None:
            if os.path.isdir(ca):
                context.load_verify_locations(capath=ca)
            else:
                context.load_verify_locations(cafile=ca)
        reading = cert if key is None else f"{cert} with {key}"
        if cert is not None:
            context.load_cert_chain(cert, key, _no_password)
        elif key is not None:
            raise UsageError("a key without a certificate: tls_cert is missing")
    except ssl.SSLError as error:
        reason = (error.reason or "no certificates in it").replace("_", " ").lower()
        raise UsageError(f"{reading}: {reason}") from None
    except OSError as error:
        raise UsageError(f"{reading}: {error.strerror or error}") from None


def _no_password() -> str:
    """Instead of a question on the terminal."""
    raise UsageError("the key is encrypted: use a context that knows its password")


def _first_certificate(path: str) -> bytes | None:
    import ssl

    with open(path, encoding="latin-1") as file:
        text = file.read()
    start, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    if start < 0 or end < 0:
        return None
    return ssl.PEM_cert_to_DER_cert(text[start : end + len(ssl.PEM_FOOTER)])
