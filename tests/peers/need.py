"""What to do about peers that are not installed: skip here, fail in CI."""

import os
import shutil
import subprocess
from typing import NoReturn

import pytest

# Daemons live in sbin, which a user's PATH often lacks.
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def unavailable(reason: str) -> NoReturn:
    """Skip the test for that reason; with CI=true in the environment, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def need(package: str, *programs: str) -> None:
    """Skip the test (fail in CI) unless the programs are there, which that package brings."""
    missing = [program for program in programs if shutil.which(program, path=PATH) is None]
    if missing:
        unavailable(f"{', '.join(missing)} not found: install the Debian package {package}")


def need_c() -> None:
    """Skip the test (fail in CI) unless rpcgen's output can be made and compiled here."""
    need("gcc", "gcc")
    need("make", "make")
    need("cpp", "cpp")
    need("pkg-config", "pkg-config")
    need("rpcsvc-proto", "rpcgen")
    if subprocess.run(["pkg-config", "--exists", "libtirpc"], check=False).returncode != 0:
        unavailable("libtirpc not found: install the Debian package libtirpc-dev")


def need_namespaces() -> None:
    """Skip the test (fail in CI) unless network and mount namespaces can be made here."""
    need("util-linux", "unshare", "nsenter")
    need("iproute2", "ip")
    if os.geteuid() != 0:
        unavailable("network namespaces and rpcbind need root")
    command = ["unshare", "--net", "--mount", "true"]
    probe = subprocess.run(command, check=False, capture_output=True, text=True)
    if probe.returncode != 0:
        unavailable(f"no namespaces here: {probe.stderr.strip()}")
