"""Random calls to whatever rpcbind is on port 111 and /run/rpcbind.sock; its answers, a line each.

    python -m tests.rpcbind.differential SEED SEQUENCES

The same seed makes the same calls. Run as root, in a namespace; a call over the UNIX socket comes
from one of three users. A sequence starts with an empty table and has about eight calls. Most are
such as servers and their callers make; one in twenty is odd. rpcbind's own registrations are left
out of what DUMP answers.
"""

import os
import random
import sys

from rpcserver import xdr
from rpcserver.protocols.pmap_prot import PMAP_VERS, CallArgs, Mapping, PmaplistPtr
from rpcserver.protocols.rpcb_prot import (
    RPCBVERS,
    RPCBVERS4,
    Netbuf,
    Rpcb,
    RpcblistPtr,
    RpcbRmtcallargs,
)
from tests.peers import wire

SOCKET = "/run/rpcbind.sock"
LOOPBACK = ("127.0.0.1", 111)
RPCBIND = 100000
PROGS = [0x20000201, 0x20000202]
VERS = [1, 2, 3]
ADDRESSES = {
    "tcp": ["127.0.0.1.4.1", "0.0.0.0.4.2", "127.0.0.1.4.3"],
    "udp": ["127.0.0.1.4.1", "0.0.0.0.4.2"],
    "tcp6": ["::1.4.1", "::.4.2"],
    "udp6": ["::1.4.1"],
    "local": ["/run/a", "/run/b"],
}
CHANGES = ["set", "unset"]
QUESTIONS = ["getaddr", "getversaddr", "getaddrlist", "getport", "dump"]
SPOKEN = [PMAP_VERS, RPCBVERS, RPCBVERS4]
USERS = [0, 1000, 1001]


def exchange(transport: str, user: int, record: bytes, patience: float = 5) -> wire.Reply | None:
    """Send a call, over the UNIX socket as that user; `None` for silence."""
    if transport == "tcp":
        return wire.parse_reply(wire.tcp_exchange(LOOPBACK, record))
    if transport == "udp":
        answer = wire.udp_exchange(LOOPBACK, record, timeout=patience)
        return None if answer is None else wire.parse_reply(answer)
    os.seteuid(user)
    try:
        return wire.parse_reply(wire.unix_exchange(SOCKET, record))
    finally:
        os.seteuid(0)


def number(spoken: type, method: str) -> int | None:
    """The number of a procedure, if that version has it."""
    for procedure in spoken._procedures.values():  # type: ignore[attr-defined]
        if procedure.method == method:
            return int(procedure.number)
    return None


def clear() -> None:
    """Have the table empty."""
    for prog in PROGS:
        for vers in VERS:
            arguments = xdr.encode(Rpcb, Rpcb(prog, vers, "", "", ""))
            record = wire.call(RPCBIND, 4, 2, arguments)
            assert exchange("unix", 0, record) is not None


def usual(rng: random.Random) -> str:
    """A call such as servers and their callers make; what was asked and answered."""
    prog, vers = rng.choice(PROGS), rng.choice(VERS)
    netid = rng.choice(list(ADDRESSES))
    address = rng.choice(ADDRESSES[netid])
    method = rng.choice(CHANGES * 3 + QUESTIONS)
    spoken = rng.choice(SPOKEN)
    proc = number(spoken, method)
    if proc is None:
        return usual(rng)
    transport, user = rng.choice(["unix", "unix", "tcp", "udp"]), rng.choice(USERS)
    argument: object = None
    arguments = b""
    if spoken is PMAP_VERS and method != "dump":
        argument = Mapping(prog, vers, rng.choice([6, 17]), rng.choice([1025, 1026]))
        arguments = xdr.encode(Mapping, argument)
    elif method != "dump":
        if method == "unset" and rng.random() < 0.3:
            # Where it stops at another user's, the system's version 2 goes on with a wrong list.
            method, netid, transport, user = "unset all", "", "unix", 0
        if method == "getaddrlist" and transport == "unix":
            transport = "tcp"
        argument = Rpcb(prog, vers, netid, address if method == "set" else "", "root")
        arguments = xdr.encode(Rpcb, argument)
    reply = exchange(transport, user, wire.call(RPCBIND, spoken._vers, proc, arguments))
    assert reply is not None
    results = reply.results or b""
    answer: object = results.hex()
    if method == "dump" and spoken is PMAP_VERS:
        mapped = [each.map for each in xdr.decode(PmaplistPtr, results)]
        answer = [each for each in mapped if each.prog != RPCBIND]
    elif method == "dump":
        listed = [each.rpcb_map for each in xdr.decode(RpcblistPtr, results)]
        answer = [each for each in listed if each.r_prog != RPCBIND]
    return f"{spoken._vers} {method} {argument} -> {reply.accept_stat} {answer}"


def odd(rng: random.Random) -> str:
    """A call that few make; the table is as it was."""
    prog, vers = PROGS[0], 9
    # Silence takes its time, so there is little of it.
    silent = ["callit", "bcast", "indirect"] if rng.random() < 0.2 else []
    method = rng.choice(silent or ["set", "uaddr2taddr", "taddr2uaddr"])
    spoken = rng.choice(SPOKEN)
    proc = number(spoken, method)
    if proc is None:
        return odd(rng)
    transport = rng.choice(["unix", "tcp", "udp"])
    argument: object
    if method == "set":
        netid = rng.choice(["tcp", "udp6", "TCP", "sctp", ""])
        address = rng.choice(["", "nonsense", "127.0.0.1.0.0", "1.2.3.4.5", "::1.4.1"])
        argument = (
            Mapping(prog, vers, rng.choice([0, 6, 132]), rng.choice([0, 1025, 70000]))
            if spoken is PMAP_VERS
            else Rpcb(prog, vers, netid, address, "")
        )
        transport = "unix"
    elif method == "uaddr2taddr":
        argument = rng.choice(["", "127.0.0.1.4.1", "::1.4.1", "/run/a", "nonsense"])
    elif method == "taddr2uaddr":
        argument = Netbuf(16, rng.choice([b"", b"\2\0\4\1\x7f\0\0\1" + bytes(8), b"\1\0/run/a\0"]))
    else:
        called = prog, vers, 0, b""
        transport = "udp"
        argument = CallArgs(*called) if spoken is PMAP_VERS else RpcbRmtcallargs(*called)
    designator = xdr.String() if isinstance(argument, str) else type(argument)
    record = wire.call(RPCBIND, spoken._vers, proc, xdr.encode(designator, argument))
    reply = exchange(transport, 0, record, patience=0.3)
    if method == "set":
        netid = argument.r_netid if isinstance(argument, Rpcb) else ""
        for each in (netid, ""):
            undo = xdr.encode(Rpcb, Rpcb(prog, vers, each, "", ""))
            exchange("unix", 0, wire.call(RPCBIND, 4, 2, undo))
    answer = "silence" if reply is None else f"{reply.accept_stat} {(reply.results or b'').hex()}"
    return f"{spoken._vers} {method} over {transport} {argument} -> {answer}"


def main(seed: int, sequences: int) -> None:
    """A line for each answer."""
    rng = random.Random(seed)
    for _ in range(sequences):
        clear()
        print("---")
        for _ in range(rng.randint(4, 12)):
            print(odd(rng) if rng.random() < 0.05 else usual(rng))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
