"""The attacks over connections. Each takes a target that runs, and says what came of it.

Each ends within seconds. Whether the target lives, still serves, and is quiet is looked at
afterwards by whoever runs them.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from benchmarks.measure import Figures
from benchmarks.survival import targets
from benchmarks.survival.busy import Busy
from benchmarks.survival.targets import Running
from tests.peers import wire

MIB = 1 << 20
SECONDS = 2.0
"""How long a busy client works, before and during an attack"""

SOON = 1.0
"""Seconds that a client may have to wait because of what another one does"""

SPINNING = 0.3
"""The part of a processor from which on somebody spins who has nothing to do"""


@dataclass
class Outcome:
    """What came of an attack.

    ``said``: in a few words; ``failed``: what is wrong with it, if anything; ``figures``: what was
    measured.
    """

    said: str
    failed: str = ""
    figures: Figures = field(default_factory=dict)


class NotForIt(Exception):
    """The target has nothing that could be attacked so."""


Attack = Callable[[Running], Outcome]


def record_mark(it: Running) -> Outcome:
    """A record of 2 GiB is announced, and 64 MiB of it come."""
    before = it.peak
    with it.connect() as stream:
        stream.socket.settimeout(2)
        sent = 0
        try:
            stream.send(wire.words(0xFFFF_FFFF))
            while sent < 64 * MIB:
                sent += stream.socket.send(bytes(MIB))
            outcome = _beside(it, "all was read")
        except OSError as error:
            said = "not read" if isinstance(error, TimeoutError) else "closed"
            outcome = _beside(it, f"{said} after {sent / MIB:.0f} MiB")
    if it.peak - before > 48 * MIB:
        outcome.failed = outcome.failed or "it keeps all that comes"
    return outcome


def twenty_millions(it: Running) -> Outcome:
    """A count says that 20 million elements follow, and none does."""
    count = wire.words(20_000_000)
    if it.target.portmap:  # the universal address of UADDR2TADDR
        call = wire.call(targets.PORTMAP, 3, 7, count)
    elif it.target.types:
        call = it.target.call(targets.NUMBERS, count)
    else:
        raise NotForIt("it decodes nothing")
    return _asked(it, wire.frame(call))


def chain(it: Running) -> Outcome:
    """A linked list of a million nodes."""
    _need_types(it)
    nodes = wire.words(1) * 1_000_000 + wire.words(0)
    return _asked(it, wire.frame(it.target.call(targets.CHAIN, nodes)))


def recursion(it: Running) -> Outcome:
    """A tree that is 100,000 deep."""
    _need_types(it)
    deep = wire.words(1) * 100_000 + wire.words(0) * 100_001
    return _asked(it, wire.frame(it.target.call(targets.TREE, deep)))


def small_fragments(it: Running) -> Outcome:
    """A call in 10,000 fragments of one byte."""
    data = b"" if it.target.portmap else wire.opaque(bytes(9956))
    call = it.target.call(0 if it.target.portmap else targets.ECHO, data)
    return _asked(it, wire.frame(call.ljust(10_000, b"\0"), 1))


def empty_fragments(it: Running) -> Outcome:
    """200,000 empty fragments, none of which is the last."""
    return _asked(it, wire.words(0) * 200_000)


def half_records(it: Running) -> Outcome:
    """120 connections, each with all but one byte of a call of 4 MB."""
    data = wire.opaque(bytes(4_000_000))
    call = wire.frame(it.target.call(0 if it.target.portmap else targets.ECHO, data))[:-1]
    taken = 0
    with ExitStack() as stack:
        for _ in range(120):
            stream = stack.enter_context(it.connect())
            stream.socket.settimeout(1)
            try:
                stream.send(call)
                taken += 1
            except OSError:
                continue
            if it.ended:
                break
        return _beside(it, f"{taken} were read")


def slow_loris(it: Running) -> Outcome:
    """1,000 connections, each with a byte of a call now and then, beside a busy client."""
    with ExitStack() as stack, _compared(it) as figures:
        sockets = [stack.enter_context(it.connect()).socket for _ in range(1000)]
        figures.begin()
        call, begun = wire.frame(it.target.call(0))[:-1], time.monotonic()
        for number in range(len(call)):
            for sock in sockets:
                with suppress(OSError):
                    sock.send(call[number : number + 1], socket.MSG_DONTWAIT)
            time.sleep(max(0.0, begun + SECONDS * number / len(call) - time.monotonic()))
        figures.wait()
    return figures.outcome("")


def never_reads(it: Running) -> Outcome:
    """A client asks for replies of 1 MiB, again and again, and reads none; beside a busy one."""
    call = it.target.call(0)
    if it.target.portmap:
        call = it.target.call(4)  # the list, which is all that is large
    elif it.target.types:
        call = it.target.call(targets.FILL, wire.words(MIB))
    else:
        call = it.target.call(targets.ECHO, wire.opaque(bytes(MIB)))
    with it.connect() as stream, _compared(it) as figures:
        stream.socket.settimeout(0.2)
        figures.begin()
        record = wire.frame(call)
        with suppress(OSError):
            for _ in range(20_000 if len(record) < MIB else 256):
                stream.send(record)
        figures.wait()
    return figures.outcome("")


def descriptors(it: Running) -> Outcome:
    """600 connections to a server that may have 256 descriptors (CVE-2021-46828)."""
    with ExitStack() as stack:
        early = stack.enter_context(it.connect("127.0.0.2"))
        early.send(wire.frame(it.target.call(0)))
        early.read_record()
        for _ in range(600):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.connect(it.address)
        time.sleep(0.2)
        load = it.busy(1.0)
        served = True
        try:
            early.send(wire.frame(it.target.call(0)))
            early.read_record()
        except (OSError, EOFError):
            served = False
    failed = "" if served else "the client that was there before is not served"
    if load > SPINNING:
        failed = "it spins"
    return Outcome(f"{load:.0%} of a processor", failed, {"load": load})


def wrong_client(it: Running) -> Outcome:
    """Eight clients use the same xids at the same time: nobody may get another's reply."""
    if it.target.portmap:
        raise NotForIt("it has no reply of one's own")
    wrong: list[str] = []
    calls = 400

    def over_tcp(token: bytes) -> None:
        with it.connect() as stream:
            for first in range(0, calls, 8):
                xids = range(first, first + 8)
                stream.send(b"".join(wire.frame(_echo(it, token, xid)) for xid in xids))
                for _ in xids:
                    check(stream.read_record(), token)

    def over_udp(token: bytes) -> None:
        with it.datagrams() as sock:
            for xid in range(calls):
                sock.send(_echo(it, token, xid))
                check(sock.recv(1000), token)

    def check(reply: bytes, token: bytes) -> None:
        if wire.parse_reply(reply).results != wire.opaque(token):
            wrong.append("a reply of somebody else")

    def watched(function: Callable[[bytes], None], token: bytes) -> None:
        try:
            function(token)
        except (OSError, EOFError) as error:
            wrong.append(f"{error or 'closed'}")

    threads = [
        threading.Thread(target=watched, args=(function, f"client {number}".encode()))
        for number in range(4)
        for function in (over_tcp, over_udp)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Outcome(f"{8 * calls:,} replies", f"{len(wrong)} wrong: {wrong[0]}" if wrong else "")


def _echo(it: Running, token: bytes, xid: int) -> bytes:
    return it.target.call(targets.ECHO, wire.opaque(token), xid=xid)


def _need_types(it: Running) -> None:
    if not it.target.types:
        raise NotForIt("it has no such type")


def _asked(it: Running, data: bytes) -> Outcome:
    """Send it, and say how it was answered."""
    with it.connect() as stream:
        stream.socket.settimeout(20)
        try:
            stream.send(data)
            stream.socket.settimeout(3)
            reply = wire.parse_reply(stream.read_record())
        except TimeoutError:
            return _beside(it, "no answer")
        except (OSError, EOFError):
            return _beside(it, "closed")
        return _beside(it, _name(reply))


def _name(reply: wire.Reply) -> str:
    if reply.accept_stat is None:
        return f"refused, {reply.reject_stat} {reply.auth_stat or ''}".strip()
    names = ("SUCCESS", "PROG_UNAVAIL", "PROG_MISMATCH", "PROC_UNAVAIL", "GARBAGE_ARGS")
    return (*names, "SYSTEM_ERR")[reply.accept_stat]


def _beside(it: Running, said: str) -> Outcome:
    """How somebody else is served while the connection of the attack is open."""
    seconds = it.serves(patience=3)
    if it.ended:
        return Outcome(said)
    late = seconds is None or seconds > SOON
    return Outcome(said, "others wait" if late else "", {"others_ms": 1000 * (seconds or 3)})


class Compared:
    """A busy client before an attack, and one during it."""

    def __init__(self, it: Running) -> None:
        self._it = it
        self._before = self._work().figures()

    def _work(self) -> Busy:
        return Busy(self._it.port, self._it.target.program, SECONDS)

    def begin(self) -> None:
        """The attack begins."""
        self._during = self._work()

    def wait(self) -> None:
        """Until the busy client is done."""
        self._after = self._during.figures()

    def outcome(self, said: str) -> Outcome:
        """The ratios. It fails if a call took more than ``SOON``."""
        before, after = self._before, self._after
        rate = after["calls_s"] / before["calls_s"]
        p99 = after["p99_ms"] / before["p99_ms"]
        late = after["most_ms"] > 1000 * SOON
        figures = {"rate": rate, "p99": p99, "most_ms": after["most_ms"]}
        return Outcome(said, "others wait" if late else "", figures)


@contextmanager
def _compared(it: Running) -> Iterator[Compared]:
    yield Compared(it)
