"""The rules for registering, with no RPC around them."""

import pytest

from rpcserver.rpcbind.table import MAX_TEXT, SUPERUSER, Registration, Table

PROG = 0x20000101


def entry(
    vers: int = 1, netid: str = "tcp", address: str = "127.0.0.1.4.1", owner: str = "1000"
) -> Registration:
    return Registration(PROG, vers, netid, address, owner)


def table(*entries: Registration) -> Table:
    made = Table()
    for each in entries:
        assert made.set(each)
    return made


def test_set_and_find() -> None:
    registered = table(entry())
    assert registered.find(PROG, 1, "tcp") == entry()
    assert registered.find(PROG, 1, "udp") is None
    assert registered.find(PROG + 1, 1, "tcp") is None


def test_set_again() -> None:
    registered = table(entry())
    assert registered.set(entry(owner=SUPERUSER)), "the same address"
    assert not registered.set(entry(address="127.0.0.1.4.2", owner=SUPERUSER)), "another one"
    assert registered.dump() == [entry()], "and the owner stays"


def test_find_falls_back_to_the_version_that_came_last() -> None:
    registered = table(entry(vers=3, address="127.0.0.1.4.3"), entry(vers=2))
    assert registered.find(PROG, 9, "tcp") == entry(vers=2)
    assert registered.find(PROG, 3, "tcp") == entry(vers=3, address="127.0.0.1.4.3")
    assert registered.find(PROG, 9, "tcp", exact=True) is None


@pytest.mark.parametrize("owner", ["1000", SUPERUSER])
def test_unset(owner: str) -> None:
    registered = table(entry(), entry(netid="udp"), entry(vers=2))
    assert registered.unset(PROG, 1, "tcp", owner)
    assert registered.dump() == [entry(netid="udp"), entry(vers=2)]
    assert registered.unset(PROG, 1, "tcp", owner), "what is not there"


def test_unset_every_netid() -> None:
    registered = table(entry(), entry(netid="udp"), entry(netid="local", address="/x"))
    assert registered.unset(PROG, 1, "", "1000")
    assert registered.dump() == []


def test_unset_stops_at_what_belongs_to_another() -> None:
    registered = table(entry(), entry(netid="tcp6", address="::1.4.1", owner="1001"), entry(2))
    assert not registered.unset(PROG, 1, "tcp6", "1000")
    assert not registered.unset(PROG, 1, "tcp6", "unknown")
    assert not registered.unset(PROG, 1, "", "1000")
    assert [each.owner for each in registered.dump()] == ["1001", "1000"]


@pytest.mark.parametrize(
    ("netid", "address"),
    [
        ("", "127.0.0.1.4.1"),
        ("tcp", ""),
        ("tcp", "rubbish"),
        ("tcp", "/run/x"),
        ("tcp", "127.0.0.1.0.0"),
        ("tcp", "127.0.0.1.256.1"),
        ("tcp", "::1.4.1"),
        ("tcp6", "127.0.0.1.4.1"),
        ("local", ""),
        ("local", "/" * (MAX_TEXT + 1)),
        ("x" * (MAX_TEXT + 1), "/x"),
    ],
)
def test_no_such_address(netid: str, address: str) -> None:
    registered = Table()
    assert not registered.set(entry(netid=netid, address=address))
    assert registered.dump() == []


@pytest.mark.parametrize(
    ("netid", "address"),
    [("tcp6", "::.4.1"), ("udp", "0.0.0.0.0.99"), ("local", "/x"), ("sctp", "whatever")],
)
def test_other_addresses(netid: str, address: str) -> None:
    assert Table().set(entry(netid=netid, address=address))


def test_a_full_table() -> None:
    registered = Table(limit=2)
    assert registered.set(entry()) and registered.set(entry(vers=2))
    assert not registered.set(entry(vers=3))
    assert registered.set(entry()), "what is there already needs no room"
    assert registered.unset(PROG, 1, "tcp", "1000")
    assert registered.set(entry(vers=3))


@pytest.mark.parametrize(
    ("address", "host", "answer"),
    [
        ("0.0.0.0.4.1", "198.51.100.2", "198.51.100.2.4.1"),
        ("0.0.0.0.4.1", "::1", "0.0.0.0.4.1"),
        ("0.0.0.0.4.1", None, "0.0.0.0.4.1"),
        ("::.4.1", "2001:db8::1", "2001:db8::1.4.1"),
        ("127.0.0.1.4.1", "198.51.100.2", "198.51.100.2.4.1"),
        ("127.0.0.2.4.1", "127.0.0.1", "127.0.0.2.4.1"),
        ("::1.4.1", "2001:db8::1", "2001:db8::1.4.1"),
        ("192.0.2.1.4.1", "198.51.100.2", "192.0.2.1.4.1"),
        ("/run/x", "198.51.100.2", "/run/x"),
    ],
)
def test_the_interface_that_was_asked(address: str, host: str | None, answer: str) -> None:
    assert entry(address=address).reached_at(host) == answer


def test_port() -> None:
    assert entry().port == 1025
    assert entry(netid="local", address="/x").port == 0
