"""The C client that rpcgen made calls the Python service."""

from pathlib import Path

import pytest

from examples.calc import CalcV1, CalcV2
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.serve import serve
from rpcserver.servers.server import KINDS
from tests.peers.cc import CalcC

CHECKS = [
    "first",
    "calculating",
    "remembering",
    "scalars",
    "strings",
    "arrays",
    "structs",
    "unions",
]


URLS = {
    "tcp": "tcp://127.0.0.1:0",
    "udp": "udp://127.0.0.1:0",
    "tcp6": "tcp://[::1]:0",
    "udp6": "udp://[::1]:0",
    "local": "unix://{path}",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("auth", ["none", "sys"])
@pytest.mark.parametrize("netid", URLS)
def test_every_call_of_both_versions(
    calc_c: CalcC, kind: str, auth: str, netid: str, tmp_path: Path
) -> None:
    path = tmp_path / "sock"
    datagrams = netid.startswith("udp")
    # "refusals" opens connections side by side: with one request at a time they would wait.
    checks = [*CHECKS, "large"] if kind == "sync" and not datagrams else ["all"]
    if kind == "forks" and datagrams:
        # What a child remembers, nobody else knows.
        checks = [check for check in CHECKS if check != "remembering"]
    listen = [URLS[netid].format(path=path)]
    good = 0
    with serve(CalcV1(), CalcV2(), listen=listen, register=False, kind=kind) as server:
        server.start()
        place = parse_url(server.endpoints[0])
        host = place.host or str(path)
        for check in checks:
            done = calc_c.call(place.port, netid, auth, check=check, host=host)
            assert done.returncode == 0, done.stdout + done.stderr
            good += done.stdout.count("ok  ")
    assert good > 100
