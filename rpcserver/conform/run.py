"""The probes, run one after the other against a server."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rpcserver.clients.connect import ping
from rpcserver.clients.finding import locate
from rpcserver.conform.answers import SILENCE, STARTTLS, answer_in
from rpcserver.conform.line import Line
from rpcserver.conform.probe import ANY, DATAGRAM, STREAM, Case, Probe, Subject, xid_of
from rpcserver.conform.result import Exchange, Result, result
from rpcserver.conform.table import PROBES
from rpcserver.errors import CallError, NotReached, UsageError
from rpcserver.rpcbind.netid import Endpoint

TIMEOUT = 2.0
"""Seconds for an answer to come"""

SETTLE = 0.1
"""Seconds for an answer that should not come"""


def probes_for(stream: bool, arguments: bool) -> list[Probe]:
    """Those that make sense over a stream, or over datagrams; with a procedure's ``arguments``
    or without."""
    over = (ANY, STREAM if stream else DATAGRAM)
    return [each for each in PROBES if each.over in over and (arguments or not each.arguments)]


def run(
    target: str,
    prog: int,
    vers: int,
    *,
    procedure: int | None = None,
    arguments: bytes = b"",
    timeout: float = TIMEOUT,
    settle: float = SETTLE,
    rpcbind: str | None = None,
    transport: str | None = None,
) -> Iterator[Result]:
    """Probe version ``vers`` of program ``prog`` at ``target``; yields each result as it comes.

    ``target``, ``rpcbind`` and ``transport`` are as for ``rpcserver.connect``. Procedure 0 is
    called; and ``procedure``, if it is given, with ``arguments`` (encoded) that are known to be
    good. ``timeout``: seconds for an answer; ``settle``: seconds for one that should not come.

    Raises ``UsageError`` for arguments without a procedure, and a ``CallError`` if procedure 0
    cannot be called to begin with.
    """
    if arguments and procedure is None:
        raise UsageError("the arguments are for a procedure: say which")
    place = locate(target, prog, vers, rpcbind=rpcbind, transport=transport, timeout=timeout)
    ping(place, prog, vers, timeout)
    subject = Subject(prog, vers, procedure or 0, arguments)
    running = _Run(place, subject, timeout, settle)
    for probe in probes_for(place.stream, procedure is not None):
        yield running.result(probe)


class _Run:
    def __init__(self, place: Endpoint, subject: Subject, timeout: float, settle: float) -> None:
        self._place = place
        self._subject = subject
        self._timeout = timeout
        self._settle = settle
        self._line: Line | None = None

    def result(self, probe: Probe) -> Result:
        """Run a probe, and see whether others are served afterwards."""
        exchanges = []
        try:
            for each in probe.cases(self._subject):
                exchanges.append(self._exchange(each))
            if self._line is not None and any(self._was_silent(each) for each in exchanges):
                self._wait(self._line, self._settle)
        except NotReached:
            pass  # so that nobody will be served afterwards, either
        finally:
            self._hang_up()
        wanted = probe.wanted(self._subject)
        return result(probe, wanted, exchanges, self._subject.vers, self._serves())

    def _exchange(self, case: Case) -> Exchange:
        others = []
        if case.beside:
            self._hang_up()  # whoever serves one at a time is to serve the others first
        try:
            for piece in case.beside:
                others.append(Line(self._place, self._timeout))
                others[-1].send((piece,), raw=True)
            return self._alone(case)
        finally:
            for each in others:
                each.close()

    def _alone(self, case: Case) -> Exchange:
        if self._line is None:
            self._line = Line(self._place, self._timeout)
        line = self._line
        exchange = Exchange(case, line, False, [])
        line.known |= {xid for xid in case.wanted if xid is not None}
        line.send(case.pieces, case.raw)
        if case.ends:
            self._wait(line, self._settle)
            exchange.of_use = not line.closed
        else:
            if case.tls:
                self._start_tls(line, case)
            exchange.of_use = self._is_answered(line, exchange.awaited) or self._is_of_use(
                line, exchange.awaited
            )
        exchange.strays, line.strays = line.strays, []
        if case.ends or not exchange.of_use:
            self._hang_up()
        return exchange

    def _start_tls(self, line: Line, case: Case) -> None:
        """If that is what the server answers."""
        xid = next(each for each in case.wanted if each is not None)
        deadline = time.monotonic() + self._timeout
        while not line.closed and xid not in line.replies and (left := _until(deadline)):
            line.receive(left)
        if any(answer_in(each, 0) == STARTTLS for each in line.replies.get(xid, [])):
            self._wait(line, self._settle)  # for an answer in the clear
            line.start_tls()

    def _is_answered(self, line: Line, awaited: set[int]) -> bool:
        """Whether datagrams have their answers, and nothing more is to be known: there is no
        connection that could be of no use."""
        if self._place.stream or not awaited:
            return False
        deadline = time.monotonic() + self._settle
        while not line.closed and not awaited <= line.replies.keys() and (left := _until(deadline)):
            line.receive(left)
        return awaited <= line.replies.keys()

    def _is_of_use(self, line: Line, awaited: set[int]) -> bool:
        """Whether the NULL call is answered; what else is awaited may come after that."""
        call = self._subject.call()
        xid = xid_of(call)
        assert xid is not None
        line.known.add(xid)
        line.send((call,))
        deadline = time.monotonic() + self._timeout
        wanted = awaited | {xid}
        while not line.closed and not wanted <= line.replies.keys() and (left := _until(deadline)):
            line.receive(left)
        return xid in line.replies

    def _was_silent(self, exchange: Exchange) -> bool:
        return any(SILENCE in answers for answers in exchange.case.wanted.values())

    def _wait(self, line: Line, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not line.closed and (left := _until(deadline)):
            line.receive(left)

    def _serves(self) -> bool:
        """Whether a connection of its own is served."""
        try:
            line = Line(self._place, self._timeout)
        except CallError:
            return False
        try:
            return self._is_of_use(line, set())
        finally:
            line.close()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def _until(deadline: float) -> float:
    """Seconds that are left, 0 if there are none."""
    return max(deadline - time.monotonic(), 0.0)
