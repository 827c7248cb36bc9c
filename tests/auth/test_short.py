"""AUTH_SHORT: handed out, taken, forgotten."""

import asyncio
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import rpcserver
from rpcserver import aio, rpc
from rpcserver.auth import ShortTable, SysClient, SysCredential, all_squash
from rpcserver.errors import AuthError
from rpcserver.rpc.flavor import NO_AUTH, Auth
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.server import KINDS
from rpcserver.testing import load
from tests.auth.service import PROG, WHO_V1, AsyncWhoClient, Who, WhoClient, serving
from tests.peers import wire
from tests.peers.need import need_c
from tests.peers.process import until

TRANSPORTS = ("tcp", "udp", "unix", "unixgram")
SHORT: dict[str, Any] = {"short_credentials": 10}
ALICE = SysCredential(1000, 100, (4,), "here", 7)
BODY = wire.auth_sys(1000, 100, [4], b"here", 7)
PEER = rpc.Peer("tcp", ("192.0.2.1", 700))
FULL_CALL = wire.call(PROG, 1, 1, xid=5, flavor=1, body=BODY)
WHO = wire.opaque(b"1000:100:4")


def short_call(body: bytes, xid: int = 6) -> bytes:
    return wire.call(PROG, 1, 1, xid=xid, flavor=2, body=body)


# --- the table --------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def handed_out(table: ShortTable, body: bytes, peer: rpc.Peer = PEER) -> bytes:
    verifier = table.verifier(body, peer)
    assert verifier.flavor == 2
    assert verifier.body[:8] == wire.words(2, 16), "an opaque_auth, as libtirpc wants it"
    return verifier.body


def test_a_handle_stands_for_one_credential_of_one_host() -> None:
    table = ShortTable(10, Clock())
    one, two = handed_out(table, b"one"), handed_out(table, b"two")
    assert one != two
    assert handed_out(table, b"one", PEER._replace(address=("192.0.2.1", 800))) == one
    elsewhere = PEER._replace(address=("192.0.2.2", 700))
    assert handed_out(table, b"one", elsewhere) not in (one, two)
    for body in (one, one[8:]):
        assert table.whole(body, PEER) == b"one"
        assert table.whole(body, PEER._replace(transport="udp")) == b"one"
        assert table.whole(body, elsewhere) is None
        assert table.whole(body, rpc.Peer("unix", "", uid=0)) is None
    assert len(table) == 3


def test_a_handle_of_a_user_of_this_host() -> None:
    table = ShortTable(10, Clock())
    user = rpc.Peer("unix", "", uid=5)
    handle = handed_out(table, b"one", user)
    assert table.whole(handle, user) == b"one"
    assert table.whole(handle, user._replace(uid=6)) is None


def test_the_table_is_bounded() -> None:
    table = ShortTable(3, Clock())
    handles = [handed_out(table, bytes([n])) for n in range(3)]
    assert table.whole(handles[0], PEER) == b"\0", "the first is of use"
    handed_out(table, b"more")
    assert len(table) == 3
    known = [table.whole(handle, PEER) for handle in handles]
    assert known == [b"\0", None, b"\2"]
    for n in range(1000):
        handed_out(table, n.to_bytes(2))
    assert len(table) == len(table._by_body) == 3


def test_a_handle_grows_old() -> None:
    clock = Clock()
    table = ShortTable(3, clock, max_age=60)
    handle = handed_out(table, b"one")
    clock.now = 60
    assert table.whole(handle, PEER) == b"one"
    assert handed_out(table, b"one") == handle
    clock.now = 61
    assert table.whole(handle, PEER) is None
    assert len(table) == 0
    assert handed_out(table, b"one") != handle


# --- the server, by raw bytes -----------------------------------------------------------------


@contextmanager
def exchange(url: str, directory: Path) -> Iterator[Callable[[bytes], wire.Reply]]:
    """Raw calls over one connection, or from one socket."""
    place = parse_url(url)
    with ExitStack() as stack:
        if place.stream:
            address: Any = (place.host, place.port) if place.internet else place.path
            stream = stack.enter_context(wire.Stream(address))

            def ask(record: bytes) -> bytes | None:
                stream.send(wire.frame(record))
                return stream.read_record()
        else:

            def ask(record: bytes) -> bytes | None:
                if place.internet:
                    return wire.udp_exchange((place.host, place.port), record)
                return wire.unixgram_exchange(place.path, record, directory / "own")

        def parsed(record: bytes) -> wire.Reply:
            reply = ask(record)
            assert reply is not None
            return wire.parse_reply(reply)

        yield parsed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_handed_out_and_taken(kind: str, transport: str, tmp_path: Path) -> None:
    with serving(transport, tmp_path, kind, **SHORT) as (url, _):
        with exchange(url, tmp_path) as ask:
            first = ask(FULL_CALL)
            assert first.verf_flavor == 2
            assert first.results == WHO
            assert first.verf_body is not None
            for body in (first.verf_body, first.verf_body[8:], first.verf_body):
                reply = ask(short_call(body))
                assert (reply.verf_flavor, reply.results) == (0, WHO)
            wrong = ask(short_call(bytes(16)))
            assert wrong.auth_stat == 2
            assert ask(short_call(first.verf_body)).results == WHO


def test_of_itself_a_server_hands_out_none(tmp_path: Path) -> None:
    with serving("tcp", tmp_path) as (url, _), exchange(url, tmp_path) as ask:
        assert ask(FULL_CALL).verf_flavor == 0
        assert ask(short_call(bytes(24))).auth_stat == 2


def test_a_policy_is_asked_about_the_whole(tmp_path: Path) -> None:
    with serving("udp", tmp_path, sys_policy=all_squash(3, 4), **SHORT) as (url, _):
        with exchange(url, tmp_path) as ask:
            body = ask(FULL_CALL).verf_body
            assert body is not None
            assert ask(short_call(body)).results == wire.opaque(b"3:4:")


def test_a_refused_credential_gets_none(tmp_path: Path) -> None:
    def nobody(credential: SysCredential, peer: rpc.Peer) -> SysCredential:
        raise AuthError(1)

    with serving("tcp", tmp_path, sys_policy=nobody, **SHORT) as (url, server):
        with exchange(url, tmp_path) as ask:
            assert ask(FULL_CALL).auth_stat == 1
        table = server.engine.flavors[1].short  # type: ignore[attr-defined]
        assert len(table) == 0


def test_a_demand_for_sys_is_met(tmp_path: Path) -> None:
    @rpcserver.requires(flavor="sys")
    class Named(Who):
        pass

    with serving("tcp", tmp_path, service=Named(), **SHORT) as (url, _):
        with exchange(url, tmp_path) as ask:
            body = ask(FULL_CALL).verf_body
            assert body is not None
            assert ask(short_call(body)).results == WHO


# --- the client -------------------------------------------------------------------------------


def sent(client: SysClient) -> tuple[int, bytes]:
    """The credential that the next call will have."""
    call = client.protect(bytes(24), b"")[0]
    size = int.from_bytes(call[28:32])
    return int.from_bytes(call[24:28]), call[32 : 32 + size]


def replied(client: SysClient, verifier: Auth) -> None:
    _, open_reply = client.protect(bytes(24), b"")
    assert open_reply(verifier, b"results") == b"results"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (wire.words(2) + wire.opaque(b"handle"), b"handle"),  # as SunRPC and libtirpc have it
        (b"any bytes", b"any bytes"),  # as RFC 1057 may be read, too
        (wire.words(2) + wire.opaque(b"handle") + b"more", None),
        (wire.words(1) + wire.opaque(b"handle"), None),
        (wire.words(2, 500), None),
        (b"", b""),
    ],
)
def test_what_a_client_makes_of_a_verifier(body: bytes, expected: bytes | None) -> None:
    client = SysClient(ALICE)
    replied(client, Auth(2, body))
    assert sent(client) == (2, body if expected is None else expected)
    assert client.refused(2)
    assert sent(client) == (1, BODY)


def test_a_client_that_was_handed_out_none() -> None:
    client = SysClient(ALICE)
    for verifier in (NO_AUTH, Auth(1, b"x"), Auth(6, b"x")):
        replied(client, verifier)
    assert sent(client) == (1, BODY)
    assert not client.refused(2)
    assert not client.refused(1)


def test_a_client_falls_back_once_for_each_that_is_forgotten() -> None:
    client = SysClient(ALICE)
    _, late = client.protect(bytes(24), b"")
    for n in range(8):
        replied(client, Auth(2, bytes([n])))
        assert sent(client) == (2, bytes([n]))
        assert not client.refused(5), "that the whole one would not mend"
        assert client.refused(2)
        assert client.refused(2), "another call in flight had it, too"
        late(Auth(2, b"of before"), b"")
        assert sent(client) == (1, BODY)
    replied(client, Auth(2, b"one more"))
    assert sent(client) == (1, BODY), "enough of it"


def test_calls_that_nobody_answers_have_the_whole_one() -> None:
    client = SysClient(ALICE)
    replied(client, Auth(2, b"handle"))
    assert client.after_header(True) == (wire.words(1) + wire.opaque(BODY) + bytes(8), None)


def forget(server: Any) -> None:
    """What a restart does."""
    table = server.engine.flavors[1].short
    table._by_handle.clear()
    table._by_body.clear()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "forks"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_users_notice_nothing(kind: str, transport: str, tmp_path: Path) -> None:
    service = Who()
    with serving(transport, tmp_path, kind, service, **SHORT) as (url, server):
        flavor = SysClient(ALICE)
        with rpcserver.connect(WhoClient, url, timeout=10, credentials=flavor) as client:
            for _ in range(2):
                assert client.who() == "1000:100:4"
                assert sent(flavor)[0] == 2
                assert client.who() == "1000:100:4"
                forget(server)
                if transport == "tcp":
                    client.channel._drop(OSError(), client.channel._socket)
            assert client.who() == "1000:100:4"
            forget(server)
            if transport == "tcp":
                client.channel._drop(OSError(), client.channel._socket)
            with client.channel.batch() as batch:
                calls = [batch.call(client.who) for _ in range(20)]
            assert {each.result() for each in calls} == {"1000:100:4"}
            assert client.who() == "1000:100:4"
            assert sent(flavor)[0] == 2
            forget(server)
            rpcserver.using(client, oneway=True).note("heard")
            until("it was heard", lambda: service.notes == ["heard"])


def test_a_load_goes_on_when_the_server_forgets(tmp_path: Path) -> None:
    forgotten: list[int] = []
    with serving("udp", tmp_path, **SHORT) as (url, server):

        def progress(report: load.Report) -> None:
            if report.calls and not forgotten:
                forgotten.append(report.calls)
                forget(server)

        report = load.bench(
            WHO_V1, WHO_V1.WHO, (), url, seconds=0.6, credentials=ALICE, progress=progress
        )
    assert report.calls > forgotten[0] + 100
    assert report.errors == {"AuthError": 1}


def test_nor_do_users_of_asyncio(tmp_path: Path) -> None:
    service = Who()

    async def main(url: str, server: Any) -> None:
        flavor = SysClient(ALICE)
        async with aio.connect(AsyncWhoClient, url, timeout=10, credentials=flavor) as client:
            for _ in range(3):
                whos = await asyncio.gather(*(client.who() for _ in range(20)))
                assert set(whos) == {"1000:100:4"}
                assert sent(flavor)[0] == 2
                forget(server)
            async with client.channel.batch() as batch:
                calls = [batch.call(client.who) for _ in range(20)]
            assert {each.result() for each in calls} == {"1000:100:4"}
            forget(server)
            await rpcserver.using(client, oneway=True).note("heard")
            await asyncio.to_thread(until, "it was heard", lambda: service.notes == ["heard"])

    with serving("udp", tmp_path, service=service, **SHORT) as (url, server):
        asyncio.run(main(url, server))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_workers_that_know_only_their_own(kind: str, transport: str, tmp_path: Path) -> None:
    flavor = SysClient(ALICE)
    with serving(transport, tmp_path, kind, workers=2, **SHORT) as (url, _):
        for _ in range(10):
            with rpcserver.connect(WhoClient, url, timeout=10, credentials=flavor) as client:
                for _ in range(5):
                    assert client.who() == "1000:100:4"


def test_a_server_that_was_restarted(tmp_path: Path) -> None:
    flavor = SysClient(ALICE)
    for _ in range(3):
        with serving("unix", tmp_path, **SHORT) as (url, _):
            with rpcserver.connect(WhoClient, url, timeout=10, credentials=flavor) as client:
                assert client.who() == client.who() == "1000:100:4"
                assert sent(flavor)[0] == 2


@pytest.mark.parametrize("again", [True, False])
def test_a_server_by_hand(again: bool) -> None:
    """It hands out a short credential, forgets it, and takes the whole one again, or no more."""
    seen: list[int] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while mark := connection.recv(4):
                record = connection.recv(int.from_bytes(mark) & 0x7FFFFFFF)
                seen.append(int.from_bytes(record[24:28]))
                if len(seen) == 1 or (again and seen[-1] == 1):
                    verifier = wire.words(2) + wire.opaque(b"handle")
                    reply = wire.words(1, 0) + verifier + wire.words(0) + WHO
                else:
                    reply = wire.words(1, 1, 1, 2)
                connection.sendall(wire.frame(record[:4] + reply))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with rpcserver.connect(WhoClient, url, timeout=10, credentials=ALICE) as client:
            assert client.who() == "1000:100:4"
            if again:
                assert client.who() == client.who() == "1000:100:4"
            else:
                with pytest.raises(AuthError):
                    client.who()
        thread.join()
    assert seen == ([1, 2, 1, 2, 1] if again else [1, 2, 1])


# --- libtirpc ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_c()
    made = tmp_path_factory.mktemp("short") / "short_client"
    source = Path(__file__).with_name("short_client.c")
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libtirpc"], check=True, capture_output=True, text=True
    ).stdout.split()
    subprocess.run(["gcc", "-Wall", "-o", str(made), str(source), *flags], check=True)
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("forgets", [False, True])
def test_libtirpcs_client(
    kind: str, transport: str, forgets: bool, short_client: Path, tmp_path: Path
) -> None:
    seen: list[int] = []
    settings = {**SHORT, "short_max_age": -1.0 if forgets else 60.0}
    with serving(transport, tmp_path, kind, **settings) as (url, server):
        short = server.engine.flavors[2]
        original = short.accept

        def accept(*arguments: Any) -> Any:
            seen.append(1)
            return original(*arguments)

        short.accept = accept  # type: ignore[method-assign, assignment]
        words = [transport, str(parse_url(url).port), str(PROG), "1", "5"]
        done = subprocess.run(
            [str(short_client), *words], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 5
    assert len({who for who, _ in lines}) == 1
    assert lines[0][1] == "2", "it took what it was given"
    # What is known of a connection is handed out no more.
    assert {flavor for _, flavor in lines} <= ({"1", "2"} if forgets else {"2"})
    if kind != "forks" or transport == "udp":
        assert seen, "and sent it"
