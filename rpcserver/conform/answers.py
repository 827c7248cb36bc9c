"""What may come back for a call, each as a word or two, and how a reply is read.

Nothing here uses the library's own codec: a fault of that must not hide itself.
"""

from __future__ import annotations

import struct

SILENCE = "silence"
"""No answer, and the next call over the same connection has one"""

CLOSED = "closed"
"""The server closed the connection instead"""

DEAF = "deaf"
"""No answer, and none to later calls over the same connection either"""

SUCCESS = "SUCCESS"
STARTTLS = "STARTTLS"  # SUCCESS, with the verifier of RFC 9289 section 4.1
PROG_UNAVAIL = "PROG_UNAVAIL"
PROG_MISMATCH = "PROG_MISMATCH"
PROC_UNAVAIL = "PROC_UNAVAIL"
GARBAGE_ARGS = "GARBAGE_ARGS"
SYSTEM_ERR = "SYSTEM_ERR"
RPC_MISMATCH = "RPC_MISMATCH"
AUTH_BADCRED = "AUTH_BADCRED"
AUTH_REJECTEDCRED = "AUTH_REJECTEDCRED"
AUTH_BADVERF = "AUTH_BADVERF"
AUTH_REJECTEDVERF = "AUTH_REJECTEDVERF"
AUTH_TOOWEAK = "AUTH_TOOWEAK"
AUTH_FAILED = "AUTH_FAILED"
RPCSEC_GSS_CREDPROBLEM = "RPCSEC_GSS_CREDPROBLEM"
RPCSEC_GSS_CTXPROBLEM = "RPCSEC_GSS_CTXPROBLEM"

AUTH_ERROR = (
    AUTH_BADCRED,
    AUTH_REJECTEDCRED,
    AUTH_TOOWEAK,
    AUTH_FAILED,
    RPCSEC_GSS_CREDPROBLEM,
    RPCSEC_GSS_CTXPROBLEM,
)
"""Refusals of a credential, whatever the reason"""

UNREADABLE = (AUTH_BADCRED, AUTH_BADVERF, GARBAGE_ARGS, SILENCE, CLOSED)
"""For a call that cannot be decoded as a message: the RFC leaves open which, but never SUCCESS"""

_ACCEPT_STAT = (SUCCESS, PROG_UNAVAIL, PROG_MISMATCH, PROC_UNAVAIL, GARBAGE_ARGS, SYSTEM_ERR)
_AUTH_STAT = {
    1: AUTH_BADCRED,
    2: AUTH_REJECTEDCRED,
    3: AUTH_BADVERF,
    4: AUTH_REJECTEDVERF,
    5: AUTH_TOOWEAK,
    6: "AUTH_INVALIDRESP",
    7: AUTH_FAILED,
    13: RPCSEC_GSS_CREDPROBLEM,
    14: RPCSEC_GSS_CTXPROBLEM,
}
_MAX_VERIFIER = 400


class _Malformed(Exception):
    """A reply that no server may send."""


def answer_in(reply: bytes, vers: int, results: bool = False) -> str:
    """What a reply message says, "malformed: ..." for one that is against RFC 5531 section 9.

    ``vers`` is a version that the server has, and must say it has; ``results``: whether a success
    may bring any.
    """
    try:
        return _Reading(reply).answer(vers, results)
    except struct.error:
        return f"malformed: {len(reply)} bytes, cut off"
    except _Malformed as error:
        return f"malformed: {error}"


class _Reading:
    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._at = 4  # behind the xid

    def _uint(self) -> int:
        (number,) = struct.unpack_from(">I", self._reply, self._at)
        self._at += 4
        return int(number)

    def answer(self, vers: int, results: bool) -> str:
        if (mtype := self._uint()) != 1:
            raise _Malformed(f"message type {mtype}")
        match self._uint():
            case 0:
                found = self._accepted(vers)
                results = results and found == SUCCESS
            case 1:
                found, results = self._denied(), False
            case stat:
                raise _Malformed(f"reply_stat {stat}")
        left = len(self._reply) - self._at
        if left and not results:
            raise _Malformed(f"{left} bytes behind {found}")
        return found

    def _accepted(self, vers: int) -> str:
        flavor, size = self._uint(), self._uint()
        if size > _MAX_VERIFIER:
            raise _Malformed(f"a verifier of {size} bytes")
        body = self._reply[self._at : self._at + size]
        self._at += size + -size % 4
        stat = self._uint()
        if stat >= len(_ACCEPT_STAT):
            raise _Malformed(f"accept_stat {stat}")
        found = _ACCEPT_STAT[stat]
        if found == PROG_MISMATCH:
            low, high = self._uint(), self._uint()
            if not low <= vers <= high:
                raise _Malformed(f"{found} {low} to {high}, and version {vers} is there")
        if found == SUCCESS and flavor == 0 and body == b"STARTTLS":
            return STARTTLS
        return found

    def _denied(self) -> str:
        match self._uint():
            case 0:
                low, high = self._uint(), self._uint()
                if (low, high) != (2, 2):
                    raise _Malformed(f"{RPC_MISMATCH} {low} to {high}")
                return RPC_MISMATCH
            case 1:
                stat = self._uint()
                return _AUTH_STAT.get(stat, f"auth_stat {stat}")
            case stat:
                raise _Malformed(f"reject_stat {stat}")
