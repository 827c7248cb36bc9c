"""What tshark says about a session between ours and theirs, in both directions."""

from pathlib import Path

import rpcserver
from examples.calc import CalcV1, CalcV2
from generated.calc import CALC_PROG, CalcV2Client, Node
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.portmap import Portmapper
from rpcserver.servers.serve import serve
from tests.peers.cc import CalcC, CalcServer
from tests.peers.tshark import Capture


def test_nothing_is_malformed(calc_c: CalcC, calc_c_server: CalcServer, tmp_path: Path) -> None:
    ports = [calc_c_server.tcp, calc_c_server.udp]
    with Capture(tmp_path / "session.pcapng", tcp_ports=[calc_c_server.tcp]) as capture:
        with Portmapper(["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]) as portmap:
            portmap.start()
            rpcbind = portmap.endpoints[0]
            capture.tcp_ports.append(parse_url(rpcbind).port)
            ports += [parse_url(url).port for url in portmap.endpoints]
            with serve(CalcV1(), CalcV2(), rpcbind=rpcbind) as server:
                server.start()
                places = [parse_url(url) for url in server.endpoints]
                capture.tcp_ports.append(places[0].port)
                ports += [place.port for place in places]
                for place in places:
                    done = calc_c.call(place.port, place.transport, "sys")
                    assert done.returncode == 0, done.stdout
                with rpcserver.connect(CalcV2Client, "127.0.0.1", rpcbind=rpcbind) as client:
                    client.echo_list([Node(n) for n in range(10_000)])
        for transport in ("tcp", "udp"):
            url = f"{transport}://127.0.0.1:{calc_c_server.port(transport)}"
            with rpcserver.connect(CalcV2Client, url, credentials="sys") as client:
                client.echo_text("hello")
                if transport == "tcp":
                    client.echo_blob(bytes(1 << 20))
    listed = ",".join(map(str, ports))
    ours = f"(tcp.port in {{{listed}}} || udp.port in {{{listed}}})"  # others use lo, too
    assert capture.malformed(ours) == []

    def xids(message: int) -> set[str]:
        where = f"{ours} && rpc.program=={CALC_PROG} && rpc.msgtyp=={message}"
        return {
            xid for (each,) in capture.fields("rpc.xid", where=where) for xid in each.split(",")
        }

    # tshark knows the program of a reply only if it has found its call.
    assert len(xids(0)) > 250
    assert xids(0) == xids(1)
    # The registration was understood as what it is, down to the program's number.
    assert capture.fields("frame.number", where=f"portmap && frame contains {hexed(CALC_PROG)}")


def hexed(number: int) -> str:
    return ":".join(f"{byte:02x}" for byte in number.to_bytes(4, "big"))
