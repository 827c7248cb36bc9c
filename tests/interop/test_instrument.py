"""The simulated instrument: pyvisa-py, unmodified, drives it over a network; and what it leaves
out, our own client does."""

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from examples.instrument import MAX_LINKS, Abort, Core, Instrument
from examples.scpi import Device, parse_block
from generated import vxi11
from generated.vxi11 import (
    CreateLinkParms,
    DeviceAsyncVersionClient,
    DeviceCoreVersionClient,
    DeviceDocmdParms,
    DeviceEnableSrqParms,
    DeviceGenericParms,
    DeviceLockParms,
    DeviceReadParms,
    DeviceReadResp,
    DeviceWriteParms,
    DeviceWriteResp,
)
from rpcserver import connect, serve
from tests.peers.netns import Namespace
from tests.peers.process import Process, until
from tests.peers.rpcbind import RPCSERVER, embedded

HERE, THERE = "198.51.100.1", "198.51.100.2"


@contextmanager
def laboratory() -> Iterator[Namespace]:
    """A controller's host, and on the same network one with the instrument and our rpcbind."""
    with Namespace() as near, Namespace() as far:
        near.join(far, f"{HERE}/24", f"{THERE}/24")
        names = ["examples.instrument:core", "examples.instrument:abort"]
        with (
            embedded(far) as portmap,
            running(portmap),
            far.popen(*RPCSERVER, "serve", *names, "--listen", "tcp://0.0.0.0:0") as instrument,
            running(instrument),
        ):
            yield near


@contextmanager
def running(process: Process) -> Iterator[None]:
    process.wait_for("^ready$")
    yield
    assert process.returncode is None, process.stderr()
    assert "Traceback" not in process.stderr(), process.stderr()


def said(namespace: Namespace, what: str) -> dict[str, Any]:
    """What a session of pyvisa-py's brought."""
    command = [sys.executable, "-m", "tests.interop.visa_session", what, THERE, HERE]
    result = namespace.run(*command, timeout=120)
    assert result.returncode == 0, result.stderr
    return dict(json.loads(line) for line in result.stdout.splitlines())


def test_a_session_with_pyvisa() -> None:
    with laboratory() as controller:
        assert said(controller, "session") == {
            "found": [f"TCPIP::{THERE}::INSTR"],
            "identity": "rpcserver,Simulated generator,0001,1.0",
            "settings": ["2500", "2"],
            "wrong": ["", '-113,"Undefined header; NONSENSE"'],
            "wave": [262144, 2.0, True],
            "block": True,
            "cleared": "error_timeout",
            "status": 0,
            "triggered": "33",
            "locked": "error_io",  # what pyvisa-py makes of error 11
            "unlocked": "nothing",
            "lock gone with its link": "nothing",
        }


def test_service_requests_to_pyvisa() -> None:
    with laboratory() as controller:
        assert said(controller, "requests") == {
            "linked": [0, True, True],
            "elsewhere": vxi11.DEVICE_ERR_INVALID_ADDRESS,
            "channel": 0,
            "a second one": vxi11.DEVICE_ERR_CHANNEL_EXISTS,
            "enabled": 0,
            "came": True,
            "handles": ["it is me"],
            "status": [64 + 32, 32],
            "disabled": 0,
            "channel closed": [0, vxi11.DEVICE_ERR_NO_CHANNEL],
            "unlinked": [0, vxi11.DEVICE_ERR_INVALID_LINK],
        }


# --- with our own client --------------------------------------------------------------------------


@pytest.fixture(params=["select", "threads", "asyncio"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    instrument = Instrument()
    services = Core(instrument), Abort(instrument)
    with serve(
        *services, listen=["tcp://127.0.0.1:0"], register=False, kind=request.param
    ) as server:
        yield server.start().endpoints[0]


def linked(client: DeviceCoreVersionClient, lock: bool = False, timeout: int = 0) -> int:
    made = client.create_link(CreateLinkParms(0, lock, timeout, "inst0"))
    assert made.error == 0 and made.maxRecvSize >= 1024
    return made.lid


def write(client: DeviceCoreVersionClient, lid: int, data: bytes, flags: int = 8) -> int:
    answer: DeviceWriteResp = client.device_write(DeviceWriteParms(lid, 1000, 0, flags, data))
    assert answer.size == (0 if answer.error else len(data))
    return answer.error


def read(
    client: DeviceCoreVersionClient, lid: int, size: int = 1000, timeout: int = 0, stop: int = -1
) -> DeviceReadResp:
    flags = vxi11.DEVICE_FLAG_TERMCHRSET if stop >= 0 else 0
    return client.device_read(DeviceReadParms(lid, size, timeout, 0, flags, max(stop, 0)))


def test_reasons_for_the_end_of_a_read(url: str) -> None:
    with connect(DeviceCoreVersionClient, url) as client:
        lid = linked(client)
        assert write(client, lid, b"*ID", 0) == 0  # and the rest of the message
        assert write(client, lid, b"N?") == 0
        found = [read(client, lid, 3), read(client, lid, stop=ord(",")), read(client, lid)]
        assert [each.data for each in found] == [
            b"rpc", b"server,", b"Simulated generator,0001,1.0\n",
        ]  # fmt: skip
        assert [each.reason for each in found] == [
            vxi11.DEVICE_REASON_REQCNT, vxi11.DEVICE_REASON_CHR, vxi11.DEVICE_REASON_END,
        ]  # fmt: skip
        assert read(client, lid, timeout=50).error == vxi11.DEVICE_ERR_IO_TIMEOUT


def test_a_read_that_waits_is_aborted(url: str) -> None:
    with (
        connect(DeviceCoreVersionClient, url) as client,
        connect(DeviceAsyncVersionClient, url) as other,
    ):
        lid = linked(client)
        answers: list[DeviceReadResp] = []
        reader = threading.Thread(target=lambda: answers.append(read(client, lid, timeout=20_000)))
        reader.start()

        def ended() -> bool:
            assert other.device_abort(lid).error == 0
            return bool(answers)

        until("the abort", ended)
        reader.join()
        assert answers[0].error == vxi11.DEVICE_ERR_ABORT
        assert write(client, lid, b"*IDN?") == 0  # the link lives on
        assert read(client, lid, timeout=1000).error == 0
        assert other.device_abort(99).error == vxi11.DEVICE_ERR_INVALID_LINK


def test_a_read_that_waits_gets_what_another_link_asked_for(url: str) -> None:
    with (
        connect(DeviceCoreVersionClient, url) as client,
        connect(DeviceCoreVersionClient, url) as other,
    ):
        first, second = linked(client), linked(other)
        answers: list[DeviceReadResp] = []
        reader = threading.Thread(
            target=lambda: answers.append(read(client, first, timeout=20_000))
        )
        reader.start()
        assert write(other, second, b"*OPC?") == 0
        reader.join()
        assert answers[0].data == b"1\n"


def test_locks(url: str) -> None:
    with (
        connect(DeviceCoreVersionClient, url) as client,
        connect(DeviceCoreVersionClient, url) as other,
    ):
        first, second = linked(client), linked(other)
        wait = vxi11.DEVICE_FLAG_WAITLOCK

        def lock(lid: int, flags: int = 0, timeout: int = 0) -> int:
            whose = client if lid == first else other
            return whose.device_lock(DeviceLockParms(lid, flags, timeout)).error

        assert lock(first) == 0 and lock(first) == 0
        assert lock(second) == vxi11.DEVICE_ERR_LOCKED
        assert lock(second, wait, 50) == vxi11.DEVICE_ERR_LOCKED
        assert write(client, second, b"*CLS") == vxi11.DEVICE_ERR_LOCKED
        asked = client.create_link(CreateLinkParms(0, True, 20, "inst0"))
        assert asked.error == vxi11.DEVICE_ERR_LOCKED
        assert client.device_unlock(second).error == vxi11.DEVICE_ERR_NOT_LOCKED
        got: list[int] = []
        waiter = threading.Thread(target=lambda: got.append(lock(second, wait, 20_000)))
        waiter.start()
        assert client.device_unlock(first).error == 0
        waiter.join()
        assert got == [0]
        assert write(client, first, b"*CLS") == vxi11.DEVICE_ERR_LOCKED
        assert client.destroy_link(second).error == 0
        assert write(client, first, b"*CLS") == 0


def test_a_controller_that_goes_leaves_nothing_behind(url: str) -> None:
    with connect(DeviceCoreVersionClient, url) as client:
        lid = linked(client)
        with connect(DeviceCoreVersionClient, url) as other:
            linked(other, lock=True)
            assert write(client, lid, b"*CLS") == vxi11.DEVICE_ERR_LOCKED
            for _ in range(MAX_LINKS - 2):
                linked(other)
            full = other.create_link(CreateLinkParms(0, False, 0, "inst0"))
            assert full.error == vxi11.DEVICE_ERR_OUT_OF_RESOURCES
        until("the lock", lambda: write(client, lid, b"*CLS") == 0)
        until("a place", lambda: client.create_link(CreateLinkParms(0, False, 0, "inst0")).lid)


def test_what_is_not_there(url: str) -> None:
    with connect(DeviceCoreVersionClient, url) as client:
        nothing = DeviceGenericParms(99, 0, 0, 0)
        invalid = vxi11.DEVICE_ERR_INVALID_LINK
        for method in (
            client.device_trigger, client.device_clear, client.device_remote, client.device_local,
        ):  # fmt: skip
            assert method(nothing).error == invalid
        assert client.device_readstb(nothing).error == invalid
        assert client.device_enable_srq(DeviceEnableSrqParms(99, True, b"")).error == invalid
        assert read(client, 99).error == invalid and write(client, 99, b"x") == invalid
        elsewhere = client.create_link(CreateLinkParms(0, False, 0, "gpib0,5"))
        assert elsewhere.error == vxi11.DEVICE_ERR_NOT_ACCESSIBLE
        command = DeviceDocmdParms(1, 0, 0, 0, 1, True, 1, b"")
        assert client.device_docmd(command).error == vxi11.DEVICE_ERR_NOT_SUPPORTED
        lid = linked(client)
        assert write(client, lid, bytes(1 << 17)) == vxi11.DEVICE_ERR_PARAMETER
        good = DeviceGenericParms(lid, 0, 0, 0)
        assert client.device_local(good).error == client.device_remote(good).error == 0


# --- the device -----------------------------------------------------------------------------------


def answers(device: Device, message: bytes) -> str:
    device.execute(message)
    return device.take(10_000)[0].decode()


def test_commands() -> None:
    device = Device()
    assert answers(device, b"FREQ 5;FREQ?") == "5\n"
    assert answers(device, b"*RST;FREQ?") == "1000\n"
    assert answers(device, b"FREQ -1;SYST:ERR?") == '-222,"Data out of range; FREQ"\n'
    assert answers(device, b"SYST:ERR?") == '0,"No error"\n'
    assert answers(device, b"*ESE 48;*ESE?") == "48\n"
    assert answers(device, b"*STB?") == "32\n"
    assert answers(device, b"*ESR?;*ESR?") == "16\n"
    assert device.take(10)[0] == b"0\n"
    assert answers(device, b"DATA #15hello") == ""
    assert answers(device, b"DATA?") == "#15hello\n"
    assert answers(device, b"DATA #19hello") == ""
    assert answers(device, b"SYST:ERR?") == '-222,"Data out of range; DATA"\n'


@pytest.mark.parametrize("text", [b"", b"12", b"#", b"#x", b"#2", b"#12"])
def test_blocks_that_are_none(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_block(text)


def test_service_is_requested_once() -> None:
    count: list[int] = []
    device = Device(lambda: count.append(1))
    device.execute(b"*ESE 1;*SRE 32;*OPC;*OPC")
    assert len(count) == 1
    assert [device.poll(), device.poll()] == [96, 32]
    device.execute(b"*CLS;*OPC")
    assert len(count) == 2


def test_a_controller_whose_interrupt_channel_is_gone() -> None:
    async def main() -> None:
        instrument = Instrument()
        lid = instrument.link()
        instrument.get(lid).handle = b"x"
        instrument.device.execute(b"*ESE 1;*SRE 32;*OPC")  # nobody to tell
        assert instrument.device.poll() == 96

    asyncio.run(main())
