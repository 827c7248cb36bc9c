"""The service of c/survive.x: what the C server beside it does."""

from pathlib import Path
from typing import Any

import rpcserver

survive = rpcserver.load(Path(__file__).parents[1] / "c" / "survive.x")


class Survivor(survive.SurviveV1Service):  # type: ignore[name-defined,misc]
    """As plain as a service gets: it looks after itself in nothing."""

    def __init__(self) -> None:
        self.counted = 0

    def echo(self, call: Any, data: bytes) -> bytes:
        return data

    def numbers(self, call: Any, numbers: list[int]) -> int:
        return len(numbers)

    def chain(self, call: Any, chain: list[Any]) -> int:
        return len(chain)

    def tree(self, call: Any, tree: Any) -> int:
        depth = 0
        while tree is not None:
            tree, depth = tree.left, depth + 1
        return depth

    def count(self, call: Any) -> int:
        self.counted += 1
        return self.counted

    def fill(self, call: Any, size: int) -> bytes:
        return bytes(size)
