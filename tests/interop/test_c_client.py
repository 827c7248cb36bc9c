"""The C client that rpcgen made calls the Python service."""

import pytest

from examples.calc import CalcV1, CalcV2
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.serve import KINDS, serve
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("auth", ["none", "sys"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_call_of_both_versions(calc_c: CalcC, kind: str, auth: str, transport: str) -> None:
    listen = [f"{transport}://127.0.0.1:0"]
    # "refusals" opens connections side by side: with one request at a time they would wait.
    checks = [*CHECKS, "large"] if (kind, transport) == ("sync", "tcp") else ["all"]
    if (kind, transport) == ("forks", "udp"):
        # What a child remembers, nobody else knows.
        checks = [check for check in CHECKS if check != "remembering"]
    good = 0
    with serve(CalcV1(), CalcV2(), listen=listen, register=False, kind=kind) as server:
        server.start()
        port = parse_url(server.endpoints[0]).port
        for check in checks:
            done = calc_c.call(port, transport, auth, check=check)
            assert done.returncode == 0, done.stdout + done.stderr
            good += done.stdout.count("ok  ")
    assert good > 100
