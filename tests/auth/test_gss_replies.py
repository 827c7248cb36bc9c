"""Replies that bring an error are signed as those that bring results (RFC 2203 section 5.3.3.2)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("gssapi", exc_type=ImportError)

import rpcserver
from rpcserver import aio, errors, rpc, xdr
from rpcserver.auth import GssClient
from tests.auth.middle import middle, nothing
from tests.auth.test_gss_servers import SHORT, AsyncEcho, serving
from tests.peers import wire
from tests.peers.realm import Realm
from tests.rpc.echo import ECHO_V2, PROG, EchoClient


class Other(rpc.Version, prog=PROG + 1, vers=2):
    pass


class Newer(rpc.Version, prog=PROG, vers=9):
    pass


MISSING: rpc.Procedure[int] = rpc.Procedure(77, "missing", [], xdr.Int)
ERRORS: dict[type[errors.CallError], tuple[Any, ...]] = {
    errors.ProgUnavail: (Other, MISSING, ()),
    errors.ProgMismatch: (Newer, MISSING, ()),
    errors.ProcUnavail: (ECHO_V2, MISSING, ()),
    errors.GarbageArgs: (ECHO_V2, SHORT, (1,)),
    errors.SystemErr: (ECHO_V2, ECHO_V2.FAIL, (0,)),
}


def start_and_rest(reply: bytes) -> tuple[bytes, bytes, bytes]:
    """Up to the verifier, its body, and what is behind it."""
    end = 20 + int.from_bytes(reply[16:20])
    return reply[:12], reply[20:end], reply[end + -end % 4 :]


def forged(call: bytes, reply: bytes) -> bytes:
    """What somebody says who cannot sign."""
    start, mic, rest = start_and_rest(reply)
    if rest[:4] == bytes(4):
        return reply
    return start + wire.words(6) + wire.opaque(mic[:-1] + bytes([mic[-1] ^ 1])) + rest


def unsigned(call: bytes, reply: bytes) -> bytes:
    """Somebody who does not even try."""
    start, _, rest = start_and_rest(reply)
    return reply if rest[:4] == bytes(4) else start + bytes(8) + rest


def blocking(url: str, credentials: GssClient, *call: Any) -> Any:
    with rpcserver.connect(EchoClient, url, credentials=credentials) as client:
        assert client.add(1, 2) == 3
        return client.channel.call(*call)


def asynchronous(url: str, credentials: GssClient, *call: Any) -> Any:
    async def run() -> Any:
        async with aio.connect(AsyncEcho, url, credentials=credentials) as client:
            assert await client.add(1, 2) == 3
            return await client.channel.call(*call)

    return asyncio.run(run())


@pytest.mark.parametrize("ask", [blocking, asynchronous])
@pytest.mark.parametrize("service", ["none", "integrity", "privacy"])
def test_errors_are_checked(kerberos: Realm, ask: Callable[..., Any], service: str) -> None:
    with serving() as server:
        server.start()
        for change, wanted in (
            (nothing, None),
            (forged, "not what the server sent"),
            (unsigned, "of flavor 0"),
        ):
            with middle(server.endpoints[0], change=change) as between:
                for error, call in ERRORS.items():
                    with pytest.raises(errors.CallError, match=wanted) as raised:
                        ask(between.url, GssClient("nfs@localhost", service), *call)
                    assert type(raised.value) is (errors.BadReply if wanted else error)


def test_a_datagram_that_is_answered_late(kerberos: Realm) -> None:
    """With the answer to what was sent first, whose number is another one."""
    with serving() as server:
        server.start()
        with rpcserver.connect(
            EchoClient, server.endpoints[1], credentials="krb5i:nfs@localhost"
        ) as client:
            assert client.add(1, 2) == 3
            channel = client.channel
            for error, call in ERRORS.items():
                pending = channel.make(*call)
                sent = []
                for _ in range(3):
                    channel._engine.seal([pending])
                    sent.append(pending.message)
                for message in sent[:2]:
                    reply = server.engine.begin(message, PEER, None)
                    if not isinstance(reply, bytes):
                        reply = run(reply)
                    channel._engine.again(pending)
                    assert channel._engine.receive(reply) is pending
                    assert type(pending.error) is error


PEER = rpc.Peer("udp", ("127.0.0.1", 700))


def run(invocation: Any) -> Any:
    try:
        return invocation.reply(invocation.run())
    except Exception as error:  # noqa: BLE001
        return invocation.fail(error)
