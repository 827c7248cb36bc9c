"""The service of c/echo.x: what the C server beside it does."""

from pathlib import Path
from typing import Any

import rpcserver

echo = rpcserver.load(Path(__file__).with_name("c") / "echo.x")


class Echo(echo.EchoV1Service):  # type: ignore[name-defined,misc]
    """Procedure 1 gives back its bytes; 0 is answered for us."""

    @rpcserver.idempotent
    def echo(self, call: Any, data: bytes) -> bytes:
        return data
