"""The `.x` files that Debian brings, and what each needs beside itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import rpcserver
from rpcserver import xdr
from rpcserver.rpcgen.compiler import Options, scope_for
from rpcserver.rpcgen.names import Names
from tests.peers.need import unavailable

RPCSVC = Path("/usr/include/rpcsvc")
TIRPC = Path("/usr/include/tirpc")
NETOBJ = xdr.Opaque(1024)
NETBUF = xdr.Array(xdr.UnsignedInt)  # not what C sends, which has it in no .x


@dataclass(frozen=True)
class File:
    """A file: constants that it takes from C headers, codecs for what it does not define, fields
    that are a char in C and hold no more than that, and what its C needs to compile; or why it
    cannot be compiled."""

    path: Path
    define: Sequence[str] = ()
    codecs: dict[str, Any] = field(default_factory=dict)
    chars: Sequence[str] = ()
    cflags: Sequence[str] = ()
    no_c: str = ""

    @property
    def name(self) -> str:
        return self.path.stem

    def need(self) -> None:
        """Skip (fail in CI) if it is not there."""
        if not self.path.is_file():
            package = "libtirpc-dev" if TIRPC in self.path.parents else "rpcsvc-proto"
            package = "libnsl-dev" if self.name.startswith("nis") else package
            unavailable(f"{self.path} not found: install the Debian package {package}")

    def load(self) -> ModuleType:
        """The module that it compiles to."""
        return rpcserver.load(self.path, define=self.define, codecs=self.codecs)

    def designator(self, type_name: str) -> Any:
        """What stands for a type of the `.x`."""
        if type_name in self.codecs:
            return self.codecs[type_name]
        found = getattr(self.load(), Names().type(type_name))
        scope = _scope(self.path, tuple(self.define))
        if scope.is_list_node(scope.types.get(type_name)):
            return xdr.LinkedList(found, nonempty=True)
        return found


@cache
def _scope(path: Path, define: Sequence[str]) -> Any:
    return scope_for(path, Options(define=define), path.name)


_NETOBJ = {"netobj": NETOBJ}
FILES = [
    File(
        RPCSVC / "bootparam_prot.x",
        chars=[f"IpAddrT.{field}" for field in ("net", "host", "lh", "impno")],
    ),
    File(
        RPCSVC / "key_prot.x",
        define=["MAXNETNAMELEN=255"],
        codecs={"des_block": xdr.FixedOpaque(8), **_NETOBJ},
    ),
    File(RPCSVC / "klm_prot.x", codecs=_NETOBJ),
    File(RPCSVC / "mount.x"),
    File(RPCSVC / "nfs_prot.x"),
    File(RPCSVC / "nis.x", codecs=_NETOBJ, no_c="rpcgen refuses it"),
    File(RPCSVC / "nis_callback.x", no_c="its header includes one of nis.x"),
    File(RPCSVC / "nis_object.x", codecs=_NETOBJ, chars=["TableObj.ta_sep"]),
    File(RPCSVC / "nlm_prot.x", codecs=_NETOBJ),
    File(RPCSVC / "rex.x"),
    File(RPCSVC / "rquota.x"),
    File(RPCSVC / "rstat.x"),
    File(RPCSVC / "rusers.x"),
    File(RPCSVC / "sm_inter.x"),
    File(RPCSVC / "spray.x"),
    File(RPCSVC / "yp.x"),
    File(RPCSVC / "yppasswd.x"),
    File(
        TIRPC / "rpcsvc" / "crypt.x",
        chars=["Desargs.des_key", "Desargs.des_ivec", "Desresp.des_ivec"],
        cflags=["-D__FBSDID(x)="],
    ),
    File(
        TIRPC / "rpc" / "rpcb_prot.x",
        codecs={
            **dict.fromkeys(("rpcprog_t", "rpcvers_t", "rpcproc_t"), xdr.UnsignedInt),
            "netbuf": NETBUF,
        },
        no_c="libtirpc's own headers define the same types",
    ),
]
