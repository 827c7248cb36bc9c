"""A small service made by hand, for tests of the engines."""

from typing import Any

from rpcserver import rpc, xdr
from rpcserver.errors import AuthError, ProcUnavail

PROG = 0x20000400


class ECHO_V2(rpc.Version, prog=PROG, vers=2):
    ECHO: rpc.Procedure[str] = rpc.Procedure(1, "echo", [xdr.String(64)], xdr.String(64))
    ADD: rpc.Procedure[int] = rpc.Procedure(2, "add", [xdr.Int, xdr.Int], xdr.Int)
    WHO: rpc.Procedure[str] = rpc.Procedure(3, "who", [], xdr.String())
    FAIL: rpc.Procedure[None] = rpc.Procedure(4, "fail", [xdr.UnsignedInt], xdr.Void)


class ECHO_V5(rpc.Version, prog=PROG, vers=5):
    ECHO: rpc.Procedure[str] = rpc.Procedure(1, "echo", [xdr.String(64)], xdr.String(64))


class Echo(rpc.Service, version=ECHO_V2):
    def __init__(self) -> None:
        self.calls: list[rpc.Call] = []

    def echo(self, call: rpc.Call, text: str) -> rpc.Result[str]:
        self.calls.append(call)
        return text

    def add(self, call: rpc.Call, a: int, b: int) -> rpc.Result[int]:
        return a + b

    def who(self, call: rpc.Call) -> rpc.Result[str]:
        return repr(call.credential)

    def fail(self, call: rpc.Call, how: int) -> rpc.Result[Any]:
        """Fail in one of many ways."""
        if how == 0:
            raise KeyError("a mistake of the service's own")
        if how == 1:
            raise ProcUnavail
        if how == 2:
            raise AuthError(5)
        return "not void"


class Echo5(rpc.Service, version=ECHO_V5):
    async def echo(self, call: rpc.Call, text: str) -> str:
        return text


class EchoClient(rpc.Client, version=ECHO_V2):
    def echo(self, text: str) -> str:
        return self._call(ECHO_V2.ECHO, text)

    def add(self, a: int, b: int) -> int:
        return self._call(ECHO_V2.ADD, a, b)

    def who(self) -> str:
        return self._call(ECHO_V2.WHO)

    def fail(self, how: int) -> None:
        return self._call(ECHO_V2.FAIL, how)
