"""What goes wrong while servers serve: clients that are killed, reset, talk nonsense, stop in the
middle, or do not read what they asked for."""

import os
import signal
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from rpcserver.clients.finding import open_rpcbind
from rpcserver.rpcbind.netid import Endpoint, parse_url
from tests.cli.command import ROOT, environment
from tests.peers import wire
from tests.peers.cc import CalcC
from tests.peers.proc import children
from tests.soak.service import PROG

ECHO, FILL = 1, 2
HOW = ("blocking", "batch", "asyncio")
MOST_HELD = 10


def connected(url: str) -> socket.socket:
    """A raw socket to a server."""
    place = parse_url(url)
    kind = socket.SOCK_STREAM if place.stream else socket.SOCK_DGRAM
    sock = socket.socket(socket.AF_INET if place.internet else socket.AF_UNIX, kind)
    sock.settimeout(5)
    try:
        sock.connect((place.host, place.port) if place.internet else place.path)
    except OSError:
        sock.close()
        raise
    return sock


class Clients:
    """Programs that call, one of each kind, and are replaced when they are killed."""

    def __init__(self, urls: Sequence[str], random: Random) -> None:
        self._urls = urls
        self._random = random
        self.calls = 0
        self.wrong: list[str] = []
        self._running = [self._start(how) for how in HOW]

    def _start(self, how: str) -> "subprocess.Popen[str]":
        seed = str(self._random.randrange(1 << 30))
        return subprocess.Popen(
            [sys.executable, "-m", "tests.soak.client", how, seed, *self._urls],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill_one(self) -> None:
        """In the middle of whatever it does."""
        number = self._random.randrange(len(HOW))
        self._running[number].kill()
        self._end(self._running[number], -signal.SIGKILL)
        self._running[number] = self._start(HOW[number])

    def end(self) -> None:
        """Have all finish what they do."""
        for process in self._running:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        for process in self._running:
            self._end(process, 0)

    def _end(self, process: "subprocess.Popen[str]", wanted: int) -> None:
        out, err = process.communicate(timeout=120)
        if process.returncode != wanted or err:
            self.wrong.append(f"{process.returncode} {err}")
        self.calls += int(out or 0)


class Chaos:
    """One thing after the other; ``done`` counts which."""

    def __init__(
        self, urls: Sequence[str], rpcbind: str, prefork: int, calc: CalcC, clients: Clients,
        random: Random,
    ) -> None:  # fmt: skip
        self.urls = [url for url in urls if not url.startswith("unixgram")]
        self.streams = [url for url in urls if not url.startswith(("udp", "unixgram"))]
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._rpcbind = rpcbind
        self._prefork = prefork
        self._calc = calc
        self._random = random
        self._held: list[socket.socket] = []
        self._what: dict[str, tuple[int, Callable[[], object]]] = {
            "kill": (1, clients.kill_one),
            "garbage": (6, self._garbage),
            "reset": (6, self._reset),
            "half": (4, self._half),
            "slow reader": (3, self._slow_reader),
            "let go": (2, self._let_go),
            "C client": (4, self._c_client),
            "registration": (3, self._registration),
            "retire": (1, lambda: os.kill(self._prefork, signal.SIGHUP)),
            "kill a worker": (1, self._kill_worker),
        }

    def step(self) -> None:
        """Do one of them; each in its turn at first, then as often as it is worth."""
        names = list(self._what)
        new = [name for name in names if not self.done[name]]
        weights = [self._what[name][0] for name in names]
        name = new[0] if new else self._random.choices(names, weights)[0]
        self._what[name][1]()
        self.done[name] += 1

    def end(self) -> None:
        """Let all go."""
        while self._held:
            self._held.pop().close()

    def _garbage(self) -> None:
        url = self._random.choice(self.urls)
        with connected(url) as sock:
            data = self._random.randbytes(self._random.choice((1, 40, 4000)))
            if self._random.random() < 0.5:
                record = wire.call(PROG, 1, ECHO, data)[: self._random.randrange(60)]
                data = wire.frame(record) if parse_url(url).stream else record
            sock.send(data)

    def _reset(self) -> None:
        with connected(self._random.choice(self.streams)) as sock:
            sock.sendall(wire.frame(wire.call(PROG, 1, FILL, wire.words(100_000))) * 3)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _half(self) -> None:
        sock = connected(self._random.choice(self.streams))
        record = wire.frame(wire.call(PROG, 1, ECHO, wire.opaque(bytes(60_000))))
        sock.sendall(record[: self._random.choice((2, 4, 30, 50_000))])
        self._hold(sock)

    def _slow_reader(self) -> None:
        sock = connected(self._random.choice(self.streams))
        sock.settimeout(0.2)
        call = wire.frame(wire.call(PROG, 1, FILL, wire.words(1 << 20)))
        try:
            sock.sendall(call * 8)
        except TimeoutError:
            pass
        self._hold(sock)

    def _hold(self, sock: socket.socket) -> None:
        self._held.append(sock)
        if len(self._held) > MOST_HELD:
            self._let_go()

    def _let_go(self) -> None:
        if self._held:
            self._held.pop(self._random.randrange(len(self._held))).close()

    def _c_client(self) -> None:
        place = parse_url(self._random.choice([url for url in self.urls if "127.0.0.1" in url]))
        # What takes long in C is a retry over UDP, 15 s after the first: it is lost in no prefork.
        done = self._calc.call(place.port, place.transport, check="scalars")
        if done.returncode:
            self.wrong.append(f"{place}: {done.stdout}{done.stderr}")

    def _registration(self) -> None:
        with open_rpcbind(self._rpcbind) as asked:
            number = self._random.randrange(1000, 2000)
            assert asked.set(number, 1, Endpoint("tcp", "127.0.0.1", 9))
            assert any(each.prog == number for each in asked.dump())
            asked.unset(number, 1, "tcp")

    def _kill_worker(self) -> None:
        workers = children(self._prefork)
        if len(workers) > 1:
            os.kill(min(workers), signal.SIGKILL)
