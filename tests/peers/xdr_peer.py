"""rpcgen's XDR routines for the types of any .x file, as a process that answers questions."""

import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.need import need_c

SOURCE = Path(__file__).with_suffix(".c")
# XDR's own types: name, routine of libtirpc, C type.
BUILTIN = (
    ("int", "xdr_int", "int"),
    ("unsigned int", "xdr_u_int", "u_int"),
    ("hyper", "xdr_int64_t", "int64_t"),
    ("unsigned hyper", "xdr_u_int64_t", "u_int64_t"),
    ("float", "xdr_float", "float"),
    ("double", "xdr_double", "double"),
    ("bool", "xdr_bool", "bool_t"),
    ("string", "xdr_wrapstring", "char *"),
)

# extern  bool_t xdr_point (XDR *, point*);     and without the star for a typedef of an array
_ROUTINE = re.compile(r"^extern\s+bool_t (xdr_(\w+)) \(XDR \*, ([^*)]+?)\s*\*?\);", re.MULTILINE)


class Refused(Exception):
    """rpcgen's routine would not decode the bytes, or not encode what it decoded."""


@dataclass(frozen=True)
class Recoded:
    """What came back: the bytes, and how many of those given were read."""

    data: bytes
    used: int


class XdrPeer:
    """A running xdr_peer, as a context manager.

    `types` are the names it knows: the types of the .x, spelt as there, and NAME_VERS_argument for
    a procedure with several arguments.
    """

    def __init__(self, program: Path, types: Sequence[str]) -> None:
        self.types = tuple(types)
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def recode(self, type_name: str, data: bytes) -> Recoded:
        """Decode bytes as a type of the .x (or one of BUILTIN) and encode the value again.

        C has its limits: a string ends at its first NUL byte, and any number passes as an enum.
        Raises Refused, KeyError for an unknown type, RuntimeError when the process has died.
        """
        name = type_name.encode()
        request = struct.pack(">I", len(name)) + name + struct.pack(">I", len(data)) + data
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # _read tells how it ended
        status, used, length = struct.unpack(">III", self._read(12))
        result = self._read(length)
        if status == 1:
            raise KeyError(type_name)
        if status != 0:
            raise Refused(f"{type_name}: cannot {'decode' if status == 2 else 'encode'}")
        return Recoded(result, used)

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise RuntimeError(f"xdr_peer ended with {self._process.wait(10)}")
        return data

    def close(self) -> None:
        self._process.communicate()  # the end of stdin is its end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def build_xdr_peer(x_file: Path, directory: Path, *, cflags: Sequence[str] = ()) -> XdrPeer:
    """Run rpcgen on a .x file, compile the peer for all its types, start it.

    `directory` is used for what is made and must be new or this file's.  `cflags` go to the
    compiler.  Skips (fails in CI) without rpcgen and libtirpc; raises AssertionError, with what
    was said, when one of the steps fails.
    """
    need_c()
    name = x_file.stem
    directory.mkdir(parents=True, exist_ok=True)
    # rpcgen writes its input's path into #include lines, so it works beside a copy; the other
    # files come along because one .x may include the next.
    for each in x_file.parent.glob("*.x"):
        shutil.copyfile(each, directory / each.name)
    for option, output in (("-h", f"{name}.h"), ("-c", f"{name}_xdr.c")):
        (directory / output).unlink(missing_ok=True)  # it refuses to overwrite
        _run(directory, "rpcgen", "-C", "-N", "-M", option, "-o", output, x_file.name)
    header = (directory / f"{name}.h").read_text(errors="replace")
    own = [(type_name, routine, c_type) for routine, type_name, c_type in _ROUTINE.findall(header)]
    (directory / "peer_types.c").write_text(_table(f"{name}.h", (*BUILTIN, *own)))
    tirpc = _run(directory, "pkg-config", "--cflags", "--libs", "libtirpc").split()
    flags = ["-w", "-O1", "-I.", f"-I{SOURCE.parent}", *cflags]
    sources = [str(SOURCE), "peer_types.c", f"{name}_xdr.c"]
    _run(directory, "gcc", *flags, "-o", "xdr_peer", *sources, *tirpc)
    return XdrPeer(directory / "xdr_peer", [type_name for type_name, _, _ in own])


def _table(header: str, types: Sequence[tuple[str, str, str]]) -> str:
    rows = [
        f'    {{ "{name}", (xdrproc_t){routine}, sizeof ({c_type}) }},\n'
        for name, routine, c_type in types
    ]
    return (
        f'#include "{header}"\n#include "xdr_peer.h"\n\n'
        f"const struct peer_type peer_types[] = {{\n{''.join(rows)}    {{ NULL, NULL, 0 }},\n}};\n"
    )


def _run(directory: Path, *argv: str) -> str:
    done = subprocess.run(argv, check=False, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, f"{argv[0]}: {done.stderr}"
    return done.stdout
