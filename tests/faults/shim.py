"""Programs whose sockets have faults, and whose day has another time: they have ``shim.c``."""

import mmap
import os
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.peers.need import need

KINDS = (
    "delay", "short read", "short write", "drop", "reset", "EINTR", "EAGAIN", "EMFILE",
    "EMFILE of a client", "ENOBUFS",
)  # fmt: skip
"""As in ``shim.c``; EMFILE is what accept() says, the other one what socket() does."""

_CELLS = 16
_CELL = struct.Struct("=II")
_SECONDS = struct.Struct("=q")
_SIZE = _CELLS * _CELL.size + _SECONDS.size + 8
_VARIABLE = "RPCSERVER_FAULTS"


class Faults:
    """The file that says which there are. Whoever has it sees at once what others write."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
        self.path = path
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)

    @classmethod
    def of_this_process(cls) -> "Faults":
        """Those that this program runs with."""
        return cls(Path(os.environ[_VARIABLE]))

    def environment(self, library: Path) -> Mapping[str, str]:
        """What a program needs to have them."""
        return {"LD_PRELOAD": str(library), _VARIABLE: str(self.path)}

    @contextmanager
    def some(self, kind: str, one_in: int) -> Iterator[None]:
        """One in so many calls has that fault, meanwhile."""
        self._write(kind, one_in)
        try:
            yield
        finally:
            self._write(kind, 0)

    def came(self, kind: str) -> int:
        """How often it came."""
        return int(_CELL.unpack_from(self._map, KINDS.index(kind) * _CELL.size)[1])

    def has_come(self, kind: str, times: int) -> bool:
        """Whether it was that often, at least."""
        return self.came(kind) >= times

    def set_clock(self, seconds: int) -> None:
        """Have the time of day be so much later, or earlier."""
        _SECONDS.pack_into(self._map, _CELLS * _CELL.size, seconds)

    def _write(self, kind: str, one_in: int) -> None:
        at = KINDS.index(kind) * _CELL.size
        self._map[at : at + 4] = struct.pack("=I", one_in)

    def close(self) -> None:
        """Give the map back."""
        self._map.close()


def build(directory: Path) -> Path:
    """The library; skips (fails in CI) without gcc."""
    need("gcc", "gcc")
    library = directory / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library
