"""Our clients, blocking and asyncio's, and NFS-Ganesha with Kerberos: NFS version 3 over TCP."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gssapi", exc_type=ImportError)

from generated import nfs3_prot as nfs
from generated.mount import MountV3Client
from rpcserver.auth import GssClient
from tests.interop.conftest import Connect
from tests.interop.test_ganesha import NEW, mounted
from tests.peers.daemon import Registered, foreground
from tests.peers.ganesha import CONFIG, EXPORT
from tests.peers.need import need, unavailable
from tests.peers.netns import Namespace
from tests.peers.realm import Realm

_KRB5 = """NFS_KRB5 {{
    Active_krb5 = true; PrincipalName = "nfs"; KeytabPath = "{keytab}"; CCacheDir = "/run/cc";
}}"""


@pytest.fixture
def ganesha(
    kerberos: Realm, namespace: Namespace, system_rpcbind: object, tmp_path: Path
) -> Iterator[Namespace]:
    """A namespace where it serves EXPORT, and this process has a ticket for it."""
    need("nfs-ganesha", "ganesha.nfsd")
    if not any(Path("/usr/lib").glob("*/ganesha/libfsalvfs.so")):
        unavailable("libfsalvfs.so not found: install the Debian package nfs-ganesha-vfs")
    kerberos.run("kvno", "nfs/localhost")  # the KDC is not inside
    namespace.run("mkdir", "-m", "777", EXPORT, "/run/recovery", "/run/cc", check=True)
    config = tmp_path / "ganesha.conf"
    text = CONFIG.replace(
        "NFS_KRB5 { Active_krb5 = false; }", _KRB5.format(keytab=kerberos.keytab)
    ).replace("SecType = none, sys;", "SecType = none, sys, krb5, krb5i, krb5p;")
    config.write_text(text)
    argv: list[str | Path] = ["ganesha.nfsd", "-F", "-f", config]
    argv += ["-L", tmp_path / "log", "-p", tmp_path / "pid"]
    with foreground(namespace, Registered(100005, 3, "tcp"), *argv):
        yield namespace


@pytest.mark.parametrize("service", ["none", "integrity", "privacy"])
def test_a_file(ganesha: Namespace, connect: Connect, service: str) -> None:
    credentials = GssClient("nfs@localhost", service)
    with connect(MountV3Client, transport="tcp", credentials=credentials) as mount:
        mount.null()
    root = mounted(connect)
    data = random.Random(7).randbytes(300_001)
    path = nfs.Diropargs3(root, "file")
    with connect(nfs.NfsV3Client, transport="tcp", credentials=credentials) as server:
        server.null()
        found = server.getattr(nfs.GETATTR3args(root))
        assert found.resok.obj_attributes.type is nfs.Ftype3.NF3DIR
        made = server.create(nfs.CREATE3args(path, NEW))
        assert isinstance(made, nfs.CREATE3resNfs3Ok), made
        assert isinstance(made.resok.obj, nfs.PostOpFh3True)
        file = made.resok.obj.handle
        stable = nfs.StableHow.FILE_SYNC
        wrote = server.write(nfs.WRITE3args(file, 0, len(data), stable, data))
        assert wrote.resok.count == len(data)
        back = b""
        while len(back) < len(data):
            read = server.read(nfs.READ3args(file, len(back), 100_000)).resok
            back += read.data
        assert back == data
        for _ in range(200):  # more than its window
            server.getattr(nfs.GETATTR3args(file))
