"""Random calls to whatever rpcbind is on port 111 and /run/rpcbind.sock; its answers, a line each.

    python -m tests.rpcbind.differential SEED COUNT

The same seed makes the same calls. Run as root, in a namespace; a call over the UNIX socket comes
from one of three users. rpcbind's own registrations are left out of what DUMP answers.
"""

import os
import random
import sys

from rpcserver import xdr
from rpcserver.protocols.pmap_prot import PMAP_VERS, Mapping, PmaplistPtr
from rpcserver.protocols.rpcb_prot import RPCBVERS, RPCBVERS4, Rpcb, RpcblistPtr
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


def exchange(rng: random.Random, method: str, record: bytes) -> bytes:
    """Send a call over a random transport as a random user, and return the reply."""
    transport = rng.choice(["unix", "unix", "tcp", "udp"])
    user = rng.choice([0, 1000, 1001])
    if method == "getaddrlist" and transport == "unix":
        transport = "tcp"  # the system's rpcbind does not always answer it over the UNIX socket
    if method == "unset all":
        # Where it stops at another user's, the system's version 2 goes on with a wrong list.
        transport, user = "unix", 0
    if transport == "tcp":
        return wire.tcp_exchange(LOOPBACK, record)
    if transport == "udp":
        answer = wire.udp_exchange(LOOPBACK, record)
        assert answer is not None
        return answer
    os.seteuid(user)
    try:
        return wire.unix_exchange(SOCKET, record)
    finally:
        os.seteuid(0)


def call(rng: random.Random) -> str:
    """Make one random call; what was asked and answered."""
    prog, vers = rng.choice(PROGS), rng.choice(VERS)
    netid = rng.choice(list(ADDRESSES))
    address = rng.choice(ADDRESSES[netid])
    method = rng.choice(CHANGES * 3 + QUESTIONS)
    spoken = rng.choice([PMAP_VERS, RPCBVERS, RPCBVERS4])
    found = [p for p in spoken._procedures.values() if p.method == method]
    if not found:
        return call(rng)
    argument: object
    if method == "dump":
        arguments = b""
        argument = None
    elif spoken is PMAP_VERS:
        argument = Mapping(prog, vers, rng.choice([6, 17]), rng.choice([1025, 1026]))
        arguments = xdr.encode(Mapping, argument)
    else:
        if method == "unset" and rng.random() < 0.3:
            method, netid = "unset all", ""
        argument = Rpcb(prog, vers, netid, address if method == "set" else "", "root")
        arguments = xdr.encode(Rpcb, argument)
    record = wire.call(spoken._prog, spoken._vers, found[0].number, arguments)
    reply = wire.parse_reply(exchange(rng, method, record))
    results = reply.results or b""
    answer: object = results.hex()
    if method == "dump" and spoken is PMAP_VERS:
        mapped = [each.map for each in xdr.decode(PmaplistPtr, results)]
        answer = [each for each in mapped if each.prog != RPCBIND]
    elif method == "dump":
        listed = [each.rpcb_map for each in xdr.decode(RpcblistPtr, results)]
        answer = [each for each in listed if each.r_prog != RPCBIND]
    return f"{spoken._vers} {method} {argument} -> {reply.accept_stat} {answer}"


if __name__ == "__main__":
    source = random.Random(int(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        print(call(source))
