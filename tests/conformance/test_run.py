"""The probes find what they are there for: servers with one fault each."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver.conform import PROBES, Result, Subject, run
from rpcserver.conform.answers import answer_in
from rpcserver.conform.result import Outcomes
from rpcserver.errors import NotReached, ProgMismatch, UsageError
from tests.conformance import faulty
from tests.conformance.faulty import CLOSE, Fault
from tests.peers import wire
from tests.rpc.echo import PROG


def probed(fault: Fault, transport: str = "tcp", timeout: float = 2) -> dict[str, str]:
    """What is wrong, by the name of the probe."""
    with faulty.serving(fault, transport) as url:
        results = list(run(url, PROG, 2, timeout=timeout, settle=0.01))
    return {each.probe.name: str(each.wrong) for each in results if not each.passed}


def word(message: bytes, at: int) -> int | None:
    return struct.unpack_from(">I", message, at)[0] if len(message) >= at + 4 else None


def other_xid(message: bytes, reply: bytes | None) -> list[bytes] | str:
    if word(message, 20) == 0x7FFF_FFFF and reply:
        return [b"oops" + reply[4:]]
    return faulty.sound(message, reply)


def any_version(message: bytes, reply: bytes | None) -> list[bytes] | str:
    if word(message, 8) == 3:
        return [message[:4] + wire.words(1, 0, 0, 0, 0)]
    return faulty.sound(message, reply)


def versions_from_0(message: bytes, reply: bytes | None) -> list[bytes] | str:
    if word(message, 8) == 3:
        return [message[:4] + wire.words(1, 1, 0, 0, 2)]
    return faulty.sound(message, reply)


def other_versions(message: bytes, reply: bytes | None) -> list[bytes] | str:
    if message[4:8] == bytes(4) and word(message, 16) == 0:
        return [message[:4] + wire.words(1, 0, 0, 0, 2, 3, 4)]
    return faulty.sound(message, reply)


def results_of_null(message: bytes, reply: bytes | None) -> list[bytes] | str:
    if word(message, 0) == 0xFFFF_FFFF and reply:
        return [reply + bytes(4)]
    return faulty.sound(message, reply)


def answers_replies(message: bytes, reply: bytes | None) -> list[bytes] | str:
    if word(message, 4) == 1:
        return [message[:4] + wire.words(1, 0, 0, 0, 0)]
    return faulty.sound(message, reply)


def closes_after_refusal(message: bytes, reply: bytes | None) -> list[bytes] | str:
    if reply and word(reply, 8) == 1:
        return CLOSE
    return faulty.sound(message, reply)


def twice(message: bytes, reply: bytes | None) -> list[bytes] | str:
    if word(message, 12) == 0 and reply:
        return [reply, reply]
    return faulty.sound(message, reply)


def any_groups(message: bytes, reply: bytes | None) -> list[bytes] | str:
    if word(message, 24) == 1 and word(message, 28) == 96:  # 17 groups
        return [message[:4] + wire.words(1, 0, 0, 0, 0)]
    return faulty.sound(message, reply)


def silent(message: bytes, reply: bytes | None) -> list[bytes] | str:
    return [] if word(message, 12) == 0 else faulty.sound(message, reply)


FAULTS: list[tuple[Fault, str, dict[str, str]]] = [
    (
        other_xid,
        "tcp",
        {
            "unknown-procedure": "silence (2147483647);"
            " a reply to no call: PROC_UNAVAIL (2147483647)"
        },
    ),
    (
        any_version,
        "tcp",
        {"rpcvers": "SUCCESS (3)", "rpcvers-first": "SUCCESS", "rpcvers-alone": "SUCCESS"},
    ),
    (
        versions_from_0,
        "udp",
        {
            "rpcvers": "malformed: RPC_MISMATCH 0 to 2 (3)",
            "rpcvers-first": "malformed: RPC_MISMATCH 0 to 2",
            "rpcvers-alone": "malformed: RPC_MISMATCH 0 to 2",
        },
    ),
    (
        other_versions,
        "tcp",
        {"unknown-version": "malformed: PROG_MISMATCH 3 to 4, and version 2 is there (0)"},
    ),
    (results_of_null, "udp", {"xid-echo": "malformed: 4 bytes behind SUCCESS (0xffffffff)"}),
    (answers_replies, "tcp", {"replies": "SUCCESS"}),
    (twice, "tcp", {"unknown-program": "PROG_UNAVAIL and PROG_UNAVAIL (0)"}),
    (any_groups, "udp", {"auth-sys-17-groups": "SUCCESS (17)"}),
    (silent, "tcp", {"unknown-program": "silence (0)"}),
]


def test_no_fault() -> None:
    assert probed(faulty.sound, "udp") == {}
    assert probed(faulty.sound, "tcp") == {}


@pytest.mark.parametrize(
    ("fault", "transport", "found"), FAULTS, ids=[each[0].__name__ for each in FAULTS]
)
def test_a_fault(fault: Fault, transport: str, found: dict[str, str]) -> None:
    assert probed(fault, transport) == found


def test_who_closes_instead() -> None:
    wrong = probed(closes_after_refusal)
    assert wrong["rpcvers"] == "closed"
    assert wrong["auth-sys-cut"] == "closed"


def test_who_is_deaf_afterwards() -> None:
    deaf = False

    def fault(message: bytes, reply: bytes | None) -> list[bytes] | str:
        nonlocal deaf
        deaf = deaf or word(message, 8) == 3
        return [] if deaf else faulty.sound(message, reply)

    with faulty.serving(fault) as url:
        results: dict[str, Result] = {}
        for each in run(url, PROG, 2, timeout=0.5, settle=0.01):
            results[each.probe.name] = each
            if each.probe.name == "rpcvers-first":
                break
    assert str(results["xid-echo"].wrong) == ""
    assert str(results["rpcvers"].wrong) == "deaf (3, 4294967295); afterwards nobody is served"
    assert str(results["rpcvers-first"].wrong) == "deaf; afterwards nobody is served"


def test_who_is_gone_afterwards() -> None:
    with faulty.serving(faulty.sound) as url:
        running = run(url, PROG, 2, timeout=1)
        assert next(running).passed
    gone = next(running)
    assert str(gone.came) == str(gone.wrong) == "afterwards nobody is served"


def test_who_answers_what_came_before_tls() -> None:
    def fault(message: bytes, reply: bytes | None) -> list[bytes] | str:
        if word(message, 24) == 7:
            return [message[:4] + wire.words(1, 0, 0, 8) + b"STARTTLS" + wire.words(0)]
        return faulty.sound(message, reply)

    wrong = probed(fault)
    assert "SUCCESS after STARTTLS, then closed" in wrong["starttls-injection"]


def test_who_is_not_there() -> None:
    with faulty.serving(faulty.sound) as url:
        with pytest.raises(ProgMismatch):
            next(run(url, PROG, 77, timeout=1))
        with pytest.raises(UsageError, match="procedure"):
            next(run(url, PROG, 2, arguments=b"1234"))
    with pytest.raises(NotReached):
        next(run(url, PROG, 2, timeout=1))


def test_the_table() -> None:
    names = [each.name for each in PROBES]
    assert len(set(names)) == len(names) > 60
    subject = Subject(PROG, 2, 1, wire.opaque(b"probe"))
    for each in PROBES:
        assert each.about.endswith((".", ")")) and each.section.startswith("RFC ")
        cases = list(each.cases(subject))
        assert cases
        labels = [case.label for case in cases]
        # What came is told by these.
        assert len(set(labels)) == len(labels) or each.name in ("unknown-flavor", "auth-dh"), each
        for case in cases:
            assert case.wanted
            assert all(case.wanted.values())


def test_outcomes_in_words() -> None:
    labels = ["1", "2", "3", "x", "7", "x"]
    assert str(Outcomes({"closed": labels, "SUCCESS": [""]})) == "closed (1-3, x, 7); SUCCESS"
    many = [str(number) for number in range(0, 40, 2)]
    assert str(Outcomes({"closed": many})) == "closed (0, 2, 4, 6, 8, 10, 12, 14, and 12 more)"


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_some_answer(rest: bytes, results: bool) -> None:
    assert answer_in(rest, 2, results)
    assert answer_in(wire.words(1, 1, 0, 0, len(rest)) + rest, 2, results)


def test_answers_by_hand() -> None:
    start = wire.words(9, 1)
    for text, reply in {
        "SUCCESS": wire.words(0, 0, 0, 0),
        "STARTTLS": wire.words(0, 0, 8) + b"STARTTLS" + wire.words(0),
        "PROG_MISMATCH": wire.words(0, 0, 0, 2, 2, 2),
        "RPC_MISMATCH": wire.words(1, 0, 2, 2),
        "AUTH_TOOWEAK": wire.words(1, 1, 5),
        "auth_stat 99": wire.words(1, 1, 99),
        "malformed: accept_stat 6": wire.words(0, 0, 0, 6),
        "malformed: reply_stat 2": wire.words(2),
        "malformed: reject_stat 2": wire.words(1, 2),
        "malformed: a verifier of 401 bytes": wire.words(0, 0, 401) + bytes(408),
        "malformed: 4 bytes behind AUTH_BADCRED": wire.words(1, 1, 1, 0),
        "malformed: 12 bytes, cut off": wire.words(0),
    }.items():
        assert answer_in(start + reply, 2) == text
    assert answer_in(wire.words(9, 0) + bytes(32), 2) == "malformed: message type 0"
    assert answer_in(start + wire.words(0, 0, 0, 0, 77), 2, True) == "SUCCESS"
