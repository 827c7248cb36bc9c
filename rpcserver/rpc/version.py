"""What generated code is made of: ``Version`` tables of ``Procedure``, services and clients."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar

if TYPE_CHECKING:
    from rpcserver.xdr.codec import Codec

T = TypeVar("T")

Result: TypeAlias = T | Awaitable[T]
"""what a service method returns: a ``T``, or from an ``async def`` something that becomes one"""


class Procedure(Generic[T]):
    """One line of a version's table: number, method, types of the arguments and of the result.

    The types are XDR designators (``rpcserver.xdr``). ``name`` is the name in the ``.x``.
    """

    name = ""

    def __init__(self, number: int, method: str, arguments: Sequence[Any], result: Any) -> None:
        self.number = number
        self.method = method
        self.arguments = tuple(arguments)
        self.result = result

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @cached_property
    def arguments_codec(self) -> Codec:
        """How the arguments travel, a tuple of them."""
        from rpcserver.xdr.codec import arguments_codec  # a module of types may not need it

        return arguments_codec(self.arguments)

    @cached_property
    def result_codec(self) -> Codec:
        """How the result travels."""
        from rpcserver.xdr.codec import codec_of

        return codec_of(self.result)

    @cached_property
    def with_buffers(self) -> Procedure[T]:
        """The same, but its result comes as buffers: ``using(client, buffers=True)``."""
        from rpcserver.xdr.buffers import BufferCodec

        same = Procedure[T](self.number, self.method, self.arguments, self.result)
        same.name = self.name
        same.__dict__["result_codec"] = BufferCodec(self.result_codec)
        return same

    def __repr__(self) -> str:
        return f"<Procedure {self.name} = {self.number}>"


class Version:
    """The base of version tables: ``class KV_V2(Version, prog=KV_PROG, vers=2)``.

    Its attributes are the procedures, by their names in the ``.x``.
    """

    _prog: ClassVar[int]
    _vers: ClassVar[int]
    _procedures: ClassVar[dict[int, Procedure[Any]]]

    def __init_subclass__(cls, *, prog: int, vers: int) -> None:
        super().__init_subclass__()
        cls._prog = prog
        cls._vers = vers
        cls._procedures = {
            value.number: value for value in vars(cls).values() if isinstance(value, Procedure)
        }


class Service:
    """The base of services. ``class KvV2Service(Service, version=KV_V2)`` is generated; the user's
    class below it has the methods, each called with a ``Call`` and the arguments."""

    _version: ClassVar[type[Version]]
    _origin: str | None = None  # MODULE:NAME, from which other processes make it once more

    def __init_subclass__(cls, *, version: type[Version] | None = None) -> None:
        super().__init_subclass__()
        if version is not None:
            cls._version = version


class Channel(Protocol):
    """What a client calls through: a connection, or for ``AsyncClient`` one that is awaited."""

    def call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        *,
        timeout: float | None = None,
    ) -> Any:
        """The result of the procedure. Raises ``CallError``, and ``XdrError`` for bad arguments."""

    def close(self) -> Any:
        """Give up the connection."""


class _AnyClient:
    _version: ClassVar[type[Version]]

    def __init__(self, channel: Channel, **options: Any) -> None:
        self._channel = channel
        self._buffers = bool(options.pop("buffers", False))
        self._options = options

    def __init_subclass__(cls, *, version: type[Version] | None = None) -> None:
        super().__init_subclass__()
        if version is not None:
            cls._version = version

    @property
    def channel(self) -> Any:
        """The connection that this client calls through."""
        return self._channel


class Client(_AnyClient):
    """The base of blocking clients; ``with`` closes its channel."""

    def _call(self, procedure: Procedure[T], *arguments: Any) -> T:
        if self._buffers:
            procedure = procedure.with_buffers
        options = self._options
        if not options:  # which costs less
            result: T = self._channel.call(self._version, procedure, arguments)
        else:
            result = self._channel.call(self._version, procedure, arguments, **options)
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._channel.close()


class AsyncClient(_AnyClient):
    """The base of asyncio clients; ``async with`` closes its channel."""

    async def _call(self, procedure: Procedure[T], *arguments: Any) -> T:
        if self._buffers:
            procedure = procedure.with_buffers
        result: T = await self._channel.call(self._version, procedure, arguments, **self._options)
        return result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._channel.close()


ClientT = TypeVar("ClientT", bound=_AnyClient)


def using(client: ClientT, **options: Any) -> ClientT:
    """The same client on the same channel with other options for its calls.

    ``using(kv, timeout=1.5).get("colour")`` waits 1.5 seconds at most; ``using(kv,
    oneway=True).note("x")`` sends the call, waits for no reply, and returns ``None``;
    ``using(kv, buffers=True)`` has results whose opaque data are a ``memoryview`` and whose arrays
    of numbers an ``array.array``, without a copy and without a step for each number.
    """
    kept = {"buffers": client._buffers, **client._options}
    return type(client)(client._channel, **{**kept, **options})
