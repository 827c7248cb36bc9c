"""Addresses in the transports' own forms, against what Linux's rpcbind answers."""

import pytest

from rpcserver.rpcbind import taddr

INET = bytes.fromhex("0200 0401 7f000001 0000000000000000")
INET6 = bytes.fromhex("0a00 0401 00000000") + bytes(15) + b"\x01" + bytes(4)
CASES = [
    ("tcp", "127.0.0.1.4.1", 16, INET),
    ("udp6", "::1.4.1", 28, INET6),
    ("local", "/tmp/x", 110, b"\x01\x00/tmp/x"),
]


@pytest.mark.parametrize(("netid", "uaddr", "maxlen", "data"), CASES)
def test_both_ways(netid: str, uaddr: str, maxlen: int, data: bytes) -> None:
    made = taddr.netbuf(netid, uaddr)
    assert (made.maxlen, made.buf[2:]) == (maxlen, data[2:])
    assert int.from_bytes(data[:2], "little") == memoryview(made.buf[:2]).cast("H")[0]
    assert taddr.address(netid, made.buf) == uaddr


@pytest.mark.parametrize(
    ("netid", "uaddr"),
    [("tcp", "::1.4.1"), ("tcp6", "127.0.0.1.4.1"), ("tcp", ""), ("local", ""), ("udp", "x.1.1")],
)
def test_no_address(netid: str, uaddr: str) -> None:
    made = taddr.netbuf(netid, uaddr)
    assert (made.maxlen, made.buf) == (0, b"")


def test_a_path_that_does_not_fit() -> None:
    assert taddr.netbuf("local", "/" * 108).maxlen == 110
    assert taddr.netbuf("local", "/" * 109).maxlen == 0


@pytest.mark.parametrize("netid", ["tcp", "tcp6", "local"])
@pytest.mark.parametrize("data", [b"", b"\x02", INET[:15], INET6[:27]])
def test_no_taddr(netid: str, data: bytes) -> None:
    if netid != "local" or len(data) < 3:
        assert taddr.address(netid, data) == ""
