"""A service that tells what it knows of TLS, on servers of every kind, and a raw client."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import rpcserver
from rpcserver import rpc, xdr
from rpcserver.auth import TlsCredential
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.server import Server
from tests.peers import wire

PROG = 0x20000409
AUTH_TLS = 7
AUTH_BADCRED, AUTH_REJECTEDCRED, AUTH_BADVERF, AUTH_TOOWEAK = 1, 2, 3, 5
STARTTLS = b"STARTTLS"

KINDS = ("sync", "threads", "forks", "select", "asyncio", "prefork")


class WHO_V1(rpc.Version, prog=PROG, vers=1):
    WHO: rpc.Procedure[str] = rpc.Procedure(1, "who", [], xdr.String())
    ECHO: rpc.Procedure[bytes] = rpc.Procedure(2, "echo", [xdr.Opaque()], xdr.Opaque())
    SLOW: rpc.Procedure[bytes] = rpc.Procedure(3, "slow", [xdr.Opaque()], xdr.Opaque())


class Who(rpc.Service, version=WHO_V1):
    def who(self, call: rpc.Call) -> str:
        tls: Any = call.connection.tls if call.connection is not None else None
        if tls is None:
            return "clear"
        who = call.credential
        name = who.common_name if isinstance(who, TlsCredential) else str(who)
        return f"{tls.version} {tls.alpn} {tls.verified} {name}"

    def echo(self, call: rpc.Call, data: bytes) -> bytes:
        return data

    @rpcserver.blocking
    def slow(self, call: rpc.Call, data: bytes) -> bytes:
        return data


class WhoClient(rpc.Client, version=WHO_V1):
    def who(self) -> str:
        return self._call(WHO_V1.WHO)

    def echo(self, data: bytes) -> bytes:
        return self._call(WHO_V1.ECHO, data)

    def slow(self, data: bytes) -> bytes:
        return self._call(WHO_V1.SLOW, data)


class WhoAsyncClient(rpc.AsyncClient, version=WHO_V1):
    async def who(self) -> str:
        return await self._call(WHO_V1.WHO)

    async def echo(self, data: bytes) -> bytes:
        return await self._call(WHO_V1.ECHO, data)


@contextmanager
def served(kind: str, *, listen: str = "tcp://127.0.0.1:0", **settings: Any) -> Iterator[Server]:
    """The service on a server of that kind."""
    if kind == "prefork":
        settings |= {"workers": 1}
        kind = "select"
    with rpcserver.serve(Who(), listen=[listen], register=False, kind=kind, **settings) as server:
        server.start()
        yield server


def address(server: Server) -> Any:
    """Where ``wire.Stream`` finds it."""
    place = parse_url(server.endpoints[0])
    return Path(place.path) if place.path else (place.host, place.port)


def null(flavor: int = 0, *, proc: int = 0, **more: Any) -> bytes:
    """A call without arguments, as it goes on the stream."""
    return wire.frame(wire.call(PROG, 1, proc, flavor=flavor, **more))


def context(ca: str | None = None, cert: str | None = None, **settings: Any) -> ssl.SSLContext:
    """A client's, by ``ssl`` alone."""
    made = ssl.create_default_context(cafile=ca)
    made.set_alpn_protocols(["sunrpc"])
    if cert is not None:
        made.load_cert_chain(cert)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


class RawTls(wire.Stream):
    """A raw client that has started TLS; its ``socket`` is ``ssl``'s."""

    def __init__(self, where: Any, context: ssl.SSLContext, *, name: str = "localhost") -> None:
        super().__init__(where)
        try:
            self.send(null(AUTH_TLS))
            reply = wire.parse_reply(self.read_record())
            assert (reply.accept_stat, reply.verf_flavor, reply.verf_body) == (0, 0, STARTTLS)
            assert reply.results == b""
            self.socket = context.wrap_socket(self.socket, server_hostname=name)
        except BaseException:
            self.socket.close()
            raise

    def who(self) -> str:
        """What the service says."""
        self.send(null(proc=1))
        reply = wire.parse_reply(self.read_record())
        assert reply.accept_stat == wire.SUCCESS and reply.results is not None, reply
        return reply.results[4:].rstrip(b"\0").decode()

    def __enter__(self) -> Self:
        return self


def hello(context: ssl.SSLContext) -> bytes:
    """A client's first bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    started = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        started.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def closed(stream: wire.Stream) -> bool:
    """Whether the server ends the connection, whatever it says before."""
    try:
        while stream.socket.recv(4096):
            pass
    except (ConnectionResetError, ssl.SSLError):
        return True
    except TimeoutError:
        return False
    return True
