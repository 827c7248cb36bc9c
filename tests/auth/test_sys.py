"""AUTH_SYS: its limits on both sides, policies, and what the kernel says."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import rpcserver
from rpcserver import auth, rpc
from rpcserver.auth import SysClient, SysCredential, SysServer
from rpcserver.errors import AuthError, UsageError, XdrError
from rpcserver.rpc.message import parse_call
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers import SysMixIn, TCPServer
from rpcserver.servers.server import KINDS
from tests.auth.service import PROG, Who, WhoClient, serving
from tests.peers import wire
from tests.servers.facts import running

PEER = rpc.Peer("tcp", ("192.0.2.1", 700))
ALICE = SysCredential(1000, 100, (100, 4), "here", 7)
MOST = SysCredential(2**32 - 1, 2**32 - 1, tuple(range(16)), "m" * 255, 2**32 - 1)


def claimed(uid: int, gid: int, groups: tuple[int, ...]) -> SysCredential:
    return SysCredential(uid, gid, groups, "here", 7)


def accepted(flavor: Any, credential: SysCredential, peer: rpc.Peer = PEER) -> Any:
    header = wire.words(1, 0, 2, PROG, 1, 1)
    call = parse_call(SysClient(credential).protect(header, b"")[0])
    assert call is not None
    return flavor.accept(call, peer, None)


def test_what_fits() -> None:
    message, _ = SysClient(MOST).protect(bytes(24), b"")
    body = wire.auth_sys(2**32 - 1, 2**32 - 1, range(16), b"m" * 255, 2**32 - 1)
    assert message == bytes(24) + wire.words(1) + wire.opaque(body) + bytes(8)
    assert len(body) == 340, "400 is never reached"
    assert accepted(SysServer(), MOST).credential == MOST


@pytest.mark.parametrize(
    "credential",
    [
        SysCredential(0, 0, tuple(range(17))),
        SysCredential(0, 0, (), "m" * 256),
        SysCredential(0, 0, (), "é" * 128),
        SysCredential(-1, 0),
        SysCredential(0, 2**32),
    ],
)
def test_a_client_sends_nothing_over_a_limit(credential: SysCredential) -> None:
    with pytest.raises(XdrError):
        SysClient(credential)


def test_the_effective_user_is_who_calls() -> None:
    """RFC 5531 appendix A."""
    if os.geteuid() != 0:
        pytest.skip("to have two users takes root")
    code = (
        "import os; os.setregid(7, 8); os.setreuid(1, 2)\n"
        "from rpcserver.auth import SysCredential\n"
        "c = SysCredential.current(); print(c.uid, c.gid)"
    )
    # Imported before, by root: the other user may not be able to read it.
    code = "import rpcserver.auth\n" + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 8\n"


@pytest.mark.parametrize(
    ("policy", "who", "expected"),
    [
        (auth.root_squash(), (0, 0, (0, 5)), (65534, 65534, (65534, 5))),
        (auth.root_squash(99, 98), (0, 7, (1, 0)), (99, 7, (1, 98))),
        (auth.root_squash(), (1000, 0, ()), (1000, 65534, ())),
        (auth.root_squash(), (1000, 100, (4,)), (1000, 100, (4,))),
        (auth.all_squash(), (1000, 100, (4,)), (65534, 65534, ())),
        (auth.all_squash(5, 6), (0, 0, (0,)), (5, 6, ())),
        (auth.in_turn(auth.root_squash(3), auth.root_squash(4)), (0, 1, ()), (3, 1, ())),
    ],
)
def test_ready_made_policies(policy: auth.Policy, who: Any, expected: Any) -> None:
    credential = claimed(*who)
    found = accepted(SysServer(policy), credential)
    assert found.credential == claimed(*expected)
    assert found.lasting


def by_uid(credential: SysCredential, peer: rpc.Peer) -> Any:
    if credential.uid == 5:
        raise AuthError(5)
    if credential.uid == 6:
        raise KeyError("a mistake of the policy's own")
    return SysCredential(credential.uid + 1, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", ["tcp", "udp", "unix", "unixgram"])
def test_a_policy_under_every_kind(
    kind: str, transport: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(transport, tmp_path, kind, sys_policy=by_uid) as (url, _):

        def calls(uid: int) -> list[str]:
            who = SysCredential(uid, 1)
            with rpcserver.connect(WhoClient, url, timeout=10, credentials=who) as client:
                return [client.who() for _ in range(3)]

        assert calls(1000) == ["1001:0:"] * 3
        for uid, stat in ((5, 5), (6, 7)):
            with pytest.raises(AuthError) as error:
                calls(uid)
            assert error.value.stat == stat
        with rpcserver.connect(WhoClient, url, timeout=10) as client:
            assert client.who() == "nobody"


def test_a_policy_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AuthError) as error:
        accepted(SysServer(by_uid), SysCredential(6, 6))
    assert error.value.stat == 7
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert "a mistake of the policy's own" in str(record.exc_info[1])


@pytest.mark.parametrize(
    ("mark", "asked"),
    [
        (lambda policy: policy, 1),
        (auth.each_call, 5),
        (lambda p: auth.in_turn(auth.each_call(p)), 5),
    ],
)
def test_how_often_a_policy_is_asked(
    mark: Callable[[auth.Policy], auth.Policy], asked: int, tmp_path: Path
) -> None:
    calls: list[int] = []

    def policy(credential: SysCredential, peer: rpc.Peer) -> SysCredential:
        calls.append(credential.uid)
        if len(calls) == 4:
            raise AuthError(1)
        return credential

    with serving("tcp", tmp_path, sys_policy=mark(policy)) as (url, _):
        with rpcserver.connect(WhoClient, url, timeout=10, credentials=ALICE) as client:
            refused = 0
            for _ in range(5):
                try:
                    client.who()
                except AuthError:
                    refused += 1
    assert len(calls) == asked
    assert refused == (asked > 1)


def test_as_a_mix_in() -> None:
    class Squashing(SysMixIn, TCPServer):
        sys_policy = auth.all_squash(3, 4)

    with running(Squashing(("127.0.0.1", 0), [Who()])) as place:
        with rpcserver.connect(WhoClient, place.url, timeout=10, credentials=ALICE) as client:
            assert client.who() == "3:4:"


def test_settings_of_the_mix_in(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no setting 'sys_polcy'"):
        with serving("tcp", tmp_path, sys_polcy=None):
            pass


# --- what the kernel says ---------------------------------------------------------------------


def call_with(url: str, credential: SysCredential) -> str:
    with rpcserver.connect(WhoClient, url, timeout=10, credentials=credential) as client:
        return client.who()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", ["unix", "unixgram"])
def test_the_kernel_must_agree(kind: str, transport: str, tmp_path: Path) -> None:
    uid, gid = os.geteuid(), os.getegid()
    with serving(transport, tmp_path, kind, peer_credentials=True) as (url, _):
        assert call_with(url, SysCredential(uid, gid)) == f"{uid}:{gid}:"
        for wrong in (SysCredential(uid + 1, gid), SysCredential(uid, gid + 1)):
            with pytest.raises(AuthError) as error:
                call_with(url, wrong)
            assert error.value.stat == 1
        # A group that nobody confirms is left out.
        groups = tuple(sorted({*os.getgroups(), gid, 4_000_000}))
        known = {gid} if transport == "unixgram" else {*os.getgroups(), gid}
        expected = ",".join(str(each) for each in groups[:16] if each in known)
        if len(groups) <= 16:
            assert call_with(url, SysCredential(uid, gid, groups)) == f"{uid}:{gid}:{expected}"


CALLER = """
import os, sys, rpcserver
from rpcserver.auth import SysCredential
from tests.auth.service import WhoClient
def ask(*claim):
    who = SysCredential(*claim)
    with rpcserver.connect(WhoClient, sys.argv[1], timeout=10, credentials=who) as client:
        return client.who()
ask(0, os.getegid())  # with all that has to be imported, which the other may not read
os.setgroups([10, 20, 30]); os.setgid(5); os.setuid(7)
print(ask(7, 5, (20, 40, 5, 10)), ask(7, 5, (0, 40)))
"""


@pytest.mark.parametrize("transport", ["unix", "unixgram"])
def test_groups_that_the_kernel_knows_are_left(transport: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("to be somebody else takes root")
    with ExitStack() as stack:
        # pytest's directories are their owner's alone.
        directory = Path(stack.enter_context(TemporaryDirectory()))
        directory.chmod(0o755)
        url, _ = stack.enter_context(serving(transport, directory, peer_credentials=True))
        (directory / "sock").chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", CALLER, url],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    expected = ["7:5:20,5,10", "7:5:"] if transport == "unix" else ["7:5:5", "7:5:"]
    assert done.stdout.split() == expected, done.stderr


def test_of_itself_it_need_not(tmp_path: Path) -> None:
    with serving("unix", tmp_path) as (url, _):
        assert call_with(url, SysCredential(123, 456, (7,))) == "123:456:7"


def test_over_the_network_there_is_nobody_to_agree(tmp_path: Path) -> None:
    with serving("tcp", tmp_path, peer_credentials=True) as (url, _):
        assert call_with(url, SysCredential(123, 456, (7,))) == "123:456:7"


def test_a_kernel_that_says_nothing() -> None:
    flavor = SysServer(peer_credentials=True)
    with pytest.raises(AuthError) as error:
        accepted(flavor, ALICE, rpc.Peer("unix", ""))
    assert error.value.stat == 5


def test_what_the_kernel_told_is_in_the_peer(tmp_path: Path) -> None:
    peers: list[rpc.Peer] = []

    class Asking(Who):
        def who(self, call: rpc.Call) -> str:
            peers.append(call.peer)
            return ""

    for transport in ("unix", "unixgram", "tcp"):
        with serving(transport, tmp_path, service=Asking()) as (url, _):
            call_with(url, ALICE)
    stream, datagram, tcp = peers
    assert (stream.uid, stream.gid) == (os.geteuid(), os.getegid())
    assert set(stream.groups or ()) == set(os.getgroups())
    assert (datagram.uid, datagram.gid, datagram.groups) == (os.geteuid(), os.getegid(), None)
    assert (tcp.uid, tcp.gid, tcp.groups) == (None, None, None)


def test_the_native_code_takes_no_shorter_way(tmp_path: Path) -> None:
    """Raw bytes: the same call again and again, and in between one by somebody else."""
    with serving("tcp", tmp_path, sys_policy=by_uid) as (url, _):
        place = parse_url(url)
        records = []
        for xid in range(30):
            body = wire.auth_sys(uid=(1000, 5, 7)[xid % 3])
            records.append(wire.call(PROG, 1, 1, xid=xid, flavor=1, body=body))
        records += [wire.call(PROG, 1, 1, xid=30), records[0]]
        replies = wire.stream_exchange((place.host, place.port), *records)
    found = [wire.parse_reply(reply) for reply in replies]
    assert [reply.xid for reply in found] == [*range(31), 0]
    whos = {0: wire.opaque(b"1001:0:"), 2: wire.opaque(b"8:0:")}
    assert [each.results for each in found[:30]] == [whos.get(xid % 3) for xid in range(30)]
    assert {each.auth_stat for each in found[1:30:3]} == {5}
    assert found[30].results == wire.opaque(b"nobody")
    assert found[31].results == whos[0]
