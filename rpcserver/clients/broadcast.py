"""Asking everybody on the local networks (RFC 1833 section 3, PMAPPROC_CALLIT).

Each host's rpcbind, on port 111, is asked where a program is (GETPORT), and asked to call it and
pass the answer on (CALLIT), which many do not do.
"""

from __future__ import annotations

import errno
import logging
import select
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from rpcserver.auth.base import client_flavor
from rpcserver.auth.sys import SysCredential
from rpcserver.clients.interfaces import broadcast_addresses
from rpcserver.clients.resending import pauses
from rpcserver.errors import BadReply, CallError, NotReached, UsageError, XdrError
from rpcserver.protocols.pmap_prot import PMAP_VERS, CallArgs, CallResult, Mapping
from rpcserver.protocols.rpcb_prot import RPCB_PORT
from rpcserver.rpc.calls import ClientEngine, random_word
from rpcserver.rpc.entries import NULL
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpc.version import AsyncClient, Client, Procedure, Version
from rpcserver.rpcbind.lookup import PROTS
from rpcserver.rpcbind.netid import Endpoint

logger = logging.getLogger("rpcserver")

MAX_ANSWERS = 1000
"""Answers after which no more are waited for: anybody on the network can make some up."""

_FIRST, _LAST = 0.5, 4.0  # seconds between sendings


class Answer(NamedTuple):
    """``url``: where the server is; ``result``: what the procedure returned, if one was called."""

    url: str
    result: Any = None


def broadcast(
    client_class: type[Client] | type[AsyncClient],
    method: str | None = None,
    *arguments: Any,
    timeout: float = 3.0,
    transport: str | None = None,
    credentials: ClientFlavor | SysCredential | str | None = None,
    addresses: Iterable[str] | None = None,
    port: int = RPCB_PORT,
) -> Iterator[Answer]:
    """The servers of ``client_class``'s version on the local networks, as they answer, each once.

    With ``method``, it is called at all of them with ``arguments``, over UDP, and each answer has
    its result; whose rpcbind passes no calls on does not answer. Without, rpcbind is also asked
    where the program is, over TCP and UDP, or over ``transport`` alone.

    ``timeout``: seconds. ``credentials`` as for ``connect``, without RPCSEC_GSS, which comes to
    terms with one server. ``addresses``: whom to ask, by default the broadcast addresses of all
    interfaces. Raises ``UsageError`` for arguments that
    make no sense, ``XdrError`` for those that the procedure refuses, and ``NotReached`` if there
    is no network to ask.
    """
    version = client_class._version
    if transport not in (None, *PROTS):
        raise UsageError(f"unknown transport {transport!r}: it is tcp or udp")
    wanted = NULL if method is None else _procedure(version, method)
    engine = ClientEngine(client_flavor(credentials), random_word())
    questions: dict[int, _Question] = {}
    if transport != "tcp":
        call = CallArgs(version._prog, version._vers, wanted.number, b"")
        call.args = wanted.arguments_codec.pack(arguments)
        asked = engine.begin(PMAP_VERS, PMAP_VERS.PMAPPROC_CALLIT, (call,))
        questions[asked.xid] = _Question(asked, "udp", wanted)
    for each in PROTS if transport is None else (transport,):
        if method is None:
            mapping = Mapping(version._prog, version._vers, PROTS[each], 0)
            asked = engine.begin(PMAP_VERS, PMAP_VERS.PMAPPROC_GETPORT, (mapping,))
            questions[asked.xid] = _Question(asked, each)
    if not questions:
        raise UsageError("calls are passed on over UDP: leave out transport, or the method")
    places = [(address, port) for address in addresses or broadcast_addresses()]
    return _answers(engine, questions, places, timeout)


class _Question(NamedTuple):
    call: PendingCall
    transport: str
    procedure: Procedure[Any] | None = None  # that is called; without, the port is asked for


def _procedure(version: type[Version], method: str) -> Procedure[Any]:
    for procedure in version._procedures.values():
        if procedure.method == method:
            return procedure
    raise UsageError(f"{version.__name__} has no method {method!r}")


def _answers(
    engine: ClientEngine,
    questions: dict[int, _Question],
    places: list[tuple[str, int]],
    timeout: float,
) -> Iterator[Answer]:
    deadline = time.monotonic() + timeout
    waits, again = pauses(_FIRST, _LAST), 0.0
    seen: set[str] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        while (now := time.monotonic()) < deadline and len(seen) < MAX_ANSWERS:
            if now >= again:
                _send(sock, questions, places)
                again = now + next(waits)
            if not poll.poll(max(0.0, min(again, deadline) - now) * 1000):
                continue
            with suppress(BlockingIOError, ConnectionError):
                data, sender = sock.recvfrom(65_535)
                answer = _answer(engine, questions, data, sender[0])
                if answer is not None and answer.url not in seen:
                    seen.add(answer.url)
                    yield answer


def _send(
    sock: socket.socket, questions: dict[int, _Question], places: list[tuple[str, int]]
) -> None:
    failure: OSError | None = None
    sent = 0
    for place in places:
        for question in questions.values():
            try:
                sock.sendto(question.call.message, place)
                sent += 1
            except OSError as error:
                failure = error
    if failure is not None and not sent and failure.errno != errno.EAGAIN:
        raise NotReached(f"no network to ask: {failure.strerror}") from failure


def _answer(
    engine: ClientEngine, questions: dict[int, _Question], data: bytes, host: str
) -> Answer | None:
    """What one datagram says; ``None`` for what is no answer, or one that says no."""
    question = questions.get(int.from_bytes(data[:4]))
    if question is None:
        return None
    engine.again(question.call)
    if engine.receive(data) is None:
        return None
    try:
        result = question.call.result()
        if question.procedure is None:
            return Answer(str(Endpoint(question.transport, host, _port(result))))
        assert isinstance(result, CallResult)
        place = Endpoint(question.transport, host, _port(result.port))
        return Answer(str(place), question.procedure.result_codec.unpack_whole(result.res))
    except (CallError, XdrError) as error:
        logger.debug("%s: %s", host, error)
        return None


def _port(number: int) -> int:
    if not 0 < number < 1 << 16:
        raise BadReply(f"{number} is no port")  # 0: not registered there
    return number
