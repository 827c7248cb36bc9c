"""The table in the documentation says what is so."""

from pathlib import Path

import pytest

import rpcserver
from rpcserver.errors import AuthError, UsageError
from rpcserver.rpcbind.netid import parse_url
from tests.auth.certs import Certs
from tests.auth.secure import AUTH_REJECTEDCRED, AUTH_TLS, PROG, WhoClient, served
from tests.peers import wire

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "tls.md"
URLS = {
    "TCP": "tcp://127.0.0.1:0",
    "UNIX streams": "unix://{}/sock",
    "UDP": "udp://127.0.0.1:0",
    "UNIX datagrams": "unixgram://{}/sock",
}


def table() -> list[tuple[str, str, str]]:
    """Kind, transport, what is said of it."""
    _, _, text = PAGE.read_text().partition("## What works where\n")
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("|")]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return [
        (kind, transport, cell)
        for kind, *cells in rows[2:]
        for transport, cell in zip(rows[0][1:], cells, strict=True)
    ]


def test_all_are_there() -> None:
    kinds = {kind for kind, _, _ in table()}
    assert kinds == {"sync", "threads", "forks", "select", "asyncio", "workers"}
    assert len(table()) == len(kinds) * len(URLS)


@pytest.mark.parametrize(("kind", "transport", "said"), table())
def test_it_is_so(kind: str, transport: str, said: str, certs: Certs, tmp_path: Path) -> None:
    kind = "prefork" if kind == "workers" else kind
    listen = URLS[transport].format(tmp_path)
    if said == "works":
        with served(kind, listen=listen, tls_cert=certs.server, tls_ca=certs.ca) as server:
            (url,) = server.endpoints
            with rpcserver.connect(
                WhoClient, url, tls_ca=certs.ca, tls_cert=certs.client
            ) as client:
                assert client.who() == "TLSv1.3 sunrpc True alice"
            with rpcserver.connect(WhoClient, url) as client:
                with pytest.raises(AuthError, match="AUTH_TOOWEAK"):
                    client.who()
        return
    assert said == "none"
    with pytest.raises(UsageError, match="datagrams have no TLS"):
        with served(kind, listen=listen, tls_cert=certs.server):
            pass
    with served(kind, listen=listen, tls="offer", tls_cert=certs.server) as server:
        (url,) = server.endpoints
        with rpcserver.connect(WhoClient, url, tls="try", tls_ca=certs.ca) as client:
            assert client.who() == "clear"
        place = parse_url(url)
        if place.internet:
            call = wire.call(PROG, 1, 0, flavor=AUTH_TLS)
            reply = wire.udp_exchange((place.host, place.port), call)
            assert reply is not None
            assert wire.parse_reply(reply).auth_stat == AUTH_REJECTEDCRED
