"""The attacks with datagrams, and those on credentials and on the portmapper."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from benchmarks.survival import targets
from benchmarks.survival.attacks import NotForIt, Outcome
from benchmarks.survival.targets import ELSEWHERE, PORTMAP, Running
from tests.peers import wire

WAIT = 0.3
"""Seconds in which an answer over loopback has come, if one comes"""


def credentials(it: Running) -> Outcome:
    """AUTH_SYS credentials that are none: too many groups, names and lengths that lie, too long."""
    taken = silent = refused = 0
    for body, length in _bad_credentials():
        call = it.target.call(0, flavor=wire.AUTH_SYS, body=body)
        if length is not None:  # that of the body, which says something else
            call = call[:28] + wire.words(length) + call[32:]
        for reply in (_over_tcp(it, call), _over_udp(it, call)):
            if reply is None:
                silent += 1
            elif reply.accept_stat == wire.SUCCESS:
                taken += 1
            else:
                refused += 1
    said = f"refused {refused}, silent {silent}, taken {taken}"
    return Outcome(said, f"{taken} were taken" if taken else "", {"taken": taken})


def _bad_credentials() -> Iterator[tuple[bytes, int | None]]:
    good = wire.auth_sys()
    yield wire.auth_sys(gids=range(17)), None
    yield wire.auth_sys(gids=range(80)), None
    yield good[:-4] + wire.words(-1), None  # so many groups that their bytes overflow
    yield good[:-4] + wire.words(0x4000_0001) + bytes(64), None
    yield good[:-4] + wire.words(16), None  # and none of them there
    yield wire.words(0, 0xFFFF_FFFF) + bytes(16), None  # the machine's name
    yield wire.words(0, 0xFFFF_FFFC) + bytes(16), None
    yield wire.auth_sys(machine=b"m" * 256), None
    yield good[:7], None
    yield b"", None
    yield bytes(401), None
    yield good, 0xFFFF_FFFF
    yield good, 0x7FFF_FFFC
    yield good, 4


def _over_tcp(it: Running, call: bytes) -> wire.Reply | None:
    try:
        with it.connect() as stream:
            stream.socket.settimeout(WAIT)
            stream.send(wire.frame(call))
            return wire.parse_reply(stream.read_record())
    except (OSError, EOFError):
        return None


def _over_udp(it: Running, call: bytes) -> wire.Reply | None:
    reply = _answer(it, call)
    return wire.parse_reply(reply) if reply else None


def _answer(it: Running, call: bytes, host: str = "127.0.0.1") -> bytes | None:
    with it.datagrams(host) as sock:
        sock.settimeout(WAIT)
        try:
            sock.send(call)
            return sock.recv(65535)
        except OSError:
            return None


def duplicates(it: Running) -> Outcome:
    """A call that must not run twice comes five times."""
    if not it.target.types:
        raise NotForIt("it has no such call")
    with it.datagrams() as sock:
        sock.settimeout(WAIT)
        for _ in range(5):
            sock.send(it.target.call(targets.COUNT, xid=77))
        answers = 0
        try:
            while sock.recv(100):
                answers += 1
        except TimeoutError:
            pass
        sock.send(it.target.call(targets.COUNT, xid=78))
        results = wire.parse_reply(sock.recv(100)).results or b""
    times = int.from_bytes(results) - 1
    failed = "" if times == 1 else f"it ran {times} times"
    return Outcome(f"ran {times} times, {answers} answers", failed, {"times": times})


def bomb(it: Running) -> Outcome:
    """400 calls, each with a string of which only its length is there, 100 MB (CVE-2017-8779)."""
    length = wire.words(100_000_000)
    if it.target.portmap:
        calls = [wire.call(PORTMAP, 4, proc, length) for proc in (7, 8)]
        calls.append(wire.call(PORTMAP, 4, 3, wire.words(7, 1) + length))
    else:
        calls = [it.target.call(targets.ECHO, length)]
    before = it.peak
    for call in calls:
        with it.connect() as stream, it.datagrams() as sock:
            stream.socket.settimeout(WAIT)
            try:
                for _ in range(200 // len(calls)):
                    sock.send(call)
                    stream.send(wire.frame(call))
                    stream.read_record()
            except (OSError, EOFError):
                continue
    grown = max(0, it.peak - before) / (1 << 20)
    failed = f"it keeps {grown:.0f} MiB" if grown > 100 else ""
    return Outcome(f"{grown:.0f} MiB more", failed, {"grown_mib": grown})


QUESTIONS = {
    "v2 NULL": wire.call(PORTMAP, 2, 0),
    "v2 GETPORT": wire.call(PORTMAP, 2, 3, wire.words(PORTMAP, 2, 17, 0)),
    "v2 DUMP": wire.call(PORTMAP, 2, 4),
    "v2 CALLIT": wire.call(PORTMAP, 2, 5, wire.words(PORTMAP, 2, 4, 0)),
    "v3 GETADDR": wire.call(PORTMAP, 3, 3, wire.words(PORTMAP, 3, 0, 0, 0)),
    "v3 DUMP": wire.call(PORTMAP, 3, 4),
    "v3 UADDR2TADDR": wire.call(PORTMAP, 3, 7, wire.opaque(b"127.0.0.1.0.1")),
    "v4 DUMP": wire.call(PORTMAP, 4, 4),
    "v4 GETADDRLIST": wire.call(PORTMAP, 4, 11, wire.words(PORTMAP, 4, 0, 0, 0)),
    "v4 GETSTAT": wire.call(PORTMAP, 4, 12),
    "v9": wire.call(PORTMAP, 9, 0),
}


def reflection(it: Running) -> Outcome:
    """Datagrams of another host, which may be made up: bytes out for each byte in."""
    if not it.target.portmap:
        raise NotForIt("it is no portmapper")
    _register_many(it)
    sizes = {name: len(_answer(it, call, ELSEWHERE) or b"") for name, call in QUESTIONS.items()}
    ratios = {name: size / len(QUESTIONS[name]) for name, size in sizes.items()}
    worst = max(ratios, key=ratios.__getitem__)
    failed = "more goes out than comes in" if ratios[worst] > 1.5 else ""
    return Outcome(f"{ratios[worst]:.1f} x ({worst})", failed, {"ratio": ratios[worst]})


def _register_many(it: Running) -> None:
    """What a server of NFS has registered, and a bit more."""
    with it.datagrams() as sock:
        for number in range(60):
            mapping = wire.words(0x2000_0000 + number, 1, socket.IPPROTO_UDP, 2000 + number)
            sock.send(wire.call(PORTMAP, 2, 1, mapping, xid=number))
            sock.recv(100)
