"""idl/*.x against the system's files of the same protocols, by way of rpcgen's C.

What our module encodes is decoded and encoded again by the C made from the system's file, and by
the C made from ours; all numbers of the system's file are in our module; all its procedures have
the same types.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from rpcserver import rpc, xdr
from rpcserver.testing import values
from tests.interop.c_values import for_c
from tests.interop.idl_modules import NAMES, designator, module, path, versions
from tests.peers.need import unavailable
from tests.peers.xdr_peer import XdrPeer, build_xdr_peer

SYSTEM = Path("/usr/include/rpcsvc")
# The types of each of its files. The numbers of NFS version 3, NLM version 4 and VXI-11, which it
# has not, are tshark's to judge, and the instruments' and servers' themselves.
BOTH = {
    "mount": [
        "dirpath",
        "exportnode",
        "exports",
        "fhandle",
        "fhstatus",
        "groupnode",
        "groups",
        "mountbody",
        "mountlist",
        "name",
    ],
    "nfs_prot": [
        "attrstat",
        "createargs",
        "diropargs",
        "diropokres",
        "diropres",
        "dirlist",
        "entry",
        "fattr",
        "filename",
        "ftype",
        "linkargs",
        "nfs_fh",
        "nfscookie",
        "nfspath",
        "nfsstat",
        "nfstime",
        "readargs",
        "readdirargs",
        "readdirres",
        "readlinkres",
        "readokres",
        "readres",
        "renameargs",
        "sattr",
        "sattrargs",
        "statfsokres",
        "statfsres",
        "symlinkargs",
        "writeargs",
    ],
    "rquota": ["getquota_args", "getquota_rslt", "gqr_status", "rquota"],
    "rstat": ["rstat_timeval", "stats", "statsswtch", "statstime"],
    "rusers": ["rusers_utmp", "utmp_array", "utmparr", "utmpidlearr"],
    "sm_inter": ["mon", "mon_id", "my_id", "res", "sm_name", "sm_stat", "sm_stat_res", "status"],
    "yp": [
        "domainname",
        "keydat",
        "mapname",
        "peername",
        "valdat",
        "ypbind_binding",
        "ypbind_resp",
        "ypbind_resptype",
        "ypbind_setdom",
        "ypmap_parms",
        "ypmaplist",
        "yppush_status",
        "yppushresp_xfr",
        "ypreq_key",
        "ypreq_nokey",
        "ypreq_xfr",
        "ypresp_all",
        "ypresp_key_val",
        "ypresp_maplist",
        "ypresp_master",
        "ypresp_order",
        "ypresp_val",
        "ypresp_xfr",
        "ypstat",
        "ypxfrstat",
    ],
    "yppasswd": ["passwd", "yppasswd"],
}
# Where our yp.x follows the programs and not Sun's file.
NOT_AS_THERE = {"ypresp_all", "ypproc_first_2"}
# Version 2's routines are C in its rusers.x and declared in another way than rpcgen does.
MORE_ROUTINES = """
#ifdef RPC_HDR
%extern bool_t xdr_utmparr (XDR *, struct utmparr *);
%extern bool_t xdr_utmpidlearr (XDR *, struct utmpidlearr *);
#endif
"""
# libtirpc has another netobj.
RENAMED = "#include <rpc/rpc.h>\n#define netobj nlm4_netobj\n#define xdr_netobj xdr_nlm4_netobj\n"

_DEFINE = re.compile(r"^#define (\w+) \(?(-?\w+)\)?$", re.MULTILINE)
_MEMBER = re.compile(r"^\t(\w+) = (-?\w+),?$", re.MULTILINE)
_STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_MEMBER_NAME = re.compile(r"(\w+)(?:\[\w+\])?;$", re.MULTILINE)
_PROTOTYPE = re.compile(r"^extern\s+enum clnt_stat (\w+)\((.*), CLIENT \*\);", re.MULTILINE)


class Peers:
    """The C programs, each built when it is first asked for."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._running: dict[Path, XdrPeer] = {}

    def directory(self, kind: str, name: str) -> Path:
        return self._directory / kind / name

    def _start(self, source: Path, *cflags: str) -> XdrPeer:
        if source not in self._running:
            peer = build_xdr_peer(source, source.parent / "c", cflags=cflags)
            self._running[source] = self._stack.enter_context(peer)
        return self._running[source]

    def ours(self, name: str) -> XdrPeer:
        """C from idl/NAME.x."""
        directory = self.directory("ours", name)
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path(name), directory / f"{name}.x")
        flags = []
        if name == "nlm4_prot":
            (directory / "renamed.h").write_text(RENAMED)
            flags = ["-include", str(directory / "renamed.h")]
        return self._start(directory / f"{name}.x", *flags)

    def system(self, name: str) -> XdrPeer:
        """C from the system's NAME.x."""
        source = SYSTEM / f"{name}.x"
        if not source.is_file():
            unavailable(f"{source} not found: install the Debian package rpcsvc-proto")
        directory = self.directory("system", name)
        directory.mkdir(parents=True, exist_ok=True)
        text = source.read_text() + (MORE_ROUTINES if name == "rusers" else "")
        (directory / f"{name}.x").write_text(text)
        return self._start(directory / f"{name}.x")

    def header(self, kind: str, name: str) -> str:
        """What `rpcgen -h` made of it."""
        getattr(self, kind)(name)
        return (self.directory(kind, name) / "c" / f"{name}.h").read_text()


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    with ExitStack() as stack:
        yield Peers(tmp_path_factory.mktemp("idl"), stack)


def filled(logins: list[Any]) -> list[Any]:
    """The logins of rusers' version 2 as C has them: its arrays travel whole."""
    for login in logins:
        utmp = getattr(login, "ui_utmp", login)
        utmp.ut_line = utmp.ut_line.ljust(8, b"\0")
        utmp.ut_name = utmp.ut_name.ljust(8, b"\0")
        utmp.ut_host = utmp.ut_host.ljust(16, b"\0")
    return logins


def compare(peer: XdrPeer, type_name: str, kind: Any, examples: int) -> None:
    """Random values, encoded by us, come back from the C the same."""
    strategy = for_c(kind, values(kind, max_size=5))
    if type_name in ("utmparr", "utmpidlearr"):
        strategy = strategy.map(filled)

    @settings(
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(strategy)
    def run(value: Any) -> None:
        data = xdr.encode(kind, value)
        recoded = peer.recode(type_name, data)
        assert recoded.data == data
        assert recoded.used == len(data)
        assert xdr.decode(kind, recoded.data) == value

    run()


@pytest.mark.parametrize("name", BOTH)
def test_the_system_has_no_other_types(peers: Peers, name: str) -> None:
    assert sorted(peers.system(name).types) == sorted(BOTH[name])


@pytest.mark.parametrize(
    ("name", "type_name"),
    [(name, each) for name, types in BOTH.items() for each in types if each not in NOT_AS_THERE],
)
def test_the_bytes_of_the_systems_file(peers: Peers, name: str, type_name: str) -> None:
    kind = designator(name, type_name)
    assert kind is not None
    compare(peers.system(name), type_name, kind, 100)


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_of_our_own_file(peers: Peers, name: str) -> None:
    peer = peers.ours(name)
    assert peer.types
    for type_name in peer.types:
        kind = designator(name, type_name)
        assert kind is not None, type_name
        compare(peer, type_name, kind, 25)


def numbers(name: str) -> dict[str, int]:
    """The constants, programs, versions, procedures and members of enums of our module."""
    found: dict[str, int] = {}
    for key, each in vars(module(name)).items():
        if type(each) is int:
            found[key] = each
        elif isinstance(each, type) and issubclass(each, IntEnum):
            found.update({member.name: int(member) for member in each})
    for version in versions(name):
        found[version.__name__] = version._vers
        for key, each in vars(version).items():
            if isinstance(each, rpc.Procedure):
                found[key] = each.number
    return found


@pytest.mark.parametrize("name", BOTH)
def test_the_numbers_of_the_systems_file(peers: Peers, name: str) -> None:
    header = peers.header("system", name)
    theirs = {}
    for key, value in _DEFINE.findall(header) + _MEMBER.findall(header):
        octal = re.fullmatch("0[0-7]+", value)
        theirs[key] = int(value, 8 if octal else 0)
    ours = numbers(name)
    assert len(theirs) >= 3
    assert {key: ours.get(key) for key in theirs} == theirs


@pytest.mark.parametrize("name", BOTH)
def test_the_procedures_of_the_systems_file(peers: Peers, name: str) -> None:
    theirs, ours = (
        dict(_PROTOTYPE.findall(peers.header(kind, name).replace("struct ", "")))
        for kind in ("system", "ours")
    )
    assert theirs
    same = theirs.keys() - NOT_AS_THERE
    assert {key: ours.get(key) for key in same} == {key: theirs[key] for key in same}


@pytest.mark.parametrize("name", BOTH)
def test_the_members_of_the_systems_file(peers: Peers, name: str) -> None:
    """Their names in their order: two of one type could change places without changing bytes."""

    def structs(kind: str) -> dict[str, list[str]]:
        found = _STRUCT.findall(peers.header(kind, name))
        return {struct: _MEMBER_NAME.findall(body) for struct, body in found}

    theirs, ours = structs("system"), structs("ours")
    # Those without a member here are made by hand, not by rpcgen.
    same = {key for key, members in theirs.items() if members}
    same -= NOT_AS_THERE | {"utmparr", "utmpidlearr"}
    assert same
    assert {key: ours.get(key) for key in same} == {key: theirs[key] for key in same}
