"""Our blocking client: one call at a time, or batches. Its server is ``rpcserver serve``."""

from __future__ import annotations

from collections.abc import Callable

import rpcserver
from benchmarks import echo
from benchmarks.peers.client import main


class Onc:
    """See ``client.Peer``."""

    def serve(self, port: int) -> None:
        url = f"tcp://127.0.0.1:{port}"
        with rpcserver.serve(echo.Echo(), listen=[url], register=False) as server:
            server.serve_forever()

    def client(self, port: int, payload: bytes | None, outstanding: int) -> Callable[[], int]:
        client = rpcserver.connect(echo.echo.EchoV1Client, f"tcp://127.0.0.1:{port}")
        arguments = () if payload is None else (payload,)
        method = client.ping if payload is None else client.echo

        def one() -> int:
            assert method(*arguments) == payload
            return 1

        def many() -> int:
            with client.channel.batch() as batch:
                made = [batch.call(method, *arguments) for _ in range(outstanding)]
            assert all(each.result() == payload for each in made)
            return outstanding

        return one if outstanding == 1 else many


if __name__ == "__main__":
    main(Onc())
