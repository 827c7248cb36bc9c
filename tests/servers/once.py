"""A service whose calls must not run twice, and clients by hand that send them until they are
answered."""

import os
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import rpcserver
from rpcserver import rpc, xdr
from tests.peers import wire

PROG = 0x20000410
FILE = "RPCSERVER_TALLY"
SLOW = 0.08
"""Seconds: longer than a client waits before it asks again"""

WINDOW = 64
Address = tuple[str, int]


class TALLY_V1(rpc.Version, prog=PROG, vers=1):
    NOTE: rpc.Procedure[int] = rpc.Procedure(1, "note", [xdr.Hyper], xdr.Hyper)
    SLOW: rpc.Procedure[int] = rpc.Procedure(2, "slow", [xdr.Hyper], xdr.Hyper)
    ASYNC: rpc.Procedure[int] = rpc.Procedure(3, "later", [xdr.Hyper], xdr.Hyper)


class Tally(rpc.Service, version=TALLY_V1):
    """Each call is noted in a file, where forks and workers can reach it."""

    def __init__(self) -> None:
        self._file = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, call: rpc.Call, number: int) -> int:
        os.write(self._file, number.to_bytes(8))
        return 3 * number + 1

    @rpcserver.blocking
    def slow(self, call: rpc.Call, number: int) -> int:
        time.sleep(SLOW)
        return self.note(call, number)

    async def later(self, call: rpc.Call, number: int) -> int:
        return self.note(call, number)


class AsyncTally(rpc.AsyncClient, version=TALLY_V1):
    async def note(self, number: int) -> int:
        return await self._call(procedure_for(number), number)


def procedure_for(number: int) -> rpc.Procedure[int]:
    """What number is called with which."""
    if number % 100 == 7:
        return TALLY_V1.SLOW
    return TALLY_V1.ASYNC if number % 3 == 0 else TALLY_V1.NOTE


def noted(path: Path) -> list[int]:
    """What the service has noted, sorted."""
    data = path.read_bytes()
    return sorted(each for (each,) in struct.iter_unpack(">q", data))


class Calls:
    """Calls with those ``numbers``, ``WINDOW`` of them under way."""

    def __init__(self, numbers: range, credential: bytes | None = None) -> None:
        self.numbers = numbers
        self._next = numbers.start
        self._auth = {"flavor": wire.AUTH_SYS, "body": credential} if credential else {}
        self._first = random.randrange(1 << 32)
        self.waiting: dict[int, tuple[int, bytes]] = {}  # xid -> number, message
        self.sent = 0

    @property
    def over(self) -> bool:
        return self._next == self.numbers.stop and not self.waiting

    def new(self) -> Iterator[int]:
        """Xids of calls that there is room for."""
        while self._next < self.numbers.stop and len(self.waiting) < WINDOW:
            number = self._next
            self._next += 1
            xid = (self._first + number) & 0xFFFFFFFF
            message = wire.call(
                PROG,
                1,
                procedure_for(number).number,
                number.to_bytes(8),
                xid=xid,
                **self._auth,  # type: ignore[arg-type]
            )
            self.waiting[xid] = number, message
            yield xid

    def message(self, xid: int) -> bytes:
        """The call, which is the same each time."""
        self.sent += 1
        return self.waiting[xid][1]

    def take(self, record: bytes, damaged: bool = False) -> None:
        """A reply. ``damaged``: it may be cut, or answer a call that was."""
        xid = int.from_bytes(record[:4])
        if xid not in self.waiting:
            return  # it has come before
        number, _ = self.waiting[xid]
        wanted = wire.words(xid, 1, 0, 0, 0, 0) + (3 * number + 1).to_bytes(8)
        if record == wanted:
            del self.waiting[xid]
            return
        refused = len(record) == 24 and record[-4:] == wire.words(wire.SYSTEM_ERR)
        assert damaged and not refused, f"{number}: {record!r}"


def over_udp(calls: Calls, address: Address) -> None:
    """Send until all are answered: first after 50 ms, then after twice as long, and so on."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        sock.setblocking(False)
        due: dict[int, tuple[float, float]] = {}  # xid -> when, how long after the last time
        while not calls.over:
            now = time.monotonic()
            for xid in calls.new():
                due[xid] = now, 0.05
            due = {xid: each for xid, each in due.items() if xid in calls.waiting}
            for xid, (when, pause) in due.items():
                if when <= now:
                    sock.send(calls.message(xid))
                    due[xid] = now + pause, min(2 * pause, 1.0)
            until = min((when for when, _ in due.values()), default=now)
            if select.select([sock], [], [], max(0.0, until - time.monotonic()))[0]:
                try:
                    for _ in range(WINDOW):
                        calls.take(sock.recv(65535), damaged=True)
                except BlockingIOError:
                    pass


def over_tcp(calls: Calls, address: Address, period: float) -> int:
    """Send until all are answered, over connections that are reset after ``period`` seconds each;
    how many there were."""
    connections = 0
    while not calls.over:
        connections += 1
        with socket.create_connection(address) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            until = time.monotonic() + period * random.uniform(0.5, 1.5)
            arrived = b""
            unsent = list(calls.waiting)
            while not calls.over and (left := until - time.monotonic()) > 0:
                unsent += calls.new()
                sock.sendall(b"".join(wire.frame(calls.message(xid)) for xid in unsent))
                unsent = []
                if select.select([sock], [], [], left)[0]:
                    data = sock.recv(1 << 16)
                    assert data, "the server hung up"
                    arrived += data
                    arrived = _take_records(calls, arrived)
    return connections


def _take_records(calls: Calls, data: bytes) -> bytes:
    while len(data) >= 4:
        size = int.from_bytes(data[:4]) & 0x7FFFFFFF
        if len(data) < 4 + size:
            break
        calls.take(data[4 : 4 + size])
        data = data[4 + size :]
    return data


class Resetting:
    """A relay for connections to ``target``, all of which it resets now and then."""

    def __init__(self, target: Address, period: float) -> None:
        self._target = target
        self._period = period
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._over = False
        self._thread = threading.Thread(target=self._run)
        self.resets = 0

    @property
    def address(self) -> Address:
        host, port = self._listener.getsockname()
        return host, port

    def _run(self) -> None:
        until = time.monotonic() + self._period
        while not self._over:
            for sock in select.select([self._listener, *self._pairs], [], [], 0.01)[0]:
                if sock is self._listener:
                    client = sock.accept()[0]
                    server = socket.create_connection(self._target)
                    self._pairs |= {client: server, server: client}
                elif sock in self._pairs:
                    self._pass_on(sock)
            if time.monotonic() > until:
                until = time.monotonic() + self._period
                self._reset_all()

    def _pass_on(self, sock: socket.socket) -> None:
        other = self._pairs[sock]
        try:
            data = sock.recv(1 << 16)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for each in (sock, other):
            del self._pairs[each]
            _reset(each)

    def _reset_all(self) -> None:
        self.resets += bool(self._pairs)
        for each in self._pairs:
            _reset(each)
        self._pairs.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        self._thread.join()
        self._reset_all()
        self._listener.close()


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextmanager
def serving(kind: str, path: Path, *options: str) -> Iterator[list[Address]]:
    """The service, in a process of its own, on a server of that kind: where it is. Those of the
    ``options`` that are URLs are where it listens."""
    from rpcserver.rpcbind.netid import parse_url
    from tests.cli.command import running

    words = ["--kind", "select", "--workers", "2"] if kind == "prefork" else ["--kind", kind]
    words.append("--no-register")
    for word in options:
        words += ["--listen", word] if "://" in word else [word]
    with running("serve", "tests.servers.once:Tally", *words, env={FILE: str(path)}) as server:
        yield [(place.host, place.port) for place in map(parse_url, server.urls)]
        server.process.stop()
        errors = server.process.stderr()
    assert "Traceback" not in errors, errors
    assert " has run, or may have" not in errors, errors
