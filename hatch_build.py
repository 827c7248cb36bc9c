"""Builds the native codec, ``rpcserver/xdr/_native``, with whatever C compiler is there.

It is optional: without a compiler, or with RPCSERVER_NO_NATIVE=1, there is none, and the reference
codec runs. RPCSERVER_CFLAGS and RPCSERVER_LDFLAGS are added to the compiler's words.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

XDR = Path(__file__).parent / "rpcserver" / "xdr"


def target() -> Path:
    """Where the module goes for the Python that runs this."""
    return XDR / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"


def command(output: Path) -> list[str]:
    """The compiler's command line."""
    # As codec.py: what is built from other sources is not used.
    checksum = 0
    for file in sorted((XDR / "csrc").glob("*.[ch]")):
        checksum = zlib.crc32(file.read_bytes(), checksum)
    words = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")
    if "CC" in os.environ:
        words[:1] = shlex.split(os.environ["CC"])
    words += ["-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"]
    words += shlex.split(os.environ.get("RPCSERVER_CFLAGS", ""))
    words += [f'-DSOURCE_HASH="{checksum:08x}"']
    words += [f"-I{sysconfig.get_path(name)}" for name in ("include", "platinclude")]
    words += sorted(str(file) for file in (XDR / "csrc").glob("*.c"))
    words += shlex.split(os.environ.get("RPCSERVER_LDFLAGS", ""))
    return [*words, "-o", str(output)]


def build() -> Path | None:
    """Compile; ``None`` if that cannot be done here, and the reason on stderr."""
    output = target()
    output.unlink(missing_ok=True)
    if os.environ.get("RPCSERVER_NO_NATIVE", "") not in ("", "0"):
        return None
    part = output.with_suffix(f".{os.getpid()}")  # who imports it meanwhile has all or nothing
    try:
        subprocess.run(command(part), check=True)
        part.replace(output)
    except (OSError, subprocess.CalledProcessError) as error:
        part.unlink(missing_ok=True)
        print(f"no native codec, the reference codec will run: {error}", file=sys.stderr)
        return None
    return output


class NativeHook(BuildHookInterface[Any]):
    """What hatchling calls for a wheel, an editable one too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel" and (module := build()) is not None:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["artifacts"].append(f"rpcserver/xdr/{module.name}")


if __name__ == "__main__":
    sys.exit(0 if build() else 1)
