"""The members of idl/*.x that could change places without a difference in the bytes' shape.

Each has a number of its own here, and Wireshark's field of that name has to show it.
"""

from pathlib import Path
from typing import Any

import pytest

from rpcserver import rpc, xdr
from rpcserver.testing import values
from tests.interop.idl_modules import versions
from tests.interop.idl_recording import Recording, some

FALSE = {"attributes_follow": False}
LOCK = {"caller_name": "h", "fh": "01", "oh": "02", "svid": 21, "l_offset": 22, "l_len": 23}

# idl/NAME.x, procedure, what is in the call or reply, which fields of tshark's show what.
CALLS: list[tuple[str, str, list[Any], dict[str, str]]] = [
    (
        "nfs3_prot",
        "NFSPROC3_READDIRPLUS",
        [
            {
                "dir": {"data": "01"},
                "cookie": 21,
                "cookieverf": "00" * 8,
                "dircount": 22,
                "maxcount": 23,
            }
        ],
        {
            "nfs.cookie3": "21",
            "nfs.count3_dircount": "22",
            "nfs.count3_maxcount": "23",
        },
    ),
    (
        "nfs3_prot",
        "NFSPROC3_MKDIR",
        [
            {
                "where": {"dir": {"data": "01"}, "name": "n"},
                "attributes": {
                    "mode": {"set_it": True, "mode": 0o21},
                    "uid": {"set_it": True, "uid": 22},
                    "gid": {"set_it": True, "gid": 23},
                    "size": {"set_it": True, "size": 24},
                    "atime": {"set_it": "DONT_CHANGE"},
                    "mtime": {"set_it": "SET_TO_SERVER_TIME"},
                },
            }
        ],
        {
            "nfs.mode3": "17",
            "nfs.uid3": "22",
            "nfs.gid3": "23",
            "nfs.set_size": "24",
        },
    ),
    (
        "nlm4_prot",
        "NLMPROC4_LOCK",
        [
            {
                "cookie": "00",
                "block": True,
                "exclusive": False,
                "alock": LOCK,
                "reclaim": False,
                "state": 24,
            }
        ],
        {
            "nlm.block": "1",
            "nlm.exclusive": "0",
            "nlm.lock.svid": "21",
            "nlm.lock.l_offset64": "22",
            "nlm.lock.l_len64": "23",
            "nlm.reclaim": "0",
            "nlm.state": "24",
        },
    ),
    (
        "sm_inter",
        "SM_MON",
        [
            {
                "mon_id": {
                    "mon_name": "a",
                    "my_id": {"my_name": "b", "my_prog": 21, "my_vers": 22, "my_proc": 23},
                },
                "priv": "00" * 16,
            }
        ],
        {
            "stat.mon_id.name": "a",
            "stat.my_id.hostname": "b",
            "stat.my_id.prog": "21",
            "stat.my_id.vers": "22",
            "stat.my_id.proc": "23",
        },
    ),
    (
        "vxi11",
        "create_link",
        [{"clientId": 21, "lockDevice": True, "lock_timeout": 22, "device": "inst0"}],
        {
            "vxi11_core.client_id": "21",
            "vxi11_core.lock_device": "1",
            "vxi11_core.lock_timeout": "22",
            "vxi11_core.device": "inst0",
        },
    ),
    (
        "vxi11",
        "device_read",
        [
            {
                "lid": 21,
                "requestSize": 22,
                "io_timeout": 23,
                "lock_timeout": 24,
                "flags": 0x80,
                "termChar": 10,
            }
        ],
        {
            "vxi11_core.lid": "21",
            "vxi11_core.size": "22",
            "vxi11_core.io_timeout": "23",
            "vxi11_core.lock_timeout": "24",
            "vxi11_core.flags": "0x00000080",
            "vxi11_core.term_char": "0x0a",
        },
    ),
    # Wireshark has the two timeouts of Device_GenericParms the other way round than the
    # specification, its io_timeout first.
    (
        "vxi11",
        "device_clear",
        [{"lid": 21, "flags": 1, "lock_timeout": 22, "io_timeout": 23}],
        {"vxi11_core.io_timeout": "22", "vxi11_core.lock_timeout": "23"},
    ),
    (
        "vxi11",
        "device_docmd",
        [
            {
                "lid": 21,
                "flags": 1,
                "io_timeout": 22,
                "lock_timeout": 23,
                "cmd": 24,
                "network_order": True,
                "datasize": 25,
                "data_in": "",
            }
        ],
        {
            "vxi11_core.io_timeout": "22",
            "vxi11_core.lock_timeout": "23",
            "vxi11_core.cmd": "0x00000018",
            "vxi11_core.network_order": "1",
            "vxi11_core.size": "25",
        },
    ),
    (
        "vxi11",
        "create_intr_chan",
        [
            {
                "hostAddr": 21,
                "hostPort": 22,
                "progNum": 23,
                "progVers": 24,
                "progFamily": "DEVICE_UDP",
            }
        ],
        {
            "vxi11_core.host_addr": "0x00000015",
            "vxi11_core.host_port": "22",
            "vxi11_core.prog_num": "0x00000017",
            "vxi11_core.prog_vers": "24",
            "vxi11_core.prog_family": "1",
        },
    ),
]
REPLIES: list[tuple[str, str, Any, dict[str, str]]] = [
    (
        "nfs3_prot",
        "NFSPROC3_GETATTR",
        {
            "status": "NFS3_OK",
            "resok": {
                "obj_attributes": {
                    "type": "NF3BLK",
                    "mode": 21,
                    "nlink": 22,
                    "uid": 23,
                    "gid": 24,
                    "size": 25,
                    "used": 26,
                    "rdev": {"specdata1": 27, "specdata2": 28},
                    "fsid": 29,
                    "fileid": 30,
                    "atime": {"seconds": 31, "nseconds": 32},
                    "mtime": {"seconds": 33, "nseconds": 34},
                    "ctime": {"seconds": 35, "nseconds": 36},
                }
            },
        },
        {
            "nfs.fattr3.type": "3",
            "nfs.mode3": "21",
            "nfs.fattr3.nlink": "22",
            "nfs.fattr3.uid": "23",
            "nfs.fattr3.gid": "24",
            "nfs.fattr3.size": "25",
            "nfs.fattr3.used": "26",
            "nfs.specdata1": "27",
            "nfs.specdata2": "28",
            "nfs.fattr3.fsid": "0x000000000000001d",
            "nfs.fattr3.fileid": "30",
            "nfs.atime.sec": "31",
            "nfs.atime.nsec": "32",
            "nfs.mtime.sec": "33",
            "nfs.mtime.nsec": "34",
            "nfs.ctime.sec": "35",
            "nfs.ctime.nsec": "36",
        },
    ),
    (
        "nfs3_prot",
        "NFSPROC3_FSSTAT",
        {
            "status": "NFS3_OK",
            "resok": {
                "obj_attributes": FALSE,
                "tbytes": 21,
                "fbytes": 22,
                "abytes": 23,
                "tfiles": 24,
                "ffiles": 25,
                "afiles": 26,
                "invarsec": 27,
            },
        },
        {
            "nfs.fsstat3_resok.tbytes": "21",
            "nfs.fsstat3_resok.fbytes": "22",
            "nfs.fsstat3_resok.abytes": "23",
            "nfs.fsstat3_resok.tfiles": "24",
            "nfs.fsstat3_resok.ffiles": "25",
            "nfs.fsstat3_resok.afiles": "26",
            "nfs.fsstat.invarsec": "27",
        },
    ),
    (
        "nfs3_prot",
        "NFSPROC3_FSINFO",
        {
            "status": "NFS3_OK",
            "resok": {
                "obj_attributes": FALSE,
                "rtmax": 21,
                "rtpref": 22,
                "rtmult": 23,
                "wtmax": 24,
                "wtpref": 25,
                "wtmult": 26,
                "dtpref": 27,
                "maxfilesize": 28,
                "time_delta": {"seconds": 29, "nseconds": 30},
                "properties": 0x1B,
            },
        },
        {
            "nfs.fsinfo.rtmax": "21",
            "nfs.fsinfo.rtpref": "22",
            "nfs.fsinfo.rtmult": "23",
            "nfs.fsinfo.wtmax": "24",
            "nfs.fsinfo.wtpref": "25",
            "nfs.fsinfo.wtmult": "26",
            "nfs.fsinfo.dtpref": "27",
            "nfs.fsinfo.maxfilesize": "28",
            "nfs.dtime.sec": "29",
            "nfs.dtime.nsec": "30",
            "nfs.fsinfo.properties": "0x0000001b",
        },
    ),
    *(
        (
            "nfs3_prot",
            "NFSPROC3_PATHCONF",
            {
                "status": "NFS3_OK",
                "resok": {
                    "obj_attributes": FALSE,
                    "linkmax": 21,
                    "name_max": 22,
                    "no_trunc": number == 0,
                    "chown_restricted": number == 1,
                    "case_insensitive": number == 2,
                    "case_preserving": number == 3,
                },
            },
            {
                "nfs.pathconf.linkmax": "21",
                "nfs.pathconf.name_max": "22",
                "nfs.pathconf.no_trunc": str(int(number == 0)),
                "nfs.pathconf.chown_restricted": str(int(number == 1)),
                "nfs.pathconf.case_insensitive": str(int(number == 2)),
                "nfs.pathconf.case_preserving": str(int(number == 3)),
            },
        )
        for number in range(4)
    ),
    (
        "vxi11",
        "create_link",
        {"error": 1, "lid": 21, "abortPort": 22, "maxRecvSize": 23},
        {
            "vxi11_core.error": "1",
            "vxi11_core.lid": "21",
            "vxi11_core.abort_port": "22",
            "vxi11_core.max_recv_size": "23",
        },
    ),
]


def find(name: str, procedure: str) -> tuple[type[rpc.Version], rpc.Procedure[Any]]:
    for version in versions(name):
        if procedure in vars(version):
            return version, vars(version)[procedure]
    raise LookupError(procedure)


def shown(recording: Recording, file: Path, number: int, fields: dict[str, str]) -> dict[str, str]:
    (row,) = recording.capture(file).fields(*fields, where=f"frame.number == {number}")
    return dict(zip(fields, row, strict=True))


@pytest.mark.parametrize(
    ("name", "procedure", "arguments", "fields"), CALLS, ids=lambda each: str(each)[:30]
)
def test_in_a_call(
    tmp_path: Path, name: str, procedure: str, arguments: list[Any], fields: dict[str, str]
) -> None:
    version, entry = find(name, procedure)
    pairs = zip(entry.arguments, arguments, strict=True)
    recording = Recording()
    recording.add(
        version,
        entry,
        tuple(xdr.json.from_json(kind, value) for kind, value in pairs),
        some(values(entry.result)),
    )
    assert shown(recording, tmp_path / "call.pcap", 1, fields) == fields


@pytest.mark.parametrize(
    ("name", "procedure", "result", "fields"), REPLIES, ids=lambda each: str(each)[:30]
)
def test_in_a_reply(
    tmp_path: Path, name: str, procedure: str, result: Any, fields: dict[str, str]
) -> None:
    version, entry = find(name, procedure)
    arguments = tuple(some(values(kind)) for kind in entry.arguments)
    recording = Recording()
    recording.add(version, entry, arguments, xdr.json.from_json(entry.result, result))
    assert shown(recording, tmp_path / "reply.pcap", 2, fields) == fields
