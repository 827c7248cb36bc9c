"""grpcio without protobuf: bytes in, bytes out, which is the least that it can do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.peers.client import main, need

grpc = need("grpc")

THREADS = 4


class Grpc:
    """See ``client.Peer``."""

    def serve(self, port: int) -> None:
        def echo(request: bytes, context: Any) -> bytes:
            return request

        method = grpc.unary_unary_rpc_method_handler(echo)
        server = grpc.server(ThreadPoolExecutor(THREADS))
        handler = grpc.method_handlers_generic_handler("bench.Echo", {"Echo": method})
        server.add_generic_rpc_handlers((handler,))
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        server.wait_for_termination()

    def client(self, port: int, payload: bytes | None, outstanding: int) -> Callable[[], int]:
        call = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary("/bench.Echo/Echo")
        sent = payload or b""
        flying: deque[Any] = deque()

        def one() -> int:
            assert call(sent) == sent
            return 1

        def many() -> int:
            while len(flying) < outstanding:
                flying.append(call.future(sent))
            assert flying.popleft().result() == sent
            return 1

        return one if outstanding == 1 else many


if __name__ == "__main__":
    main(Grpc())
