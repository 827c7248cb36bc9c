"""A Kerberos realm of the tests' own: KDC, keytab and tickets under one directory."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.peers.need import PATH, unavailable
from tests.peers.process import Process, until

REALM = "RPC.TEST"
_PROGRAMS = {"krb5-kdc": "krb5kdc", "krb5-admin-server": "kadmin.local", "krb5-user": "kinit"}
PASSWORD = "alice's own"

_KRB5 = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    ignore_acceptor_hostname = true
    udp_preference_limit = 1
    clockskew = {skew}
    default_ccache_name = FILE:{directory}/cc
    default_keytab_name = FILE:{directory}/krb5.keytab
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    localhost = {realm}
"""

_KDC = """\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {directory}/principal
        key_stash_file = {directory}/stash
        supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha256-128:normal
    }}
"""


def missing() -> str | None:
    """What a realm, and we in it, would need and there is not."""
    if find_spec("gssapi") is None:
        return "no gssapi: pip install --group gss (it needs the Debian package libkrb5-dev)"
    for package, program in _PROGRAMS.items():
        if shutil.which(program, path=PATH) is None:
            return f"{program} not found: install the Debian package {package}"
    return None


@dataclass(frozen=True)
class Realm:
    """A running realm. ``alice`` has a ticket; ``nfs/localhost`` and ``host/localhost`` have keys
    in ``keytab``."""

    directory: Path
    environment: dict[str, str]

    @property
    def keytab(self) -> Path:
        return self.directory / "krb5.keytab"

    @property
    def principal(self) -> str:
        return f"alice@{REALM}"

    def run(self, *argv: str, text: str = "") -> str:
        """Run a program in the realm and return what it prints."""
        done = subprocess.run(
            argv,
            check=False,
            input=text,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": PATH, **self.environment},
            timeout=30,
        )
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def ticket(self, lifetime: str = "1h", user: str = "alice", ccache: str | None = None) -> None:
        """Have a new ticket for ``user``."""
        into = [] if ccache is None else ["-c", ccache]
        self.run("kinit", "-l", lifetime, *into, user, text=f"{PASSWORD}\n")


def free_port() -> int:
    """A port that nobody has, for TCP and UDP."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        port = int(tcp.getsockname()[1])
        udp.bind(("127.0.0.1", port))
        return port


@contextmanager
def realm(directory: Path, *, skew: int = 300) -> Iterator[Realm]:
    """Make a realm, and have it run; this process is told where it is, too."""
    if absent := missing():
        unavailable(absent)
    port = free_port()
    values = {"realm": REALM, "directory": directory, "port": port, "skew": skew}
    (directory / "krb5.conf").write_text(_KRB5.format_map(values))
    (directory / "kdc.conf").write_text(_KDC.format_map(values))
    environment = {
        "KRB5_CONFIG": f"{directory}/krb5.conf",
        "KRB5_KDC_PROFILE": f"{directory}/kdc.conf",
        "KRB5CCNAME": f"FILE:{directory}/cc",
        "KRB5_KTNAME": f"FILE:{directory}/krb5.keytab",
        "KRB5RCACHENAME": f"file2:{directory}/rcache",
    }
    made = Realm(directory, environment)
    made.run("kdb5_util", "-r", REALM, "create", "-s", "-P", "master")
    queries = [f'addprinc -pw "{PASSWORD}" {user}' for user in ("alice", "bob")]
    for service in ("nfs", "host"):
        queries.append(f"addprinc -randkey {service}/localhost")
        queries.append(f"ktadd -k {made.keytab} {service}/localhost")
    made.run("kadmin.local", "-r", REALM, text="\n".join(queries) + "\n")
    argv = ["krb5kdc", "-n", "-r", REALM]
    kdc = Process(argv, env=environment)
    before = {name: os.environ.get(name) for name in environment}
    try:
        with kdc:

            def answers() -> bool:
                assert kdc.returncode is None, kdc.stderr()
                try:
                    # kinit asks over UDP, too, and for long, if it finds that port alone.
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                except OSError:
                    return False
                try:
                    made.ticket()
                except AssertionError:
                    return False
                return True

            until("the KDC", answers)
            os.environ.update(environment)
            yield made
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
