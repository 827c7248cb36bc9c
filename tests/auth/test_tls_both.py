"""Our clients and our servers: what is refused has a clear reason at both ends (RFC 9289)."""

import logging
import ssl
from typing import Any

import pytest

from rpcserver.auth import TlsClient
from rpcserver.errors import NotReached, TlsError
from tests.auth.certs import Certs
from tests.auth.foreign import context as server_context
from tests.auth.secure import context, served
from tests.auth.test_tls_clients import Echo, asynchronous, blocking
from tests.peers.process import until

two_kinds = pytest.mark.parametrize("kind", ["threads", "select"])


@two_kinds
@pytest.mark.parametrize("echo", [blocking, asynchronous])
@pytest.mark.parametrize(
    ("cert", "ca", "told", "logged"),
    [
        ("server", "other_ca", "unable to get local issuer", "refuses: unknown ca"),
        ("strange_server", "ca", "unable to get local issuer", "refuses: unknown ca"),
        ("elsewhere", "ca", "IP address mismatch", "refuses: bad certificate"),
        ("late_server", "ca", "certificate has expired", "refuses: certificate expired"),
    ],
)
def test_certificates_of_servers(
    kind: str,
    echo: Echo,
    cert: str,
    ca: str,
    told: str,
    logged: str,
    certs: Certs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(kind, tls_cert=getattr(certs, cert)) as server:
        refused(echo, server.endpoints[0], told, tls_ca=getattr(certs, ca))
        once(logged, caplog)


@two_kinds
@pytest.mark.parametrize("echo", [blocking, asynchronous])
@pytest.mark.parametrize(
    ("cert", "told", "logged"),
    [
        ("strange_client", "refuses: unknown ca", "unable to get local issuer"),
        ("late_client", "refuses: certificate expired", "certificate has expired"),
        (None, "refuses: certificate required", "did not return a certificate"),
    ],
)
def test_certificates_of_clients(
    kind: str,
    echo: Echo,
    cert: str | None,
    told: str,
    logged: str,
    certs: Certs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(kind, tls_cert=certs.server, tls_ca=certs.ca) as server:
        mine = None if cert is None else getattr(certs, cert)
        refused(echo, server.endpoints[0], told, tls_ca=certs.ca, tls_cert=mine)
        once(logged, caplog)


@two_kinds
@pytest.mark.parametrize("echo", [blocking, asynchronous])
def test_versions_and_alpn(
    kind: str, echo: Echo, certs: Certs, caplog: pytest.LogCaptureFixture
) -> None:
    old = context(certs.ca, maximum_version=ssl.TLSVersion.TLSv1_2)
    silent = ssl.create_default_context(cafile=certs.ca)
    with served(kind, tls_cert=certs.server) as server:
        refused(echo, server.endpoints[0], "refuses: protocol version", tls=old)
        once("unsupported protocol", caplog)
    # ``ssl`` cannot send the alert that says why.
    caplog.clear()
    with served(kind, tls_cert=certs.server, tls_alpn_required=True) as server:
        with pytest.raises(NotReached, match="closed"):
            echo(server.endpoints[0], tls=silent)
        once("does not speak of the protocol sunrpc", caplog)
    # A server that does not, with a context of its user's own, since ours always does.
    theirs = server_context(certs.server, minimum_version=ssl.TLSVersion.TLSv1_3)
    theirs.set_alpn_protocols(["h2"])
    with served(kind, tls_context=theirs) as server:
        insisting = TlsClient(ca=certs.ca, alpn_required=True)
        refused(echo, server.endpoints[0], "does not speak of the protocol sunrpc", tls=insisting)


def refused(echo: Echo, url: str, told: str, **options: Any) -> None:
    with pytest.raises(TlsError, match=told) as caught:
        echo(url, **options)
    assert str(caught.value).startswith(url)


def once(logged: str, caplog: pytest.LogCaptureFixture) -> None:
    until(logged, lambda: logged in caplog.text)
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) == 1
