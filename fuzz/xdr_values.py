"""Random values of a schema, good ones and wrong ones, and encodings with damage."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from inspect import isabstract
from random import Random
from typing import Any

from rpcserver.errors import XdrError
from rpcserver.xdr import schema as s
from rpcserver.xdr.buffers import TYPECODES
from rpcserver.xdr.quad import Quad
from rpcserver.xdr.schema import Schema, schema_of

RANGES = {
    s.INT: (-(2**31), 2**31 - 1),
    s.UNSIGNED_INT: (0, 2**32 - 1),
    s.HYPER: (-(2**63), 2**63 - 1),
    s.UNSIGNED_HYPER: (0, 2**64 - 1),
}
FLOATS = (0.0, -0.0, 1.5, -1e-310, 3.4028234e38, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "a", "abcd", "aé€", "\udcff\udc80", "\U0001f600", "x" * 40, "\0", "é" * 3)


class TooDeep(Exception):
    """A type that leads on for longer than its value may be."""


class Odd:
    """What is not what it should be; it looks the same in every message."""

    def __repr__(self) -> str:
        return type(self).__name__


class Index(Odd):
    """Has an ``__index__`` and nothing else; each time it is asked it does something first."""

    def __init__(self, number: int, first: Callable[[], object] = int) -> None:
        self.number = number
        self.first = first

    def __index__(self) -> int:
        self.first()
        return self.number


class Floats(Odd):
    """Has a ``__float__`` and nothing else."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def __float__(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Lies(Odd):
    """A sequence whose length is not that of what it gives."""

    def __init__(self, items: list[Any], size: Any) -> None:
        self.items = items
        self.size = size

    def __len__(self) -> Any:
        return self.size

    def __getitem__(self, at: int) -> Any:
        return self.items[at]


class Breaks(Lies):
    """A sequence that fails on the way."""

    def __iter__(self) -> Iterator[Any]:
        yield from self.items
        raise XdrError("an iterator's own", 3, "x")


class Number(int):
    """An int that is not what it seems."""

    def __hash__(self) -> int:
        return 12345

    def __eq__(self, other: object) -> bool:
        return False

    def __index__(self) -> int:
        return 1

    def __int__(self) -> int:
        return 2


class Text(str):
    """A str with an encoding of its own."""

    __slots__ = ()

    def encode(self, encoding: str = "", errors: str = "") -> bytes:
        return b"encoded"


class Asks(Odd):
    """Has every attribute that it is asked for, or fails in its own way."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        if self.error is not None:
            raise self.error
        return 5


def _fails(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def _short_quad() -> Any:
    return bytes.__new__(Quad, b"short")


_CHARACTERS: Any = "w" if sys.version_info >= (3, 13) else "u"

ODD: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: True, lambda: False, lambda: 0, lambda: 5, lambda: -1, lambda: 2**31,
    lambda: -(2**31) - 1, lambda: 2**32, lambda: 2**63, lambda: 2**64, lambda: -(2**63) - 1,
    lambda: 10**5000, lambda: -(10**5000), lambda: 1.5, lambda: 1e39, lambda: 1e308 * 10,
    lambda: float("nan"), lambda: "text", lambda: "\ud800\udfff x", lambda: "a\udcffé\ud812",
    lambda: "€" * 9, lambda: Text("abc"), lambda: b"abc", lambda: bytearray(b"abcde"), list, tuple,
    lambda: memoryview(b"abcdefgh")[::2], lambda: memoryview(b"abcdefgh").cast("I"),
    lambda: memoryview(b"abcdefgh").cast("B", (2, 4)), lambda: memoryview(b"x" * 8).cast("d"),
    lambda: memoryview(array("i", range(6)))[::-2], lambda: [1], lambda: [1, 2, 3], lambda: (1, 2),
    lambda: range(3), lambda: {1: 2}, lambda: {1, 2}, lambda: (n for n in range(3)), Odd,
    lambda: int, lambda: Index(3), lambda: Index(2**40), lambda: Index(1, _fails(KeyError("i"))),
    lambda: Index(1, _fails(TypeError("i"))), lambda: Index(1, _fails(XdrError("i", 7, "p"))),
    lambda: Floats(1.25), lambda: Floats(1e300), lambda: Floats("no"), lambda: Number(7),
    lambda: Floats(ValueError()), lambda: Floats(KeyError()), lambda: Floats(XdrError("f")),
    lambda: Lies([1, 2], 3), lambda: Lies([1, 2], 1), lambda: Lies([], 2), lambda: Lies([], -1),
    lambda: Lies([1], 2**70), lambda: Lies([1], "x"), lambda: Breaks([1], 3),
    lambda: Breaks([], 1),
    lambda: Asks(None), lambda: Asks(ValueError()), lambda: Asks(AttributeError()),
    lambda: Asks(XdrError("a")), _short_quad, lambda: Quad(bytes(range(16))), lambda: 1j,
    lambda: type("with.dot", (Odd,), {})(), lambda: array(_CHARACTERS, "äb"),
    lambda: array("d", [1.5]), lambda: _released(),
)  # fmt: skip
"""makers of what no type wants, or only some do; a new one each time, for some change"""


def _released() -> memoryview:
    view = memoryview(b"abcd")
    view.release()
    return view


class Values:
    """Makes values; with ``wrong`` above 0 some of their parts are odd."""

    def __init__(self, random: Random, wrong: float = 0, room: int = 60) -> None:
        self.random = random
        self.wrong = wrong
        self.room = room
        self._least = room - 400

    def of(self, schema: Schema) -> Any:
        """A value of ``schema``. Raises ``TooDeep``."""
        self.room -= 1
        if self.room < self._least:
            raise TooDeep
        random, op = self.random, schema[0]
        if self.wrong and random.random() < self.wrong:
            return self._odd(schema)
        if op in RANGES:
            low, high = RANGES[op]
            return random.choice(
                (0, 1, 2, 3, 7, high, max(low, -1), low, random.randint(low, high))
            )
        if op in (s.FLOAT, s.DOUBLE):
            return random.choice((*FLOATS, random.randint(-9, 9), random.random()))
        if op == s.ENUM:
            return random.choice(list(schema[1]))
        if op == s.FIXED_OPAQUE:
            return random.randbytes(schema[1])
        if op == s.OPAQUE:
            return random.randbytes(min(schema[1], random.choice((0, 1, 2, 4, 9, 70))))
        if op == s.STRING:
            return random.choice(TEXTS)[: schema[1]]
        if op in (s.ARRAY, s.FIXED_ARRAY, s.LINKED_LIST):
            return self._list(schema)
        if op == s.OPTIONAL:
            there = self.room > 0 and random.random() < 0.7
            return self.of(schema[1]) if there else None
        if op == s.STRUCT:
            return self._instance(schema[1], list(map(self.of, schema[3])), schema[2])
        if op == s.UNION:
            return self._union(schema)
        if op == s.ARGUMENTS:
            return tuple(map(self.of, schema[1]))
        if op == s.CUSTOM:
            if schema[1].designator is not None:
                try:
                    return self.of(schema_of(schema[1].designator))
                except TypeError:  # what was supplied is no type after all
                    return 5
            return random.randint(0, 30), random.randbytes(random.randint(0, 6))
        return {s.VOID: None, s.BOOL: random.random() < 0.5}.get(op, Quad(random.randbytes(16)))

    def _list(self, schema: Schema) -> Any:
        op, element, size = schema[:3]
        if op != s.FIXED_ARRAY:
            limit = 9 if op == s.LINKED_LIST else size
            size = min(limit, self.random.choice((0, 1, 2, 3, 9)) if self.room > 0 else 0)
            size = max(size, int(op == s.LINKED_LIST and schema[2]))
        items = [self.of(element) for _ in range(size)]
        if element[0] in TYPECODES and self.random.random() < 0.3:
            try:
                return array(TYPECODES[element[0]], items)
            except Exception:  # noqa: BLE001  some are odd
                pass
        return tuple(items) if self.random.random() < 0.1 else items

    def _instance(self, cls: type, values: list[Any], names: Any, **named: Any) -> Any:
        try:
            return cls(*values, **named)
        except Exception:  # noqa: BLE001  its own code refuses: then without that
            if isabstract(cls):
                return Asks(None)
            made: Any = object.__new__(cls)
            for name, value in (*zip(names, values, strict=False), *named.items()):
                if self.random.random() > self.wrong:
                    object.__setattr__(made, name, value)
            return made

    def _union(self, schema: Schema) -> Any:
        _, _, tag, discriminant, cases, default, by_class = schema
        arm = self.random.choice(list(by_class.values()))
        if self.room < 0:  # a way out of here
            arm = min(by_class.values(), key=lambda each: each[1] is not None)
        cls, payload_name, payload, carries = arm
        values = [] if payload_name is None else [self.of(payload)]
        if not carries:
            return self._instance(cls, values, [payload_name])
        labels = [label for label, each in cases.items() if each is arm]
        if arm is default or self.wrong:
            labels += [self.of(discriminant) for _ in range(3)]
        if arm is default:
            of_others = [number for number, each in cases.items() if each is not arm]
            labels = [each for each in labels if each not in of_others] or labels
        label = self.random.choice(labels or [0])
        if discriminant[0] == s.BOOL and isinstance(label, int):
            label = bool(label)
        return self._instance(cls, values, [payload_name], **{tag: label})

    def _odd(self, schema: Schema) -> Any:
        random = self.random
        if schema[0] in (s.ARRAY, s.FIXED_ARRAY, s.LINKED_LIST) and random.random() < 0.6:
            return self._odd_list(schema)
        if schema[0] == s.ENUM and random.random() < 0.5:
            return (
                Number(random.choice(list(schema[1])))
                if random.random() < 0.3
                else int(random.choice(list(schema[1])))
            )
        return random.choice(ODD)()

    def _odd_list(self, schema: Schema) -> Any:
        """A sequence of about the right length, of what may or may not be right."""
        random = self.random
        size = schema[2] if schema[0] == s.FIXED_ARRAY else random.randint(0, 6)
        size = max(0, size + random.choice((0, 0, 0, 1, -1)))
        if random.random() < 0.4:
            code = random.choice("bBhHiIlLqQfd")
            numbers = array(code, [random.randint(0, 100) for _ in range(size)])
            if random.random() < 0.3:  # NaNs of both kinds, too
                bits = random.choice((b"\xff\x7f", b"\x80\x7f\1\0"))
                numbers = array(code, bits * 4 * size)[:size]
            view = memoryview(numbers)
            return random.choice((numbers, view, view[::-1], view[1:], view.cast("B")))
        items = [self.of(schema[1]) for _ in range(size)]
        if items and random.random() < 0.6:
            change = random.choice((
                items.clear, items.pop, lambda: items.insert(0, 1), lambda: items.extend(items[:3]),
                lambda: items.__setitem__(slice(1, 2), [Index(9)]), items.reverse,
            ))  # fmt: skip
            done: list[bool] = []

            def once() -> None:
                if not done and len(items) < 50:
                    done.append(True)
                    change()

            odd: Any = random.choice((Index, Index, Lies))
            items[random.randrange(size)] = odd(1 if random.random() < 0.7 else [], once)
        if random.random() < 0.3:
            return random.choice((Lies, Breaks))(items, size + random.choice((0, 0, 1, -1)))
        return type("List", (list,), {})(items) if random.random() < 0.2 else items


COUNTS = (0, 1, 2, 3, 5, 41, 255, 1024, 1025, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)


def damaged(data: bytes, random: Random) -> bytes:
    """``data`` with something wrong in it, or nothing."""
    if random.random() < 0.02:
        return random.randbytes(random.randint(0, 40))
    if random.random() < 0.02:
        again = struct.pack(">I", random.choice((0, 1, 1, 2, 5))) * random.choice((3, 300, 900))
        return data[: random.randrange(len(data) // 4 + 1) * 4] + again
    changed = bytearray(data)
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        at = random.randrange(len(changed) + 1)
        kind = random.random()
        word = at // 4 * 4
        if kind < 0.2:
            del changed[at:]
        elif kind < 0.4 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif kind < 0.7:
            changed[word : word + 4] = struct.pack(">I", random.choice(COUNTS))
        elif kind < 0.8:
            changed[word:word] = random.randbytes(random.choice((1, 4, 4, 8)))
        elif kind < 0.9:
            del changed[word : word + 4]
        elif at < len(changed):
            changed[at] = random.randrange(256)
    return bytes(changed)
