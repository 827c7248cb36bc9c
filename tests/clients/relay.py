"""A relay for datagrams that does to them what networks do: loses, delays, reorders, duplicates
and cuts them."""

import heapq
import random
import select
import socket
import threading
import time
from types import TracebackType
from typing import Self

Address = tuple[str, int]


class Relay:
    """Between clients and the server at ``target``; ``address`` is where clients send to.

    Each datagram is cut with a probability of ``cut``, lost with one of ``loss``, and comes twice
    with one of 10 %, each time after 0 to 30 ms.
    """

    def __init__(
        self, target: Address, *, loss: float = 0.1, cut: float = 0.03, seed: int = 1
    ) -> None:
        self._target = target
        self._loss = loss
        self._cut = cut
        self._rng = random.Random(seed)
        self._front = socket.socket(type=socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self._backs: dict[Address, socket.socket] = {}
        self._clients: dict[int, Address] = {}
        self._queue: list[tuple[float, int, socket.socket, Address, bytes]] = []
        self._count = 0
        self._over = False
        self.seen: dict[str, int] = {"lost": 0, "cut": 0, "twice": 0, "passed": 0}
        self._thread = threading.Thread(target=self._run)

    @property
    def address(self) -> Address:
        host, port = self._front.getsockname()
        return host, port

    def _run(self) -> None:
        while not self._over:
            now = time.monotonic()
            while self._queue and self._queue[0][0] <= now:
                _, _, sock, address, data = heapq.heappop(self._queue)
                sock.sendto(data, address)
            wait = self._queue[0][0] - now if self._queue else 0.05
            sockets = [self._front, *self._backs.values()]
            for sock in select.select(sockets, [], [], max(0, min(wait, 0.05)))[0]:
                data, address = sock.recvfrom(65535)
                if sock is self._front:
                    if address not in self._backs:
                        back = socket.socket(type=socket.SOCK_DGRAM)
                        back.bind(("127.0.0.1", 0))
                        self._backs[address] = back
                        self._clients[back.fileno()] = address
                    self._pass_on(self._backs[address], self._target, data)
                else:
                    self._pass_on(self._front, self._clients[sock.fileno()], data)

    def _pass_on(self, sock: socket.socket, address: Address, data: bytes) -> None:
        if self._rng.random() < self._loss:
            self.seen["lost"] += 1
            return
        if self._rng.random() < self._cut:
            self.seen["cut"] += 1
            data = data[: self._rng.randrange(len(data))]
        times = 2 if self._rng.random() < 0.1 else 1
        self.seen["twice" if times == 2 else "passed"] += 1
        for _ in range(times):
            self._count += 1
            when = time.monotonic() + self._rng.random() * 0.03
            heapq.heappush(self._queue, (when, self._count, sock, address, data))

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
        for sock in (self._front, *self._backs.values()):
            sock.close()
