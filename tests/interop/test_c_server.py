"""Our client calls the C server that rpcgen made."""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rpcserver
from generated import calc
from generated.calc import (
    CalcV1AsyncClient,
    CalcV1Client,
    CalcV2AsyncClient,
    CalcV2Client,
    Color,
    Node,
)
from rpcserver import aio, errors, rpc, xdr
from rpcserver.auth import SysCredential
from rpcserver.testing import values
from tests.interop.c_values import for_c
from tests.peers.cc import CalcServer

WHO = SysCredential(1000, 100, (4, 24, 27), "box", 7)


@pytest.fixture(params=["tcp", "udp"])
def url(calc_c_server: CalcServer, request: pytest.FixtureRequest) -> str:
    return f"{request.param}://127.0.0.1:{calc_c_server.port(request.param)}"


@pytest.fixture
def v2(url: str) -> Iterator[CalcV2Client]:
    with rpcserver.connect(CalcV2Client, url) as client:
        yield client


@pytest.mark.parametrize("credentials", [None, WHO])
def test_version_1(url: str, credentials: SysCredential | None) -> None:
    with rpcserver.connect(CalcV1Client, url, credentials=credentials) as client:
        client.null()
        assert client.add(2**31 - 1, 1) == -(2**31)
        assert client.divide(-7, 2) == calc.QuotientCalcOk(-3)
        assert client.divide(1, 0) == calc.QuotientCalcDivByZero()
        overflow = client.divide(-(2**31), -1)
        assert isinstance(overflow, calc.QuotientDefault)
        assert overflow.status is calc.CalcStatus.CALC_OVERFLOW
        assert client.echo_text("grüße") == "grüße"
        assert client.sum([]) == 0
        assert client.sum([2**31 - 1] * 1000) == (2**31 - 1) * 1000
        who = client.whoami()
        if credentials is None:
            assert (who.flavor, who.uid) == (0, 0xFFFFFFFF)
        else:
            assert who == calc.Identity(1, 1000, 100, [4, 24, 27], "box")


def test_the_credential_of_this_process(url: str) -> None:
    with rpcserver.connect(CalcV1Client, url, credentials="sys") as client:
        who = client.whoami()
    assert (who.uid, who.gid, who.machine) == (os.getuid(), os.getgid(), os.uname().nodename)


def test_version_2(v2: CalcV2Client) -> None:
    number = calc.Operator.OP_NUMBER
    left = calc.Expr(number, 6.0, None, None)
    times = calc.Expr(calc.Operator.OP_MUL, 0.0, left, calc.Expr(number, 7.0, None, None))
    negative = calc.Expr(calc.Operator.OP_NEG, 0.0, times, None)
    assert v2.eval(negative) == calc.EvaluationCalcOk(-42.0)
    half = calc.Expr(calc.Operator.OP_ADD, 0.0, left, None)
    assert v2.eval(half) == calc.EvaluationDefault(calc.CalcStatus.CALC_BAD_TREE)
    assert v2.statistics([]) is None
    assert v2.statistics([1.0, 3.0]) == calc.Statistics(2, 2.0, 1.0, 3.0)
    assert v2.join(["a", "", "b"]) == "a  b"
    v2.store(40)
    assert v2.accumulate(2) == 42
    assert v2.echo_color(Color.ULTRAVIOLET) is Color.ULTRAVIOLET
    assert v2.echo_few_ints([]) == []
    assert v2.echo_few_ints(list(range(calc.MAXFEW))) == list(range(calc.MAXFEW))
    assert v2.reverse([Node(1), Node(2)]) == [Node(2), Node(1)]
    assert v2.echo_list([]) == []
    v2.pause(1)


def echoes() -> list[rpc.Procedure[Any]]:
    table = calc.CALC_V2._procedures.values()
    return [each for each in table if each.method.startswith("echo_")]


@pytest.mark.parametrize("procedure", echoes(), ids=lambda each: each.method)
def test_every_type_comes_back(url: str, procedure: rpc.Procedure[Any]) -> None:
    (designator,) = procedure.arguments
    # Everything at once is larger than the datagrams of libtirpc's server.
    size = 3 if url.startswith("udp") else 8

    with rpcserver.connect(CalcV2Client, url) as client:

        @settings(max_examples=25)
        @given(for_c(designator, values(designator, max_size=size)))
        def echo(value: Any) -> None:
            back = client.channel.call(calc.CALC_V2, procedure, (value,))
            assert back == value

        echo()


def test_asyncio(url: str) -> None:
    """The same server, called by the asyncio clients: many calls at once, and what it refuses."""

    async def main() -> None:
        async with aio.connect(CalcV1AsyncClient, url, credentials=WHO, max_in_flight=8) as v1:
            await v1.null()
            assert await v1.whoami() == calc.Identity(1, 1000, 100, [4, 24, 27], "box")
            assert await v1.divide(1, 0) == calc.QuotientCalcDivByZero()
            sums = await asyncio.gather(*(v1.add(number, 1) for number in range(500)))
            assert list(sums) == list(range(1, 501))
        async with aio.connect(CalcV2AsyncClient, url, timeout=10) as v2:
            assert await v2.join(["a", "", "b"]) == "a  b"
            assert await v2.reverse([Node(1), Node(2)]) == [Node(2), Node(1)]
            with pytest.raises(errors.SystemErr):
                await v2.fail("on purpose")
            with pytest.raises(errors.TimedOut):
                await rpcserver.using(v2, timeout=0.2).pause(1000)
            late = asyncio.ensure_future(v2.pause(100))
            await asyncio.sleep(0)
            late.cancel()
            assert await v2.add(1, 1) == 2

    asyncio.run(main())


def test_ten_thousand_nodes_and_a_mebibyte(calc_c_server: CalcServer) -> None:
    with rpcserver.connect(CalcV2Client, f"tcp://127.0.0.1:{calc_c_server.tcp}") as client:
        nodes = [Node(n) for n in range(-5000, 5000)]
        assert client.echo_list(nodes) == nodes
        assert client.reverse(nodes) == nodes[::-1]
        blob = os.urandom(1 << 20)
        assert client.echo_blob(blob) == blob


def test_what_the_server_refuses(url: str) -> None:
    class V3(rpc.Version, prog=calc.CALC_PROG, vers=3):
        NOTHING: rpc.Procedure[None] = rpc.Procedure(4711, "nothing", [], xdr.Void)

    class Other(rpc.Version, prog=calc.CALC_PROG + 1, vers=1):
        pass

    with rpcserver.connect(CalcV2Client, url) as client:
        channel = client.channel
        with pytest.raises(errors.ProgMismatch) as mismatch:
            channel.call(V3, V3.NOTHING, ())
        assert (mismatch.value.low, mismatch.value.high) == (1, 2)
        with pytest.raises(errors.ProcUnavail):
            channel.call(calc.CALC_V2, V3.NOTHING, ())
        with pytest.raises(errors.ProgUnavail):
            channel.call(Other, V3.NOTHING, ())
        with pytest.raises(errors.SystemErr):
            client.fail("on purpose")
        with pytest.raises(errors.TimedOut):
            rpcserver.using(client, timeout=0.2).pause(1000)
        assert client.add(1, 1) == 2


def test_arguments_that_c_cannot_decode(calc_c_server: CalcServer) -> None:
    class Short(rpc.Version, prog=calc.CALC_PROG, vers=2):
        ADD: rpc.Procedure[int] = rpc.Procedure(1, "add", [xdr.Int], xdr.Int)

    # Over UDP, libtirpc reads on in what an earlier datagram left.
    with rpcserver.connect(CalcV2Client, f"tcp://127.0.0.1:{calc_c_server.tcp}") as client:
        with pytest.raises(errors.GarbageArgs):
            client.channel.call(Short, Short.ADD, (1,))


@given(st.binary(max_size=200))
@settings(max_examples=20)
def test_blobs(calc_c_server: CalcServer, blob: bytes) -> None:
    with rpcserver.connect(CalcV2Client, f"udp://127.0.0.1:{calc_c_server.udp}") as client:
        assert client.echo_blob(blob) == blob
