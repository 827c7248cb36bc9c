"""A simulated VXI-11 instrument: three programs of idl/vxi11.x over one device.

    rpcserver serve examples.instrument:core examples.instrument:abort --portmap

``examples/scpi.py`` is the device. All methods are coroutines, so one loop runs them, whatever the
kind of server (but ``forks`` and ``--workers``, which would have one instrument in each process).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from examples.scpi import Device
from generated import vxi11
from generated.vxi11 import (
    CreateLinkParms,
    CreateLinkResp,
    DeviceAsyncVersionService,
    DeviceCoreVersionService,
    DeviceDocmdParms,
    DeviceDocmdResp,
    DeviceEnableSrqParms,
    DeviceError,
    DeviceGenericParms,
    DeviceIntrVersionAsyncClient,
    DeviceLockParms,
    DeviceReadParms,
    DeviceReadResp,
    DeviceReadStbResp,
    DeviceRemoteFunc,
    DeviceSrqParms,
    DeviceWriteParms,
    DeviceWriteResp,
)
from rpcserver import aio, rpc
from rpcserver.errors import CallError

MAX_RECEIVE = 1 << 16
"""Bytes of one device_write."""

MAX_MESSAGE = 1 << 25
"""Bytes of one message, which may come in many writes."""

MAX_LINKS = 64


class Failed(Exception):
    """Ends a procedure with one of the ``DEVICE_ERR_`` numbers."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Link:
    """A controller's link to the device."""

    message: bytearray = field(default_factory=bytearray)  # that has not ended
    handle: bytes | None = None  # for service requests, if they are wanted
    aborted: bool = False


class Instrument:
    """The device, who is linked to it, and who has it locked."""

    def __init__(self) -> None:
        self.device = Device(self._request_service)
        self.links: dict[int, Link] = {}
        self.owner: int | None = None  # of the lock
        self.interrupts: DeviceIntrVersionAsyncClient | None = None
        self._last = 0
        self._changed = asyncio.Condition()
        self._requests: set[asyncio.Task[None]] = set()

    def link(self) -> int:
        """Make a link; its number."""
        if len(self.links) >= MAX_LINKS:
            raise Failed(vxi11.DEVICE_ERR_OUT_OF_RESOURCES)
        self._last += 1
        self.links[self._last] = Link()
        return self._last

    def unlink(self, lid: int) -> None:
        """End a link, and its lock."""
        self.links.pop(lid, None)
        if self.owner == lid:
            self.owner = None
        self.notify()

    def get(self, lid: int) -> Link:
        """A link that there is."""
        if lid not in self.links:
            raise Failed(vxi11.DEVICE_ERR_INVALID_LINK)
        return self.links[lid]

    def notify(self) -> None:
        """Have those look again that wait."""

        async def wake() -> None:
            async with self._changed:
                self._changed.notify_all()

        self._start(wake())

    async def until(self, lid: int, ready: Callable[[], bool], timeout: int, late: int) -> None:
        """Wait until it is ``ready``, ``timeout`` milliseconds at most; then the error is ``late``,
        or if somebody aborts it, ABORT."""
        link = self.get(lid)
        link.aborted = False
        if ready():
            return
        try:
            async with asyncio.timeout(timeout / 1000), self._changed:
                await self._changed.wait_for(
                    lambda: ready() or link.aborted or lid not in self.links
                )
        except TimeoutError:
            raise Failed(late) from None
        if link.aborted:
            raise Failed(vxi11.DEVICE_ERR_ABORT)
        self.get(lid)

    async def use(self, lid: int, flags: int, lock_timeout: int) -> Link:
        """A link that may use the device: nobody else has it locked."""
        link = self.get(lid)
        patience = lock_timeout if flags & vxi11.DEVICE_FLAG_WAITLOCK else 0
        free = lambda: self.owner in (None, lid)  # noqa: E731
        await self.until(lid, free, patience, vxi11.DEVICE_ERR_LOCKED)
        return link

    async def lock(self, lid: int, flags: int, lock_timeout: int) -> None:
        """Give the device to one link alone."""
        await self.use(lid, flags, lock_timeout)
        self.owner = lid

    def _request_service(self) -> None:
        for link in self.links.values():
            if link.handle is not None and self.interrupts is not None:
                self._start(self._send_request(self.interrupts, link.handle))

    async def _send_request(self, to: DeviceIntrVersionAsyncClient, handle: bytes) -> None:
        try:
            await rpc.using(to, oneway=True).device_intr_srq(DeviceSrqParms(handle))
        except CallError:
            pass  # a controller that is gone is not served

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)


async def outcome(work: Awaitable[object]) -> DeviceError:
    """Error 0, or the number of what went wrong."""
    try:
        await work
    except Failed as error:
        return DeviceError(error.code)
    return DeviceError(vxi11.DEVICE_ERR_NONE)


class Core(DeviceCoreVersionService):
    """The core channel."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument

    async def create_link(self, call: rpc.Call, /, arg: CreateLinkParms) -> CreateLinkResp:
        instrument = self._instrument
        abort_port = call.peer.local[1]  # both channels are served at every address
        try:
            if arg.device.lower() not in ("inst0", "device"):
                raise Failed(vxi11.DEVICE_ERR_NOT_ACCESSIBLE)
            lid = instrument.link()
            if call.connection is not None:
                loop = asyncio.get_running_loop()
                call.connection.on_close(lambda: loop.call_soon_threadsafe(instrument.unlink, lid))
            if arg.lockDevice:
                try:
                    flags = vxi11.DEVICE_FLAG_WAITLOCK
                    await instrument.lock(lid, flags, arg.lock_timeout)
                except Failed:
                    instrument.unlink(lid)
                    raise
        except Failed as error:
            return CreateLinkResp(error.code, 0, abort_port, MAX_RECEIVE)
        return CreateLinkResp(vxi11.DEVICE_ERR_NONE, lid, abort_port, MAX_RECEIVE)

    async def destroy_link(self, call: rpc.Call, /, arg: int) -> DeviceError:
        async def work() -> None:
            self._instrument.get(arg)
            self._instrument.unlink(arg)

        return await outcome(work())

    async def device_write(self, call: rpc.Call, /, arg: DeviceWriteParms) -> DeviceWriteResp:
        try:
            link = await self._instrument.use(arg.lid, arg.flags, arg.lock_timeout)
            if len(arg.data) > MAX_RECEIVE or len(link.message) + len(arg.data) > MAX_MESSAGE:
                link.message.clear()
                raise Failed(vxi11.DEVICE_ERR_PARAMETER)
        except Failed as error:
            return DeviceWriteResp(error.code, 0)
        link.message += arg.data
        if arg.flags & vxi11.DEVICE_FLAG_END:
            message, link.message = bytes(link.message), bytearray()
            self._instrument.device.execute(message)
            self._instrument.notify()
        return DeviceWriteResp(vxi11.DEVICE_ERR_NONE, len(arg.data))

    async def device_read(self, call: rpc.Call, /, arg: DeviceReadParms) -> DeviceReadResp:
        instrument, device = self._instrument, self._instrument.device
        late = vxi11.DEVICE_ERR_IO_TIMEOUT
        try:
            await instrument.use(arg.lid, arg.flags, arg.lock_timeout)
            await instrument.until(arg.lid, lambda: device.has_answer, arg.io_timeout, late)
        except Failed as error:
            return DeviceReadResp(error.code, 0, b"")
        stop = arg.termChar & 255 if arg.flags & vxi11.DEVICE_FLAG_TERMCHRSET else None
        data, stopped, ended = device.take(min(arg.requestSize, MAX_RECEIVE), stop)
        reason = (
            (vxi11.DEVICE_REASON_REQCNT if len(data) == arg.requestSize else 0)
            | (vxi11.DEVICE_REASON_CHR if stopped else 0)
            | (vxi11.DEVICE_REASON_END if ended else 0)
        )
        return DeviceReadResp(vxi11.DEVICE_ERR_NONE, reason, data)

    async def device_readstb(self, call: rpc.Call, /, arg: DeviceGenericParms) -> DeviceReadStbResp:
        try:
            await self._instrument.use(arg.lid, arg.flags, arg.lock_timeout)
        except Failed as error:
            return DeviceReadStbResp(error.code, 0)
        return DeviceReadStbResp(vxi11.DEVICE_ERR_NONE, self._instrument.device.poll())

    async def device_trigger(self, call: rpc.Call, /, arg: DeviceGenericParms) -> DeviceError:
        return await self._do(arg, self._instrument.device.trigger)

    async def device_clear(self, call: rpc.Call, /, arg: DeviceGenericParms) -> DeviceError:
        def clear() -> None:
            self._instrument.get(arg.lid).message.clear()
            self._instrument.device.clear()

        return await self._do(arg, clear)

    async def device_remote(self, call: rpc.Call, /, arg: DeviceGenericParms) -> DeviceError:
        return await self._do(arg, lambda: None)  # it has no front panel

    device_local = device_remote

    async def device_lock(self, call: rpc.Call, /, arg: DeviceLockParms) -> DeviceError:
        return await outcome(self._instrument.lock(arg.lid, arg.flags, arg.lock_timeout))

    async def device_unlock(self, call: rpc.Call, /, arg: int) -> DeviceError:
        async def work() -> None:
            self._instrument.get(arg)
            if self._instrument.owner != arg:
                raise Failed(vxi11.DEVICE_ERR_NOT_LOCKED)
            self._instrument.owner = None
            self._instrument.notify()

        return await outcome(work())

    async def device_enable_srq(self, call: rpc.Call, /, arg: DeviceEnableSrqParms) -> DeviceError:
        async def work() -> None:
            self._instrument.get(arg.lid).handle = bytes(arg.handle) if arg.enable else None

        return await outcome(work())

    async def device_docmd(self, call: rpc.Call, /, arg: DeviceDocmdParms) -> DeviceDocmdResp:
        return DeviceDocmdResp(vxi11.DEVICE_ERR_NOT_SUPPORTED, b"")

    async def create_intr_chan(self, call: rpc.Call, /, arg: DeviceRemoteFunc) -> DeviceError:
        async def work() -> None:
            if self._instrument.interrupts is not None:
                raise Failed(vxi11.DEVICE_ERR_CHANNEL_EXISTS)
            if (arg.progNum, arg.progVers) != (vxi11.DEVICE_INTR, 1):
                raise Failed(vxi11.DEVICE_ERR_PARAMETER)
            # To the caller and to nobody else: an instrument is no way into other networks.
            host, transport = str(IPv4Address(arg.hostAddr)), ("tcp", "udp")[arg.progFamily]
            if host != call.peer.address[0]:
                raise Failed(vxi11.DEVICE_ERR_INVALID_ADDRESS)
            url = f"{transport}://{host}:{arg.hostPort}"
            try:
                client = await aio.connect(DeviceIntrVersionAsyncClient, url, timeout=5)
            except CallError:
                raise Failed(vxi11.DEVICE_ERR_NO_CHANNEL) from None
            self._instrument.interrupts = client

        return await outcome(work())

    async def destroy_intr_chan(self, call: rpc.Call, /) -> DeviceError:
        async def work() -> None:
            client, self._instrument.interrupts = self._instrument.interrupts, None
            if client is None:
                raise Failed(vxi11.DEVICE_ERR_NO_CHANNEL)
            await client.channel.close()

        return await outcome(work())

    async def _do(self, arg: DeviceGenericParms, action: Callable[[], object]) -> DeviceError:
        async def work() -> None:
            await self._instrument.use(arg.lid, arg.flags, arg.lock_timeout)
            action()
            self._instrument.notify()

        return await outcome(work())


class Abort(DeviceAsyncVersionService):
    """The abort channel: ends what a link waits for in the core channel."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument

    async def device_abort(self, call: rpc.Call, /, arg: int) -> DeviceError:
        async def work() -> None:
            self._instrument.get(arg).aborted = True
            self._instrument.notify()

        return await outcome(work())


_INSTRUMENT = Instrument()
core = Core(_INSTRUMENT)
abort = Abort(_INSTRUMENT)
