"""The C client and server of examples/c, made to speak RPCSEC_GSS: libtirpc's."""

import subprocess
from pathlib import Path

from tests.peers.cc import CalcC, build_calc
from tests.peers.need import unavailable

HERE = Path(__file__).parent
SERVICES = {"none": "1", "integrity": "2", "privacy": "3"}
HOWS = ("rpc_gss_seccreate", "authgss_create_default")

_CLIENT = ("calc_client", "calc_checks", "calc_samples", "calc_clnt", "calc_xdr")
_SERVER = ("calc_server", "calc_procedures", "calc_svc", "calc_xdr")


def build_gss_calc(directory: Path) -> CalcC:
    """Build them into a directory; skips (fails in CI) without what that needs."""
    build_calc(directory)
    if subprocess.run(["pkg-config", "--exists", "krb5-gssapi"], check=False).returncode != 0:
        unavailable("krb5-gssapi not found: install the Debian package libkrb5-dev")
    flags = _words("pkg-config", "--cflags", "libtirpc", "krb5-gssapi")
    libraries = _words("pkg-config", "--libs", "libtirpc", "krb5-gssapi")
    for program, own, parts, more in (
        ("calc_client", "gss_client.c", _CLIENT, ["-Wl,--wrap=connect_to,--wrap=clnttcp_create"]),
        ("calc_server", "gss_server.c", _SERVER, []),
    ):
        objects = [str(directory / f"{part}.o") for part in parts]
        argv = ["gcc", *flags, f"-I{directory}", "-o", str(directory / program), *more]
        argv += [str(HERE / own), *objects, *libraries]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return CalcC(directory)


def _words(*argv: str) -> list[str]:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
