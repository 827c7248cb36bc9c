"""What a datagram with a made-up sender can have our rpcbind send to somebody else."""

from rpcserver.rpcbind.table import MAX_REGISTRATIONS, MAX_TEXT, Registration
from rpcserver.servers.methods import answer
from tests.peers import wire
from tests.rpcbind.memory import FAR_UDP, UDP, MemoryRpcbind

PROG = 100000
MORE = 16
"""Bytes that a reply may have more than its question: the longest IPv6 address"""

ARGUMENTS = {
    "none": b"",
    "a mapping": wire.words(7, 1, 17, 0),
    "an rpcb": wire.words(7, 1, 0, 0, 0),
    "an empty string": wire.words(0),
    "a string": wire.opaque(b"127.0.0.1.0.111"),
    "a netbuf": wire.words(16) + wire.opaque(wire.words(0x0002006F, 0x7F000001, 0, 0)),
    "an IPv6 netbuf": wire.words(28) + wire.opaque(wire.words(0x000A006F, 0, *[-1] * 4, 0)),
    "a call": wire.words(7, 1, 0, 0),
}


def full() -> MemoryRpcbind:
    """One whose table is full, with addresses as long as they may be."""
    rpcbind = MemoryRpcbind()
    longest = "ffff:" * 7 + "ffff.255.255"
    for netid, address in (("udp", "255.255.255.255.255.255"), ("udp6", longest)):
        assert rpcbind.table.set(Registration(7, 1, netid, address))
    for number in range(MAX_REGISTRATIONS - 2):
        name = f"{number:x}".rjust(MAX_TEXT, "x")
        assert rpcbind.table.set(Registration(7, 1, name, "y" * MAX_TEXT))
    return rpcbind


def test_no_answer_is_much_longer_than_its_question() -> None:
    rpcbind = full()
    far6 = FAR_UDP._replace(address=("2001:db8::1", 4000, 0, 0), local=("2001:db8::2", 111, 0, 0))
    answered = set()
    for peer in (FAR_UDP, far6):
        for version in range(6):
            for procedure in range(16):
                for arguments in ARGUMENTS.values():
                    question = wire.call(PROG, version, procedure, arguments)
                    reply = answer(rpcbind.engine, question, peer) or b""
                    assert len(reply) <= len(question) + MORE, (version, procedure)
                    if reply and wire.parse_reply(reply).accept_stat == wire.SUCCESS:
                        answered.add((version, procedure))
    assert {(2, 3), (3, 3), (4, 3), (4, 9), (3, 7)} <= answered


def test_whoever_is_here_has_the_whole_list() -> None:
    question = wire.call(PROG, 4, 4)
    reply = answer(full().engine, question, UDP)
    assert reply is not None
    assert len(reply) > 1000 * len(question)
