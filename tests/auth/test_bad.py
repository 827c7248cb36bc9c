"""Bad credentials: the RFC's answer, one line in the log, nothing decoded, and the server lives."""

import logging
from pathlib import Path

import pytest

from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.server import KINDS
from tests.auth.service import DECODED, PROG, serving
from tests.peers import wire

AUTH_BADCRED, AUTH_REJECTEDCRED, AUTH_BADVERF = 1, 2, 3
BODY = wire.auth_sys(1000, 100, [4, 5], b"machine", 7)
ARGS = wire.opaque(b"never to be decoded")
GOOD = wire.call(PROG, 1, 2, ARGS, flavor=1, body=BODY)
HANDLE = bytes(range(16))


def call(flavor: int, body: bytes = b"", verf: tuple[int, bytes] = (0, b"")) -> bytes:
    return wire.call(
        PROG, 1, 2, ARGS, flavor=flavor, body=body, verf_flavor=verf[0], verf_body=verf[1]
    )


def lying(flavor: int, size: int) -> bytes:
    """A credential that says it has so many bytes."""
    return GOOD[:24] + wire.words(flavor, size) + BODY + bytes(8) + ARGS


def groups(count: int) -> bytes:
    return wire.auth_sys()[:-4] + wire.words(count) + wire.words(*range(min(count, 70)))


BAD: dict[str, tuple[bytes, int]] = {
    "no body": (call(1), AUTH_BADCRED),
    "more than there is": (call(1, BODY + bytes(4)), AUTH_BADCRED),
    "17 groups": (call(1, groups(17)), AUTH_BADCRED),
    "a lie about groups": (call(1, groups(2**32 - 1)), AUTH_BADCRED),
    "a machine of 256 bytes": (call(1, wire.auth_sys(machine=bytes(256))), AUTH_BADCRED),
    "a lie about the machine": (call(1, wire.words(0, 2**32 - 1) + bytes(40)), AUTH_BADCRED),
    "401 bytes": (call(1, bytes(401)), AUTH_BADCRED),
    "a lie about the size": (lying(1, 300), AUTH_BADCRED),
    "a great lie": (lying(1, 2**32 - 1), AUTH_BADCRED),
    "padding": (call(1, BODY[:-21] + b"x" + BODY[-20:]), AUTH_BADCRED),
    "AUTH_DH": (call(3, bytes(100)), AUTH_REJECTEDCRED),
    "RPCSEC_GSS": (call(6, wire.words(1, 1, 0, 1, 0)), AUTH_REJECTEDCRED),
    "AUTH_TLS": (call(7), AUTH_REJECTEDCRED),
    "a flavor nobody knows": (call(390_000), AUTH_REJECTEDCRED),
    "a flavor that is too large": (call(2**32 - 1, b"x"), AUTH_REJECTEDCRED),
    "AUTH_SHORT, nothing": (call(2), AUTH_REJECTEDCRED),
    "AUTH_SHORT, garbage": (call(2, b"garbage"), AUTH_REJECTEDCRED),
    "AUTH_SHORT, guessed": (call(2, HANDLE), AUTH_REJECTEDCRED),
    "AUTH_SHORT, guessed whole": (call(2, wire.words(2, 16) + HANDLE), AUTH_REJECTEDCRED),
    "AUTH_SHORT, long": (call(2, bytes(400)), AUTH_REJECTEDCRED),
    "AUTH_SHORT, longer": (call(2, bytes(404)), AUTH_BADCRED),
    "AUTH_SYS, a verifier": (call(1, BODY, (1, BODY)), AUTH_BADVERF),
    "AUTH_SYS, a verifier of AUTH_SHORT": (call(1, BODY, (2, b"")), AUTH_BADVERF),
    "AUTH_SHORT, a verifier": (call(2, HANDLE, (6, b"x")), AUTH_BADVERF),
    "AUTH_NONE, a verifier": (call(0, b"", (1, BODY)), AUTH_BADVERF),
    "a verifier of 404 bytes": (call(1, BODY, (0, bytes(404))), AUTH_BADVERF),
    "no verifier": (GOOD[: 32 + len(BODY)], AUTH_BADVERF),
    "half a verifier": (GOOD[: 36 + len(BODY)], AUTH_BADVERF),
}
BAD |= {f"body cut at {size}": (call(1, BODY[:size]), AUTH_BADCRED) for size in range(len(BODY))}
BAD |= {f"call cut at {24 + n}": (GOOD[: 24 + n], AUTH_BADCRED) for n in range(8 + len(BODY))}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("short", [0, 10])
def test_bad_credentials(
    kind: str, transport: str, short: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rpcserver")
    DECODED.clear()
    settings = {"short_credentials": short} if short else {}
    with serving(transport, tmp_path, kind, **settings) as (url, server):
        place = parse_url(url)
        address = place.host, place.port
        if transport == "tcp":
            exchanged = wire.stream_exchange(address, *(record for record, _ in BAD.values()))
        else:
            found = [wire.udp_exchange(address, record) for record, _ in BAD.values()]
            exchanged = [reply for reply in found if reply is not None]
        assert len(exchanged) == len(BAD)
        for name, reply in zip(BAD, exchanged, strict=True):
            parsed = wire.parse_reply(reply)
            expected = BAD[name][1]
            if short == 0 and name == "AUTH_SHORT, a verifier":
                expected = AUTH_REJECTEDCRED  # no such flavor
            assert (parsed.xid, parsed.auth_stat) == (1, expected), name
        assert DECODED == []
        exchange = wire.tcp_exchange if transport == "tcp" else wire.udp_exchange
        last = exchange(address, GOOD)
        assert last is not None
        assert wire.parse_reply(last).results == ARGS
        outcomes = {name for each in server.stats().calls for name in each.outcomes}
        assert outcomes == {"AUTH_ERROR", "SUCCESS"}
    DECODED.clear()
    if kind != "forks" or transport == "udp":
        lines = [each.getMessage() for each in caplog.records]
        assert len(lines) == len(BAD), "one line each"


@pytest.mark.parametrize("kind", KINDS)
def test_no_handle_is_logged(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving("udp", tmp_path, kind, short_credentials=10) as (url, server):
        place = parse_url(url)
        address = place.host, place.port
        bodies = []
        for body in (BODY, BODY[:4] + BODY[4:]):
            reply = wire.udp_exchange(address, call(1, body))
            assert reply is not None
            bodies.append(wire.parse_reply(reply).verf_body or b"")
        handle = bodies[0][8:]
        assert len(handle) == 16
        for damaged in (handle[:-1], handle + b"x", handle[::-1], bodies[0][1:]):
            reply = wire.udp_exchange(address, call(2, damaged))
            assert reply is not None
            assert wire.parse_reply(reply).auth_stat == AUTH_REJECTEDCRED
    DECODED.clear()
    text = caplog.text + repr(server.engine.flavors)
    for shown in (handle, handle[::-1]):
        assert shown.hex() not in text
        assert repr(shown)[2:-1] not in text
    assert "a short credential that is not known" in caplog.text
