"""What the figures were measured on, and with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.processes import ROOT

PACKAGES = ("msgspec", "protobuf", "xdrlib3", "construct", "grpcio", "thriftpy2")


def describe() -> dict[str, Any]:
    """Machine, versions, and which codecs take part. Asked before anything is written, which
    would make the commit a dirty one."""
    return {
        "commit": _said("git", "describe", "--always", "--dirty"),
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} CPUs, {platform.release()}",
        "python": platform.python_version(),
        "codecs": {
            servers.OURS: _codec({}),
            servers.PYTHON_CODEC: _codec(servers.REFERENCE),
        },
        "versions": {
            **{name: _version(name) for name in PACKAGES},
            "libtirpc": _said("pkg-config", "--modversion", "libtirpc"),
        },
    }


def now() -> dict[str, Any]:
    """When it is, and how busy the machine is."""
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return {"date": date, "load before": round(os.getloadavg()[0], 2)}


def _codec(env: dict[str, str]) -> str:
    code = "from rpcserver import xdr; print(xdr.codec_name())"
    return _said(sys.executable, "-c", code, env={**os.environ, **env})


def _said(*argv: str, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    except OSError:
        return "?"
    return done.stdout.strip() or "?"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
