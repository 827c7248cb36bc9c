"""NFS-Ganesha in a namespace with an rpcbind: MOUNT and NFS version 3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.daemon import Registered, foreground
from tests.peers.need import need, unavailable
from tests.peers.netns import Namespace

NFS_PORT = 22049
EXPORT = "/run/export"
CONFIG = f"""
NFS_CORE_PARAM {{
    Protocols = 3; NFS_Port = {NFS_PORT}; MNT_Port = 22050; mount_path_pseudo = false;
    Enable_NLM = false; Enable_RQUOTA = false;
}}
NFSv4 {{ Graceless = true; RecoveryBackend = fs; RecoveryRoot = "/run/recovery"; }}
NFS_KRB5 {{ Active_krb5 = false; }}
EXPORT {{
    Export_Id = 1; Path = {EXPORT}; Pseudo = /export; FSAL {{ Name = VFS; }}
    Protocols = 3; Transports = TCP; Access_Type = RW; Squash = No_Root_Squash;
    SecType = none, sys; PrivilegedPort = false;
}}
"""


@contextmanager
def serving(namespace: Namespace, directory: Path, text: str = CONFIG) -> Iterator[None]:
    """It serves the empty directory EXPORT; its files are in ``directory``."""
    need("nfs-ganesha", "ganesha.nfsd")
    if not any(Path("/usr/lib").glob("*/ganesha/libfsalvfs.so")):
        unavailable("libfsalvfs.so not found: install the Debian package nfs-ganesha-vfs")
    namespace.run("mkdir", EXPORT, "/run/recovery", check=True)
    config = directory / "ganesha.conf"
    config.write_text(text)
    argv: list[str | Path] = ["ganesha.nfsd", "-F", "-f", config]
    argv += ["-L", directory / "log", "-p", directory / "pid"]
    # MOUNT over TCP is the last that it registers.
    with foreground(namespace, Registered(100005, 3, "tcp"), *argv):
        yield
