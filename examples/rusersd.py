"""Who is logged in on this Linux host, as its utmp says: versions 2 and 3 of idl/rusers.x.

    rpcserver serve examples.rusersd:Rusers2 examples.rusersd:Rusers3

``rusers -l HOST`` prints them; it calls version 2.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from struct import Struct

from generated import rusers
from rpcserver import rpc

UTMP = Path("/run/utmp")
RECORD = Struct("hi32s4s32s256shhiii4I20x")  # see utmp(5)


def logins() -> Iterator[tuple[bytes, bytes, bytes, int, int]]:
    """User, terminal, where from, since when, and minutes without a key."""
    data = UTMP.read_bytes() if UTMP.exists() else b""
    for kind, _, line, _, user, host, _, _, _, since, *_ in RECORD.iter_unpack(data):
        if kind == rusers.RUSERS_USER_PROCESS:
            line = line.rstrip(b"\0")
            yield user.rstrip(b"\0"), line, host.rstrip(b"\0"), since, idle(line.decode())


def idle(line: str) -> int:
    """Minutes since a key was pressed at a terminal, 0 if it is none."""
    terminal = Path("/dev", line)
    return max(0, int(time.time() - terminal.stat().st_atime)) // 60 if terminal.exists() else 0


@rpc.idempotent
class Rusers2(rusers.RusersversIdleService):
    def num(self, call: rpc.Call, /) -> int:
        return len(list(logins()))

    def names(self, call: rpc.Call, /) -> list[rusers.Utmpidle]:
        def cut(text: bytes, size: int) -> bytes:
            return text[:size].ljust(size, b"\0")

        return [
            rusers.Utmpidle(rusers.RuUtmp(cut(line, 8), cut(user, 8), cut(host, 16), since), idle)
            for user, line, host, since, idle in logins()
        ][: rusers.MAXUSERS]

    allnames = names


@rpc.idempotent
class Rusers3(rusers.Rusersvers3Service):
    def num(self, call: rpc.Call, /) -> int:
        return len(list(logins()))

    def names(self, call: rpc.Call, /) -> list[rusers.RusersUtmp]:
        kind = rusers.RUSERS_USER_PROCESS
        return [
            rusers.RusersUtmp(user.decode(), line.decode(), host.decode(), kind, since, idle)
            for user, line, host, since, idle in logins()
        ]

    allnames = names
