"""``#if`` and its like: the expressions, and which of them are open."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

from rpcserver.rpcgen.origin import Origin

_TOKEN = re.compile(
    r"\s*(?:(0[xX][0-9a-fA-F]+|\d+)[uUlL]*|([A-Za-z_]\w*)|'(\\?.)'"
    r"|(<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%<>&^|!~?:()]))"
)
_BITS = 64
_MAX_TOKENS = 1000

_LEVELS: tuple[dict[str, Callable[[int, int], int]], ...] = (
    {"||": lambda a, b: int(bool(a or b))},
    {"&&": lambda a, b: int(bool(a and b))},
    {"|": operator.or_},
    {"^": operator.xor},
    {"&": operator.and_},
    {"==": operator.eq, "!=": operator.ne},
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
    {"<<": lambda a, b: a << (b % _BITS), ">>": lambda a, b: a >> (b % _BITS)},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": lambda a, b: _divide(a, b)[0], "%": lambda a, b: _divide(a, b)[1]},
)


class ConditionError(ValueError):
    """What is wrong with a condition, and at which character of it."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def evaluate(text: str) -> int:
    """The value of a condition in which macros and ``defined`` are already replaced.

    An identifier that is left is 0. Raises ``ConditionError``.
    """
    return _Condition(text).value()


class _Condition:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, int]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                raise ConditionError(f"found {text[at]!r} in a condition", at)
            self._tokens.append((match.group().strip(), match.start(match.lastindex or 0)))
            at = match.end()
        if len(self._tokens) > _MAX_TOKENS:
            raise ConditionError(f"a condition of more than {_MAX_TOKENS} tokens", 0)
        self._end = len(text)
        self._depth = 0

    def value(self) -> int:
        number = self._choice()
        if self._tokens:
            raise ConditionError(f"found {self._tokens[0][0]!r} behind the condition", self._at)
        return number

    @property
    def _at(self) -> int:
        return self._tokens[0][1] if self._tokens else self._end

    def _next(self, *wanted: str) -> str:
        if self._tokens and (not wanted or self._tokens[0][0] in wanted):
            return self._tokens.pop(0)[0]
        return ""

    def _expect(self, what: str) -> None:
        if not self._next(what):
            found = repr(self._tokens[0][0]) if self._tokens else "the end of the line"
            raise ConditionError(f"expected {what!r}, found {found}", self._at)

    def _choice(self) -> int:
        self._depth += 1
        if self._depth > 50:
            raise ConditionError("a condition nested more than 50 deep", self._at)
        test = self._binary(0)
        if self._next("?"):
            yes = self._choice()
            self._expect(":")
            no = self._choice()
            test = yes if test else no
        self._depth -= 1
        return test

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while symbol := self._next(*_LEVELS[level]):
            at = self._at
            right = self._binary(level + 1)
            try:
                left = _wrapped(int(_LEVELS[level][symbol](left, right)))
            except ZeroDivisionError:
                raise ConditionError("division by zero", at) from None
        return left

    def _unary(self) -> int:
        signs = []
        while sign := self._next("!", "~", "-", "+"):
            signs.append(sign)
        number = self._primary()
        for sign in reversed(signs):
            number = {"!": int(not number), "~": ~number, "-": -number, "+": number}[sign]
        return _wrapped(number)

    def _primary(self) -> int:
        if self._next("("):
            number = self._choice()
            self._expect(")")
            return number
        at = self._at
        token = self._next()
        if token == "defined":
            raise ConditionError("'defined' wants the name of a macro", at)
        if re.fullmatch(r"[A-Za-z_]\w*", token):
            return 0
        if token[:1].isdigit():
            digits = token.rstrip("uUlL")
            octal = digits[0] == "0" and digits.isdigit()
            try:
                return _wrapped(int(digits, 8 if octal else 0))
            except ValueError:
                raise ConditionError(f"{token} is no number", at) from None
        if token[:1] == "'":
            return ord(token[-2])
        found = repr(token) if token else "the end of the line"
        raise ConditionError(f"expected a number or a name, found {found}", at)


def _divide(a: int, b: int) -> tuple[int, int]:
    """As C does: towards zero."""
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient, a - quotient * b


def _wrapped(number: int) -> int:
    """Within 64 bits, so that no expression can grow without end."""
    number &= (1 << _BITS) - 1
    return number - (1 << _BITS) if number >> (_BITS - 1) else number


class Conditions:
    """The ``#if``s that are open: for each its line, whether a branch was taken, whether this one
    is, and whether ``#else`` was there."""

    def __init__(self) -> None:
        self._open: list[tuple[Origin, bool, bool, bool]] = []

    @property
    def active(self) -> bool:
        return all(now for _, _, now, _ in self._open)

    def step(self, name: str, origin: Origin, holds: Callable[[], bool]) -> None:
        """Take the directive ``name``; whether it ``holds`` is asked only if it matters."""
        if name in ("if", "ifdef", "ifndef"):
            outside = self.active
            now = outside and holds()
            self._open.append((origin, now or not outside, now, False))
            return
        if not self._open:
            raise origin.error(f"#{name} without #if")
        start, taken, _, closed = self._open.pop()
        if name == "endif":
            return
        if closed:
            raise origin.error(f"#{name} behind #else")
        now = not taken and (name == "else" or holds())
        self._open.append((start, taken or now, now, name == "else"))

    def finish(self) -> None:
        """Raise ``IdlError`` if something is still open."""
        if self._open:
            raise self._open[-1][0].error("this #if has no #endif")
