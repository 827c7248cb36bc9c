"""Every type of Debian's `.x` files: what our codec writes, rpcgen's C reads and writes again."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from rpcserver import xdr
from rpcserver.testing import values
from tests.interop.c_values import for_c
from tests.peers.rpcsvc import FILES, File
from tests.peers.xdr_peer import XdrPeer, build_xdr_peer

WITH_C = [file for file in FILES if not file.no_c]
WITHOUT_C = [file for file in FILES if file.no_c]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, XdrPeer]]:
    """A C program for each file."""
    with ExitStack() as stack:
        found = {}
        for file in WITH_C:
            file.need()
            directory = tmp_path_factory.mktemp(file.name)
            peer = build_xdr_peer(file.path, directory, cflags=file.cflags)
            found[file.name] = stack.enter_context(peer)
        yield found


@pytest.mark.parametrize("file", WITH_C, ids=lambda file: file.name)
def test_the_bytes_of_every_type(peers: dict[str, XdrPeer], file: File) -> None:
    peer = peers[file.name]
    types = [each for each in peer.types if not each.endswith("_argument")]
    assert types
    for type_name in types:
        compare(peer, type_name, file.designator(type_name), file.chars)


def narrow(value: Any, chars: Collection[str]) -> None:
    """Leave of the fields ``chars`` what C's char holds, wherever they are in ``value``."""
    if isinstance(value, list):
        for each in value:
            narrow(each, chars)
    elif is_dataclass(value):
        for field in fields(value):
            held = getattr(value, field.name)
            if f"{type(value).__name__}.{field.name}" in chars:
                few = [n & 0x7F for n in held] if isinstance(held, list) else held & 0x7F
                setattr(value, field.name, few)
            else:
                narrow(held, chars)


def compare(peer: XdrPeer, type_name: str, kind: Any, chars: Collection[str]) -> None:
    """C decodes what we encode and writes the same bytes, which we decode to the same value."""

    @settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
    @given(for_c(kind, values(kind, max_size=5)))
    def run(value: Any) -> None:
        narrow(value, chars)
        data = xdr.encode(kind, value)
        recoded = peer.recode(type_name, data)
        assert recoded.data == data, type_name
        assert recoded.used == len(data), type_name
        assert xdr.decode(kind, recoded.data) == value, type_name

    run()


@pytest.mark.parametrize("file", WITHOUT_C, ids=lambda file: file.name)
def test_no_c_is_still_true(file: File, tmp_path: Path) -> None:
    file.need()
    with pytest.raises(AssertionError):
        build_xdr_peer(file.path, tmp_path / "c", cflags=file.cflags)
