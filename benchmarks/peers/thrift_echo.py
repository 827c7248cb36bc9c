"""thriftpy2 with its binary protocol in Cython, buffered; a thread for each connection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.client import main, need

thriftpy2 = need("thriftpy2")
rpc = need("thriftpy2.rpc")

echo = thriftpy2.load(str(Path(__file__).with_name("echo.thrift")), module_name="echo_thrift")


class _Service:
    def ping(self) -> None:
        pass

    def echo(self, data: bytes) -> bytes:
        return data


class Thrift:
    """See ``client.Peer``. It has one call outstanding on a connection, never more."""

    def serve(self, port: int) -> None:
        rpc.make_server(echo.Echo, _Service(), "127.0.0.1", port, client_timeout=None).serve()

    def client(self, port: int, payload: bytes | None, outstanding: int) -> Callable[[], int]:
        client = rpc.make_client(echo.Echo, "127.0.0.1", port)

        def one() -> int:
            if payload is None:
                client.ping()
            else:
                assert client.echo(payload) == payload
            return 1

        return one


if __name__ == "__main__":
    main(Thrift())
