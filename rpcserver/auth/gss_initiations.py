"""Datagrams that ask for a context and were asked before: the first one's answer is for all, as
a mechanism takes its tokens for replays the second time."""

from __future__ import annotations

from collections import OrderedDict

from rpcserver.rpc.call import Peer
from rpcserver.rpc.flavor import Answered

MAX_REMEMBERED = 256
MAX_AGE = 30.0
"""Seconds."""

_Key = tuple[object, bytes]


class Initiations:
    """The latest of them. Used under its owner's lock."""

    def __init__(self) -> None:
        self._all: OrderedDict[_Key, tuple[float, Answered | None]] = OrderedDict()

    def look(self, peer: Peer, record: bytes, now: float) -> tuple[bool, Answered | None]:
        """Whether ``record`` has come before, and the answer, if there is one yet. From now on it
        has."""
        key = (peer.address, record)
        since, answer = self._all.get(key, (now, None))
        if key in self._all and now - since < MAX_AGE:
            return True, answer
        self._all[key] = now, None
        self._all.move_to_end(key)
        if len(self._all) > MAX_REMEMBERED:
            self._all.popitem(last=False)
        return False, None

    def answered(self, peer: Peer, record: bytes, answer: Answered) -> None:
        """What was answered."""
        key = (peer.address, record)
        if key in self._all:
            self._all[key] = self._all[key][0], answer
