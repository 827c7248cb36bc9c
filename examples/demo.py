"""The main job from end to end, as `make demo` shows it. Needs neither root nor port 111.

Generate a module from a .x file, start a portmapper and a service on TCP and UDP, have it found
by name and called in both versions, have a C program made by rpcgen call it, and end cleanly.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rpcserver
from rpcserver.errors import NotReached

ROOT = Path(__file__).parents[1]
RPCSERVER = [sys.executable, "-m", "rpcserver"]
C_PACKAGES = "rpcsvc-proto libtirpc-dev gcc make pkg-config"


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def run(*command: str) -> None:
    print("$", " ".join(command), flush=True)
    subprocess.run([*RPCSERVER, *command[1:]], cwd=ROOT, check=True)


@contextmanager
def started(*command: str) -> Iterator[list[str]]:
    """A verb of rpcserver in a process of its own: the URLs where it listens."""
    print("$", " ".join(command), "&", flush=True)
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115  read once the process has ended
    process = subprocess.Popen(
        [*RPCSERVER, *command[1:]], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
    )
    try:
        assert process.stdout is not None
        urls = []
        for line in process.stdout:
            print("   ", line, end="", flush=True)
            if line == "ready\n":
                break
            urls.append(line.split()[1])
        else:
            log.seek(0)
            sys.exit(f"{command[1]} did not start: {log.read()}")
        yield urls
    finally:
        process.terminate()
        print(f"    {command[1]} ended with exit status {process.wait(20)}", flush=True)
        log.seek(0)
        # The C client also makes calls that must fail; the service logs each of them.
        print(f"    its log has {len(log.readlines())} lines", flush=True)
        log.close()


def call_both_versions(portmap: str) -> None:
    from generated import calc

    for transport in ("tcp", "udp"):
        with rpcserver.connect(
            calc.CalcV1Client, "localhost", rpcbind=portmap, transport=transport
        ) as v1:
            print(f"    {transport}: version 1: 2 + 3 = {v1.add(2, 3)}")
        with rpcserver.connect(
            calc.CalcV2Client, "localhost", rpcbind=portmap, transport=transport, credentials="sys"
        ) as v2:
            print(f"    {transport}: version 2: sum of 1..100 = {v2.sum(list(range(1, 101)))}")
            match v2.divide(7, 0):
                case calc.QuotientCalcOk(value):
                    print(f"    {transport}: version 2: 7 / 0 = {value}")
                case arm:
                    print(f"    {transport}: version 2: 7 / 0 is {arm.status.name}")
            caller = v2.whoami()
            print(f"    {transport}: version 2: it knows us as uid {caller.uid}")


def call_from_c(urls: list[str]) -> None:
    missing = [tool for tool in ("rpcgen", "gcc", "make", "pkg-config") if not shutil.which(tool)]
    if missing:
        print(f"    no {', '.join(missing)} here: install {C_PACKAGES}")
        return
    with tempfile.TemporaryDirectory() as build:
        made = subprocess.run(
            ["make", "-s", "-C", str(ROOT / "examples" / "c"), f"BUILD={build}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            last = (made.stderr.strip() or "make failed").splitlines()[-1]
            print(f"    the C client could not be built ({last}): install {C_PACKAGES}")
            return
        for url in urls:
            transport, _, address = url.partition("://")
            host, _, port = address.rpartition(":")
            command = [f"{build}/calc_client", host, port, transport, "sys", "all"]
            called = subprocess.run(command, capture_output=True, text=True, check=False)
            good = sum(line.startswith("ok") for line in called.stdout.splitlines())
            print(f"    calc_client {host} {port} {transport}: {good} calls answered right")
            if called.returncode:
                sys.exit(called.stdout + called.stderr)


def main() -> None:
    """Run the story; exits with 1 if a step of it fails."""
    say("Generate Python from idl/kv.x")
    with tempfile.TemporaryDirectory() as directory:
        output = str(Path(directory) / "kv.py")
        run("rpcserver", "gen", "idl/kv.x", "-o", output)
        print("   ", "\n    ".join(Path(output).read_text().splitlines()[:12]), "...")

    say("A portmapper on a port of its own")
    with started(
        "rpcserver", "portmap", "--listen", "tcp://127.0.0.1:0", "--listen", "udp://127.0.0.1:0"
    ) as (portmap, _):
        say("A service on TCP and UDP, registered there")
        services = ("examples.calc:CalcV1", "examples.calc:CalcV2")
        with started("rpcserver", "serve", *services, "--rpcbind", portmap) as urls:
            run("rpcserver", "info", "--rpcbind", portmap)
            say("A Python client finds it by name")
            call_both_versions(portmap)
            say("So does the command line")
            run(
                "rpcserver", "call", "idl/calc.x", "localhost", "divide", "7", "2",
                "--rpcbind", portmap,
            )  # fmt: skip
            say("A C client made by rpcgen, given host and port")
            call_from_c(urls)
        say("The service is gone, and so is its registration")
        run("rpcserver", "info", "--rpcbind", portmap)
        try:
            from generated.calc import CalcV2Client

            rpcserver.connect(CalcV2Client, "localhost", rpcbind=portmap)
            sys.exit("still registered")
        except NotReached as error:
            print("   ", error)
    say("Done")


if __name__ == "__main__":
    main()
