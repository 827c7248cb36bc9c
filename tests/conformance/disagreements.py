"""Where a server does otherwise than the table of probes has it, and why.

Tests hold this to what comes: a disagreement that is not here fails, and so does one that is here
and does not happen. docs/conformance.md shows it.
"""

from typing import NamedTuple

from rpcserver.conform.answers import CLOSED, DEAF, PROC_UNAVAIL, PROG_MISMATCH, SILENCE, SUCCESS
from rpcserver.conform.probe import DATAGRAM, STREAM


class Disagreement(NamedTuple):
    """``came``: what any of the probes' cases may have got that must not come; ``always``:
    whether it has to be seen in every run."""

    server: str
    over: str
    probes: tuple[str, ...]
    came: tuple[str, ...]
    why: str
    always: bool = True


LIBTIRPC, RPCBIND, GANESHA = "libtirpc", "rpcbind", "NFS-Ganesha"
PLAIN = "plain socketserver"
ONE_AT_A_TIME = "`TCPServer`, `UnixStreamServer`"

_VERSION = ("rpcvers", "rpcvers-first")
_CUTS = ("credential-length-lies", "verifier-length-lies", "call-cut", "call-with-auth-sys-cut")
_AGO = (
    "reads the rest of the message from its buffer, where an earlier datagram was:"
    " somebody else's credential or arguments may be in it"
)

_CREDENTIALS = (
    "auth-sys-cut",
    "auth-sys-machine-name",
    "auth-sys-machine-name-lies",
    "auth-sys-17-groups",
    "auth-sys-group-count-lies",
    "credential-401",
    "credential-length-lies",
    "auth-short",
    "auth-dh",
    "rpcsec-gss",
    "unknown-flavor",
    "auth-tls",
    "auth-tls-misused",
    "bad-credential-elsewhere",
    "verifier-401",
    "verifier-length-lies",
    "call-cut",
    "call-with-auth-sys-cut",
)
_NAMES = (
    *_VERSION,
    "unknown-program",
    "unknown-version",
    "version-before-procedure",
    "program-before-version",
    "version-before-arguments",
    "rpcbomb",
)
_MINE = "knows one program, and answers any call as if it were for that"
_PLAIN = (
    (STREAM, _NAMES, (SUCCESS, PROC_UNAVAIL, "malformed: 16 bytes behind SUCCESS"), _MINE),
    (DATAGRAM, _NAMES, (SUCCESS, PROC_UNAVAIL, "malformed: 16 bytes behind SUCCESS"), _MINE),
    (
        STREAM,
        (*_CREDENTIALS, "starttls-injection"),
        (SUCCESS,),
        "looks at no credential, and takes all for good",
    ),
    (DATAGRAM, _CREDENTIALS, (SUCCESS,), "looks at no credential, and takes all for good"),
    (STREAM, ("msg-type", "replies"), (PROC_UNAVAIL, CLOSED), "answers what is no call"),
    (
        DATAGRAM,
        ("msg-type", "replies", "marked-datagram"),
        (PROC_UNAVAIL,),
        "answers what is no call: two such servers may do so for ever",
    ),
)

DISAGREEMENTS = (
    Disagreement(
        ONE_AT_A_TIME,
        STREAM,
        ("half-records-beside",),
        (DEAF,),
        "these serve one connection after the other, as `socketserver`'s do; the others do not",
    ),
    Disagreement(
        LIBTIRPC,
        STREAM,
        _VERSION,
        (CLOSED,),
        "a call header of another version is no message to its decoder",
    ),
    Disagreement(LIBTIRPC, DATAGRAM, _VERSION, (SILENCE,), "the same: there is no answer"),
    Disagreement(
        LIBTIRPC,
        STREAM,
        ("two-fragments", "empty-fragments"),
        (CLOSED,),
        "an empty fragment that is not the last ends the connection",
    ),
    Disagreement(
        LIBTIRPC,
        STREAM,
        ("huge-mark", "huge-second-fragment"),
        (SUCCESS,),
        "decodes as the bytes come, and answers before the record is whole",
    ),
    Disagreement(
        LIBTIRPC, STREAM, ("replies",), (CLOSED,), "a reply is no message to its decoder, either"
    ),
    Disagreement(
        LIBTIRPC,
        STREAM,
        ("half-records-beside",),
        (DEAF,),
        "waits up to 35 seconds for the rest of a record, and serves nobody meanwhile",
    ),
    Disagreement(LIBTIRPC, DATAGRAM, _CUTS, (SUCCESS, PROG_MISMATCH), _AGO),
    Disagreement(LIBTIRPC, DATAGRAM, ("arguments-cut",), (SUCCESS,), _AGO),
    Disagreement(RPCBIND, STREAM, _VERSION, (CLOSED,), "libtirpc's"),
    Disagreement(RPCBIND, DATAGRAM, _VERSION, (SILENCE,), "libtirpc's"),
    Disagreement(RPCBIND, STREAM, ("replies",), (CLOSED,), "libtirpc's"),
    Disagreement(RPCBIND, DATAGRAM, _CUTS, (SUCCESS, PROG_MISMATCH), "libtirpc's"),
    Disagreement(
        RPCBIND,
        STREAM,
        (
            "two-fragments",
            "fragments-of-one-byte",
            "empty-fragments",
            "fragments-apart",
            "large-record",
        ),
        (CLOSED, f"{SUCCESS}, then {CLOSED}"),
        "libtirpc with a limit on records, which rpcbind sets, takes none of more than one"
        " fragment",
    ),
    Disagreement(
        GANESHA,
        STREAM,
        _VERSION,
        (CLOSED, SILENCE),
        "as libtirpc, whose code it began with; by then another thread may have answered the next"
        " call",
    ),
    Disagreement(GANESHA, DATAGRAM, _VERSION, (SILENCE,), "as libtirpc"),
    Disagreement(
        GANESHA,
        STREAM,
        ("two-fragments", "fragments-of-one-byte", "empty-fragments", "fragments-apart"),
        (CLOSED, SILENCE, f"{SUCCESS}, then {CLOSED}"),
        "numbers are not put together from two fragments, and empty ones end the connection",
    ),
    Disagreement(
        GANESHA,
        STREAM,
        ("replies",),
        (CLOSED,),
        "a reply that cannot be decoded ends the connection, unless another thread has"
        " answered the next call by then; others are borne",
        always=False,
    ),
    Disagreement(GANESHA, DATAGRAM, _CUTS, (SUCCESS, PROG_MISMATCH), f"as libtirpc, {_AGO}"),
    *(Disagreement(PLAIN, *each) for each in _PLAIN),
)


def known(server: str, over: str) -> dict[str, Disagreement]:
    """By the name of the probe."""
    return {
        probe: each
        for each in DISAGREEMENTS
        if (each.server, each.over) == (server, over)
        for probe in each.probes
    }
