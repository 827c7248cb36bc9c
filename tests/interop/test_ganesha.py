"""Our clients, blocking and asyncio's, and NFS-Ganesha: MOUNT and NFS, version 3."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from generated import nfs3_prot as nfs
from generated.mount import Mountres3Default, Mountres3Mnt3Ok, Mountstat3, MountV3Client
from rpcserver.protocols.rpc_msg import AuthFlavor
from tests.interop.conftest import Connect
from tests.peers.ganesha import EXPORT, serving
from tests.peers.netns import Namespace

UNCHANGED = nfs.Sattr3(
    nfs.SetMode3True(0o640),
    nfs.SetUid3Default(False),
    nfs.SetGid3Default(False),
    nfs.SetSize3Default(False),
    nfs.SetAtimeDefault(nfs.TimeHow.DONT_CHANGE),
    nfs.SetMtimeDefault(nfs.TimeHow.DONT_CHANGE),
)
NEW = nfs.Createhow3Unchecked(UNCHANGED, mode=nfs.Createmode3.GUARDED)


@pytest.fixture
def ganesha(namespace: Namespace, system_rpcbind: object, tmp_path: Path) -> Iterator[Namespace]:
    """A namespace where it serves the empty directory EXPORT."""
    with serving(namespace, tmp_path):
        yield namespace


def mounted(connect: Connect) -> nfs.NfsFh3:
    """The root of what is exported."""
    with connect(MountV3Client, transport="tcp") as mount:
        answer = mount.mnt(EXPORT)
    assert isinstance(answer, Mountres3Mnt3Ok), answer
    return nfs.NfsFh3(answer.mountinfo.fhandle)


def test_mount(ganesha: Namespace, connect: Connect) -> None:
    with connect(MountV3Client, transport="tcp") as mount:
        mount.null()
        assert [(each.ex_dir, each.ex_groups) for each in mount.export()] == [(EXPORT, [])]
        answer = mount.mnt(EXPORT)
        assert isinstance(answer, Mountres3Mnt3Ok), answer
        assert 0 < len(answer.mountinfo.fhandle) <= 64
        flavors = {AuthFlavor.AUTH_NONE, AuthFlavor.AUTH_SYS}
        assert set(answer.mountinfo.auth_flavors) == flavors
        assert mount.mnt("/run") == Mountres3Default(Mountstat3.MNT3ERR_ACCES)
        assert mount.umnt(EXPORT) is None
        assert mount.umntall() is None
        assert mount.dump() == []


def test_a_file(ganesha: Namespace, connect: Connect) -> None:
    root = mounted(connect)
    data = random.Random(7).randbytes(1_000_003)
    path = nfs.Diropargs3(root, "grüße.bin")
    with connect(nfs.NfsV3Client, transport="tcp", credentials="sys") as server:
        server.null()
        found = server.getattr(nfs.GETATTR3args(root))
        assert found.resok.obj_attributes.type is nfs.Ftype3.NF3DIR
        limits = server.fsinfo(nfs.FSINFO3args(root)).resok
        size = min(limits.wtmax, limits.rtmax, 300_000)

        made = server.create(nfs.CREATE3args(path, NEW))
        assert isinstance(made, nfs.CREATE3resNfs3Ok), made
        assert isinstance(made.resok.obj, nfs.PostOpFh3True)
        file = made.resok.obj.handle
        again = server.create(nfs.CREATE3args(path, NEW))
        assert again.status is nfs.Nfsstat3.NFS3ERR_EXIST
        looked_up = server.lookup(nfs.LOOKUP3args(path))
        assert looked_up.resok.object == file

        verifiers = set()
        for start in range(0, len(data), size):
            part = data[start : start + size]
            unstable = nfs.StableHow.UNSTABLE
            wrote = server.write(nfs.WRITE3args(file, start, len(part), unstable, part))
            assert wrote.resok.count == len(part)
            verifiers.add(wrote.resok.verf)
        done = server.commit(nfs.COMMIT3args(file, 0, 0))
        assert verifiers == {done.resok.verf}
        attributes = server.getattr(nfs.GETATTR3args(file)).resok.obj_attributes
        assert (attributes.size, attributes.mode) == (len(data), 0o640)

        back = b""
        while len(back) < len(data):
            read = server.read(nfs.READ3args(file, len(back), size)).resok
            assert read.count == len(read.data) > 0
            back += read.data
        assert read.eof is True
        assert back == data
        # The judge is not NFS.
        shown = ganesha.run("sha256sum", f"{EXPORT}/grüße.bin", check=True).stdout
        assert shown.split()[0] == hashlib.sha256(data).hexdigest()

        assert server.remove(nfs.REMOVE3args(path)).status is nfs.Nfsstat3.NFS3_OK
        gone = server.getattr(nfs.GETATTR3args(file))
        assert gone == nfs.GETATTR3resDefault(nfs.Nfsstat3.NFS3ERR_STALE)


def test_a_directory(ganesha: Namespace, connect: Connect) -> None:
    names = [f"file {number}" for number in range(300)]
    ganesha.run("touch", *(f"{EXPORT}/{name}" for name in names), check=True)
    root = mounted(connect)
    entries: list[nfs.Entryplus3] = []
    replies = 0
    with connect(nfs.NfsV3Client, transport="tcp", credentials="sys") as server:
        cookie, verifier = 0, bytes(8)
        while True:
            wanted = nfs.READDIRPLUS3args(root, cookie, verifier, 4096, 16384)
            answer = server.readdirplus(wanted)
            assert isinstance(answer, nfs.READDIRPLUS3resNfs3Ok), answer
            replies += 1
            entries += answer.resok.reply.entries
            if answer.resok.reply.eof:
                break
            cookie, verifier = entries[-1].cookie, answer.resok.cookieverf
        assert sorted(each.name for each in entries) == sorted([".", "..", *names])
        assert replies > 1

        last = next(each for each in entries if each.name == names[-1])
        assert isinstance(last.name_handle, nfs.PostOpFh3True)
        attributes = server.getattr(nfs.GETATTR3args(last.name_handle.handle)).resok.obj_attributes
        assert (attributes.type, attributes.fileid) == (nfs.Ftype3.NF3REG, last.fileid)
