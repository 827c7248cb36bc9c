"""pyvisa-py at work with an instrument, as its users have it: a line of JSON for each result.

python -m tests.interop.visa_session session | requests HOST HERE
"""

import json
import random
import sys
import threading
import time
from typing import Any

import pyvisa
from pyvisa import constants, errors
from pyvisa_py.protocols import vxi11

from generated.vxi11 import (
    DEVICE_INTR,
    DeviceIntrVersionService,
    DeviceSrqParms,
)
from rpcserver import rpc, serve


def say(name: str, value: Any) -> None:
    print(json.dumps([name, value]), flush=True)


def refused(function: Any, *arguments: Any, **options: Any) -> str:
    """The name of the VISA error that it ends with."""
    try:
        function(*arguments, **options)
    except errors.VisaIOError as error:
        return constants.StatusCode(error.error_code).name
    return "nothing"


def session(host: str, here: str) -> None:
    """Find it, open it, and use it in all ways."""
    manager = pyvisa.ResourceManager("@py")
    found = [name for name in manager.list_resources("TCPIP?*") if host in name]
    say("found", found)
    with manager.open_resource(found[0]) as device:
        assert isinstance(device, pyvisa.resources.MessageBasedResource)
        device.read_termination = device.write_termination = "\n"
        device.timeout = 5000
        say("identity", device.query("*IDN?"))
        device.write("FREQ 2500;VOLT 2")
        say("settings", [device.query("FREQ?"), device.query("VOLT?")])
        say("wrong", [device.write("NONSENSE 1") and "", device.query("SYST:ERR?")])
        device.write("POIN 262144")
        begun = time.monotonic()
        wave = device.query_binary_values("WAV?", datatype="f", is_big_endian=True)
        say("wave", [len(wave), round(max(wave), 3), time.monotonic() - begun < 30])
        data = random.Random(5).randbytes(1_000_000)
        device.write_binary_values("DATA ", list(data), datatype="B")
        back = device.query_binary_values("DATA?", datatype="B", container=bytes)
        say("block", back == data)
        device.write("*IDN?")
        device.clear()
        device.timeout = 300
        say("cleared", refused(device.read))
        device.timeout = 5000
        say("status", device.read_stb())
        device.assert_trigger()
        say("triggered", device.query("*ESR?"))
        with manager.open_resource(found[0]) as other:
            assert isinstance(other, pyvisa.resources.MessageBasedResource)
            other.timeout = 300
            device.lock_excl(timeout=1000)
            say("locked", refused(other.write, "*CLS"))
            device.unlock()
            say("unlocked", refused(other.write, "*CLS"))
            device.lock_excl(timeout=1000)
        device.close()
    with manager.open_resource(found[0]) as third:
        assert isinstance(third, pyvisa.resources.MessageBasedResource)
        say("lock gone with its link", refused(third.write, "*CLS"))
    manager.close()


class Requests(DeviceIntrVersionService):
    """The controller's interrupt channel."""

    def __init__(self) -> None:
        self.handles: list[str] = []
        self.came = threading.Event()

    @rpc.oneway
    def device_intr_srq(self, call: rpc.Call, /, arg: DeviceSrqParms) -> None:
        self.handles.append(arg.handle.decode())
        self.came.set()


def requests(host: str, here: str) -> None:
    """Service requests, by way of pyvisa-py's own VXI-11 client."""
    client: Any = vxi11.CoreClient(host)
    error, link, abort_port, size = client.create_link(1, 0, 1000, "inst0")
    say("linked", [error, abort_port > 0, size >= 1024])
    own = Requests()
    with serve(own, listen=[f"tcp://{here}:0"], register=False) as server:
        port = int(server.start().endpoints[0].rpartition(":")[2])
        address = int.from_bytes(bytes(map(int, here.split("."))))

        def channel(number: int) -> int:
            # CoreClient.create_intr_chan packs these as if they were another procedure's.
            arguments = number, port, DEVICE_INTR, 1, 0
            pack = client.packer.pack_device_remote_func_parms
            unpack = client.unpacker.unpack_device_error
            return int(client.make_call(vxi11.CREATE_INTR_CHAN, arguments, pack, unpack))

        say("elsewhere", channel(address + 1))
        say("channel", channel(address))
        say("a second one", channel(address))
        say("enabled", client.device_enable_srq(link, True, b"it is me"))
        for message in (b"*ESE 1;*SRE 32", b"*OPC"):
            client.device_write(link, 1000, 1000, 8, message)
        say("came", own.came.wait(10))
        say("handles", own.handles)
        say("status", [client.device_read_stb(link, 0, 1000, 1000)[1] for _ in range(2)])
        say("disabled", client.device_enable_srq(link, False, b""))
        say("channel closed", [client.destroy_intr_chan(), client.destroy_intr_chan()])
    say("unlinked", [client.destroy_link(link), client.destroy_link(link)])
    client.close()


if __name__ == "__main__":
    {"session": session, "requests": requests}[sys.argv[1]](*sys.argv[2:])
