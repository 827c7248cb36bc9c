"""What is known about a connection's TLS, and who its certificate says is at the other end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

_HASHES = {  # of certificates' signatures; RFC 5929 section 4.1 wants SHA-256 for the weak ones
    "2a864886f70d010104": "sha256",  # md5WithRSAEncryption
    "2a864886f70d010105": "sha256",  # sha1WithRSAEncryption
    "2a864886f70d01010b": "sha256",
    "2a864886f70d01010c": "sha384",
    "2a864886f70d01010d": "sha512",
    "2a8648ce3d0401": "sha256",  # ecdsa-with-SHA1
    "2a8648ce3d040302": "sha256",
    "2a8648ce3d040303": "sha384",
    "2a8648ce3d040304": "sha512",
}

_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "userId": "UID",
}


@dataclass(frozen=True, slots=True)
class TlsCredential:
    """Who the peer is, by a certificate that was verified.

    ``subject`` is its distinguished name (``CN=alice,O=Example``), ``common_name`` the CN alone;
    ``dns``, ``ips``, ``emails`` and ``uris`` are its subject alternative names; ``issuer`` and
    ``serial`` say which certificate it is, and ``fingerprint`` (SHA-256, hex) does so whatever
    the CA does.
    """

    subject: str
    common_name: str
    dns: tuple[str, ...]
    ips: tuple[str, ...]
    emails: tuple[str, ...]
    uris: tuple[str, ...]
    issuer: str
    serial: str
    fingerprint: str

    @classmethod
    def of(cls, found: Mapping[str, Any], encoded: bytes) -> TlsCredential:
        """That of what ``ssl`` says of a certificate."""
        import hashlib

        names = found.get("subjectAltName", ())

        def of_kind(kind: str) -> tuple[str, ...]:
            return tuple(value for name, value in names if name == kind)

        common = [
            value
            for part in found.get("subject", ())
            for name, value in part
            if name == "commonName"
        ]
        return cls(
            subject=_name(found.get("subject", ())),
            common_name=common[-1] if common else "",
            dns=of_kind("DNS"),
            ips=of_kind("IP Address"),
            emails=of_kind("email"),
            uris=of_kind("URI"),
            issuer=_name(found.get("issuer", ())),
            serial=found.get("serialNumber", ""),
            fingerprint=hashlib.sha256(encoded).hexdigest(),
        )


class TlsInfo:
    """``call.connection.tls``: what is known about the TLS of a connection.

    ``credential`` is the peer's, ``None`` if it showed no certificate: only one that was verified
    gets as far as this. ``version`` is ``TLSv1.3``, ``cipher`` its suite, ``alpn`` the protocol
    that was agreed on, ``sunrpc`` or ``None``.
    """

    __slots__ = ("_ssl", "alpn", "certificate", "cipher", "credential", "server_cert", "version")

    def __init__(self, connection: ssl.SSLObject, own_cert: bytes | None = None) -> None:
        self._ssl = connection
        self.version = connection.version() or ""
        cipher = connection.cipher()
        self.cipher = cipher[0] if cipher else ""
        self.alpn = connection.selected_alpn_protocol()
        self.certificate = connection.getpeercert(binary_form=True)
        self.server_cert = own_cert if connection.server_side else self.certificate
        verified = connection.getpeercert()
        self.credential: TlsCredential | None = None
        if verified and self.certificate is not None:
            self.credential = TlsCredential.of(verified, self.certificate)

    @property
    def verified(self) -> bool:
        """Whether the peer has shown a certificate that a CA of ours vouches for."""
        return self.credential is not None

    @property
    def channel_bindings(self) -> bytes | None:
        """What RPCSEC_GSS binds its contexts to (RFC 5056), with the prefix: that of the server's
        certificate, which every ``ssl`` can tell at both ends."""
        kind = "tls-server-end-point"
        found = self.channel_binding(kind)
        return None if found is None else kind.encode() + b":" + found

    def channel_binding(self, kind: str = "tls-exporter") -> bytes | None:
        """What binds another authentication to this connection; ``None`` where it cannot be told.

        ``tls-server-end-point`` (RFC 5929) is there, unless a context of the user's hides the
        certificate, or its signature has no hash of its own (Ed25519). ``tls-exporter`` (RFC
        9266) needs an ``ssl`` that exports keys, ``tls-unique`` is none of TLS 1.3's.
        """
        if kind == "tls-exporter":
            export = getattr(self._ssl, "export_keying_material", None)
            return export("EXPORTER-Channel-Binding", 32, b"") if export is not None else None
        if kind == "tls-server-end-point" and self.server_cert is not None:
            return _end_point(self.server_cert)
        return None


def _name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """A distinguished name as text, the most specific part first (RFC 4514)."""
    return ",".join(
        "+".join(f"{_SHORT.get(name, name)}={_escaped(value)}" for name, value in part)
        for part in reversed(parts)
    )


def _escaped(value: str) -> str:
    text = "".join(f"\\{each}" if each in ',+"\\<>;=' else each for each in value)
    return text.replace("\0", "\\00")


def _end_point(certificate: bytes) -> bytes | None:
    import hashlib

    try:
        _, inside, _ = _der(certificate, 0)  # Certificate
        _, _, after_tbs = _der(certificate, inside)
        _, algorithm, _ = _der(certificate, after_tbs)
        _, at, end = _der(certificate, algorithm)
    except IndexError:
        return None
    name = _HASHES.get(certificate[at:end].hex())
    return None if name is None else hashlib.new(name, certificate).digest()


def _der(data: bytes, at: int) -> tuple[int, int, int]:
    """The tag at ``at``, where its value starts, and where it ends."""
    tag, size, start = data[at], data[at + 1], at + 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[at + 2 : start])
    return tag, start, start + size
