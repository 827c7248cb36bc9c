"""Calls by hand and the answers that the RFC gives them: one table for every transport.

A row is a name, the call message, and the answer as the fields of ``wire.Reply`` that matter;
``None`` is silence. The services are ``tests.rpc.echo``'s, versions 2 and 5.
"""

from typing import Any

from tests.peers import wire
from tests.peers.wire import auth_sys, call, opaque, words
from tests.rpc.echo import PROG

ECHO = opaque(b"hello")


def accepted(stat: int, **more: Any) -> dict[str, Any]:
    return {"reply_stat": wire.MSG_ACCEPTED, "accept_stat": stat, "verf_flavor": 0, **more}


def refused(stat: int) -> dict[str, Any]:
    return {"reply_stat": wire.MSG_DENIED, "reject_stat": wire.AUTH_ERROR, "auth_stat": stat}


MISMATCH = {"reply_stat": wire.MSG_DENIED, "reject_stat": wire.RPC_MISMATCH, "low": 2, "high": 2}
GARBAGE = accepted(wire.GARBAGE_ARGS)
OK = accepted(wire.SUCCESS, results=ECHO)

CASES: list[tuple[str, bytes, dict[str, Any] | None]] = [
    ("success", call(PROG, 2, 1, ECHO), OK),
    ("the other version", call(PROG, 5, 1, ECHO), OK),
    ("two arguments", call(PROG, 2, 2, words(2, -3)), accepted(0, results=words(-1))),
    ("NULL", call(PROG, 2, 0), accepted(0, results=b"")),
    ("NULL of a version that does not declare it", call(PROG, 5, 0), accepted(0, results=b"")),
    ("NULL with arguments", call(PROG, 2, 0, words(1)), GARBAGE),
    ("AUTH_SYS", call(PROG, 2, 1, ECHO, flavor=1, body=auth_sys()), OK),
    ("a verifier that AUTH_NONE does not need", call(PROG, 2, 1, ECHO, verf_body=b"xyz"), OK),
    # RFC 5531 section 9: rpcvers not 2
    ("RPC version 1", call(PROG, 2, 1, ECHO, rpcvers=1), MISMATCH),
    ("RPC version 3", call(PROG, 2, 1, ECHO, rpcvers=3), MISMATCH),
    ("RPC version 3, another header", words(1, 0, 3), MISMATCH),
    # PROG_UNAVAIL, PROG_MISMATCH with low and high, PROC_UNAVAIL
    ("unknown program", call(PROG + 1, 2, 1, ECHO), accepted(wire.PROG_UNAVAIL)),
    ("version too low", call(PROG, 1, 1, ECHO), accepted(wire.PROG_MISMATCH, low=2, high=5)),
    ("version too high", call(PROG, 6, 1, ECHO), accepted(wire.PROG_MISMATCH, low=2, high=5)),
    ("version between", call(PROG, 3, 1, ECHO), accepted(wire.PROG_MISMATCH, low=2, high=5)),
    ("version 0, as rpcinfo asks", call(PROG, 0, 0), accepted(wire.PROG_MISMATCH, low=2, high=5)),
    ("unknown procedure", call(PROG, 2, 99), accepted(wire.PROC_UNAVAIL)),
    # GARBAGE_ARGS
    ("no arguments", call(PROG, 2, 1), GARBAGE),
    ("arguments cut off", call(PROG, 2, 1, ECHO[:-4]), GARBAGE),
    ("an odd number of bytes", call(PROG, 2, 1, ECHO[:-1]), GARBAGE),
    ("one argument of two", call(PROG, 2, 2, words(1)), GARBAGE),
    ("trailing bytes", call(PROG, 2, 1, ECHO + words(0)), GARBAGE),
    ("padding that is not zero", call(PROG, 2, 1, ECHO[:-1] + b"\1"), GARBAGE),
    ("over the limit", call(PROG, 2, 1, opaque(bytes(65))), GARBAGE),
    ("a length beyond the end", call(PROG, 2, 1, words(0xFFFFFFFF)), GARBAGE),
    # AUTH_ERROR
    ("unknown flavor", call(PROG, 2, 1, ECHO, flavor=99), refused(2)),
    ("AUTH_DH", call(PROG, 2, 1, ECHO, flavor=3), refused(2)),
    ("AUTH_SYS without a body", call(PROG, 2, 1, ECHO, flavor=1), refused(1)),
    ("AUTH_SYS cut off", call(PROG, 2, 1, ECHO, flavor=1, body=auth_sys()[:-4]), refused(1)),
    (
        "AUTH_SYS, trailing",
        call(PROG, 2, 1, ECHO, flavor=1, body=auth_sys() + words(0)),
        refused(1),
    ),
    (
        "AUTH_SYS with 17 groups",
        call(PROG, 2, 1, ECHO, flavor=1, body=auth_sys(gids=range(17))),
        refused(1),
    ),
    (
        "AUTH_SYS with a long machine name",
        call(PROG, 2, 1, ECHO, flavor=1, body=auth_sys(machine=bytes(256))),
        refused(1),
    ),
    ("a credential of 404 bytes", call(PROG, 2, 1, ECHO, body=bytes(404)), refused(1)),
    ("a verifier of 404 bytes", call(PROG, 2, 1, ECHO, verf_body=bytes(404)), refused(3)),
    ("a header cut off in the credential", call(PROG, 2, 1)[:28], refused(1)),
    ("a header cut off in the verifier", call(PROG, 2, 1)[:36], refused(3)),
    ("authentication comes before the program", call(PROG + 1, 2, 1, flavor=99), refused(2)),
    # the method
    ("a method that raises", call(PROG, 2, 4, words(0)), accepted(wire.SYSTEM_ERR)),
    ("a method that says PROC_UNAVAIL", call(PROG, 2, 4, words(1)), accepted(wire.PROC_UNAVAIL)),
    ("a method that refuses the caller", call(PROG, 2, 4, words(2)), refused(5)),
    ("a result of the wrong type", call(PROG, 2, 4, words(3)), accepted(wire.SYSTEM_ERR)),
    # what nobody can answer
    ("a reply", words(1, 1, 0, 0, 0, 0), None),
    ("neither call nor reply", words(1, 2, 2, PROG, 2, 0), None),
    ("a header cut off before the procedure", call(PROG, 2, 1)[:20], None),
    ("less than a header", words(1, 0), None),
    ("nothing", b"", None),
]
