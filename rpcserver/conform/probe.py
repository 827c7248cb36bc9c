"""A probe: what is sent to a server, and what may come back."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rpcserver.conform.answers import AUTH_ERROR

AUTH_NONE = 0

_AUTH_ERROR = frozenset(AUTH_ERROR)


def words(*numbers: int) -> bytes:
    """32-bit numbers."""
    return struct.pack(f">{len(numbers)}I", *numbers)


def opaque(data: bytes) -> bytes:
    """An ``opaque<>`` or ``string<>``: length, bytes, padding."""
    return words(len(data)) + data + bytes(-len(data) % 4)


def marked(*fragments: bytes) -> bytes:
    """A record of these fragments, as it goes on a stream (RFC 5531 section 11)."""
    marks = [words(len(each)) for each in fragments[:-1]]
    marks.append(words(1 << 31 | len(fragments[-1])))
    return b"".join(itertools.chain(*zip(marks, fragments, strict=True)))


@dataclass(frozen=True)
class Subject:
    """What is probed: a program's version, whose procedure 0 is there; and a procedure with
    arguments that are known to be good, if one was named."""

    prog: int
    vers: int
    proc: int = 0
    arguments: bytes = b""
    _xids: Iterator[int] = field(
        default_factory=lambda: itertools.count(random.randrange(1 << 24, 1 << 30)),
        compare=False,
    )

    def call(
        self,
        arguments: bytes = b"",
        *,
        xid: int | None = None,
        mtype: int = 0,
        rpcvers: int = 2,
        prog: int | None = None,
        vers: int | None = None,
        proc: int = 0,
        credential: bytes = words(AUTH_NONE, 0),
        verifier: bytes = words(AUTH_NONE, 0),
    ) -> bytes:
        """A call (RFC 5531 section 9) with an xid of its own: the NULL call, but for what is
        given."""
        return (
            words(
                next(self._xids) if xid is None else xid,
                mtype,
                rpcvers,
                self.prog if prog is None else prog,
                self.vers if vers is None else vers,
                proc,
            )
            + credential
            + verifier
            + arguments
        )


Wanted = Mapping[int | None, frozenset[str]]
"""By xid, what may come; for ``None``, to anything at all"""


@dataclass(frozen=True)
class Case:
    """One exchange: what goes out, piece by piece, and what may come back.

    ``raw``: the pieces are bytes of a stream; else each is a message. ``ends``: they leave the
    stream inside of a record, where no other call can follow. ``tls``: if the answer is STARTTLS,
    TLS starts. ``beside``: bytes for as many further connections, which stay open meanwhile.
    ``results``: a success may bring some.
    """

    label: str
    pieces: tuple[bytes, ...]
    wanted: Wanted
    raw: bool = False
    ends: bool = False
    tls: bool = False
    beside: tuple[bytes, ...] = ()
    results: bool = False


def xid_of(message: bytes) -> int | None:
    """The xid of a message that is long enough to have one."""
    return int.from_bytes(message[:4]) if len(message) >= 4 else None


def case(
    message: bytes,
    *wanted: str,
    label: object = "",
    tls: bool = False,
    results: bool = False,
    beside: tuple[bytes, ...] = (),
) -> Case:
    """One message, and what may come back for it."""
    expected = {xid_of(message): frozenset(wanted)}
    return Case(str(label), (message,), expected, tls=tls, results=results, beside=beside)


def stream_case(
    pieces: Iterable[bytes],
    wanted: Mapping[bytes, Iterable[str]],
    *,
    label: object = "",
    ends: bool = False,
) -> Case:
    """Pieces of a stream; ``wanted`` has the messages in them, and what may come for each."""
    expected = {xid_of(message): frozenset(each) for message, each in wanted.items()}
    return Case(str(label), tuple(pieces), expected, raw=True, ends=ends)


ANY, STREAM, DATAGRAM = "any", "stream", "datagram"


@dataclass(frozen=True)
class Probe:
    """A row of the table.

    ``section`` says where the RFC says what must come, or leaves it open; ``about`` says what is
    sent; ``over``: ``any``, or only ``stream`` or ``datagram``; ``arguments``: whether it takes a
    procedure with good arguments.
    """

    name: str
    section: str
    about: str
    cases: Callable[[Subject], Iterable[Case]]
    over: str = ANY
    arguments: bool = False

    def wanted(self, subject: Subject) -> str:
        """What may come, in words; AUTH_ERROR is any refusal of a credential."""
        found: dict[str, None] = {}
        for each in self.cases(subject):
            for answers in each.wanted.values():
                if answers >= _AUTH_ERROR:
                    answers = answers - _AUTH_ERROR | {"AUTH_ERROR"}
                found[" or ".join(sorted(answers))] = None
        return "; ".join(found)


Cases = Callable[[Subject], Iterable[Case]]


class Table(list[Probe]):
    """Probes, in the order in which they run."""

    def probe(
        self, section: str, *, over: str = ANY, arguments: bool = False
    ) -> Callable[[Cases], Cases]:
        """Makes a row of a function that makes the cases: its name is the probe's, its docstring
        says what is sent."""

        def add(cases: Cases) -> Cases:
            name = cases.__name__.replace("_", "-")
            about = " ".join((cases.__doc__ or "").split())
            self.append(Probe(name, section, about, cases, over, arguments))
            return cases

        return add
