"""RPC messages by hand, with `struct` and sockets alone: what goes over the wire in a test."""

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

Address = tuple[str, int]

# RFC 5531, section 9
CALL, REPLY = 0, 1
MSG_ACCEPTED, MSG_DENIED = 0, 1
SUCCESS, PROG_UNAVAIL, PROG_MISMATCH, PROC_UNAVAIL, GARBAGE_ARGS, SYSTEM_ERR = range(6)
RPC_MISMATCH, AUTH_ERROR = 0, 1
AUTH_NONE, AUTH_SYS = 0, 1


def words(*numbers: int) -> bytes:
    """32-bit numbers, big endian; a negative one as two's complement."""
    return b"".join(struct.pack(">I", number & 0xFFFFFFFF) for number in numbers)


def opaque(data: bytes) -> bytes:
    """A variable-length opaque or string: length, bytes, padding."""
    return words(len(data)) + data + bytes(-len(data) % 4)


def auth_sys(
    uid: int = 0,
    gid: int = 0,
    gids: Sequence[int] = (),
    machine: bytes = b"test",
    stamp: int = 0,
) -> bytes:
    """The body of an AUTH_SYS credential (RFC 5531, appendix A)."""
    return words(stamp) + opaque(machine) + words(uid, gid, len(gids), *gids)


def call(
    prog: int,
    vers: int,
    proc: int,
    args: bytes = b"",
    *,
    xid: int = 1,
    rpcvers: int = 2,
    flavor: int = AUTH_NONE,
    body: bytes = b"",
    verf_flavor: int = AUTH_NONE,
    verf_body: bytes = b"",
) -> bytes:
    """A call message, header and arguments."""
    header = words(xid, CALL, rpcvers, prog, vers, proc)
    cred = words(flavor) + opaque(body)
    verf = words(verf_flavor) + opaque(verf_body)
    return header + cred + verf + args


@dataclass(frozen=True)
class Reply:
    """A reply message; what its kind does not have is None."""

    xid: int
    reply_stat: int
    accept_stat: int | None = None
    reject_stat: int | None = None
    auth_stat: int | None = None
    low: int | None = None
    high: int | None = None
    verf_flavor: int | None = None
    verf_body: bytes | None = None
    results: bytes | None = None


def parse_reply(data: bytes) -> Reply:
    """Take a whole reply message apart.

    Raises AssertionError when it is none, struct.error when it is cut short.
    """

    at = 0

    def uint() -> int:
        nonlocal at
        at += 4
        return int(struct.unpack_from(">I", data, at - 4)[0])

    def ended(reply: Reply) -> Reply:
        assert at == len(data), f"{len(data) - at} bytes too many"
        return reply

    xid = uint()
    assert uint() == REPLY, "not a reply"
    reply_stat = uint()
    assert reply_stat in (MSG_ACCEPTED, MSG_DENIED), reply_stat
    if reply_stat == MSG_DENIED:
        reject_stat = uint()
        assert reject_stat in (RPC_MISMATCH, AUTH_ERROR), reject_stat
        if reject_stat == RPC_MISMATCH:
            low, high = uint(), uint()
            return ended(Reply(xid, reply_stat, reject_stat=reject_stat, low=low, high=high))
        return ended(Reply(xid, reply_stat, reject_stat=reject_stat, auth_stat=uint()))
    flavor, length = uint(), uint()
    body = data[at : at + length]
    assert len(body) == length <= 400, "verifier"
    at += length + -length % 4
    accept_stat = uint()
    accepted = Reply(xid, reply_stat, accept_stat, verf_flavor=flavor, verf_body=body)
    if accept_stat == SUCCESS:
        return Reply(**{**vars(accepted), "results": data[at:]})
    if accept_stat == PROG_MISMATCH:
        low, high = uint(), uint()
        return ended(Reply(**{**vars(accepted), "low": low, "high": high}))
    assert accept_stat <= SYSTEM_ERR, accept_stat
    return ended(accepted)


def frame(record: bytes, fragment: int | None = None) -> bytes:
    """A record with its mark, in fragments of at most that many bytes (RFC 5531, section 11)."""
    size = fragment or max(len(record), 1)
    parts = [record[i : i + size] for i in range(0, len(record), size)] or [b""]
    marks = [len(part) for part in parts]
    marks[-1] |= 0x80000000
    return b"".join(words(mark) + part for mark, part in zip(marks, parts, strict=True))


def unframe(stream: bytes) -> list[bytes]:
    """The records in a stream of bytes; raises AssertionError when it stops inside of one."""
    records, parts, at = [], [], 0
    while at < len(stream):
        (mark,) = struct.unpack_from(">I", stream, at)
        end = at + 4 + (mark & 0x7FFFFFFF)
        assert end <= len(stream), "a fragment is cut short"
        parts.append(stream[at + 4 : end])
        at = end
        if mark & 0x80000000:
            records.append(b"".join(parts))
            parts = []
    assert not parts, "the last fragment is missing"
    return records


class Stream:
    """A connection to a TCP address or a UNIX path: raw bytes go in, records come out."""

    def __init__(self, address: Address | Path | str, *, timeout: float = 5) -> None:
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(str(address))

    def send(self, data: bytes) -> None:
        """Send bytes as they are: no mark is added."""
        self.socket.sendall(data)

    def read_fragments(self) -> list[bytes]:
        """Read one record as its fragments; raises EOFError at the end, TimeoutError."""
        parts = []
        while True:
            (mark,) = struct.unpack(">I", self._exactly(4))
            parts.append(self._exactly(mark & 0x7FFFFFFF))
            if mark & 0x80000000:
                return parts

    def read_record(self) -> bytes:
        """Read one record; raises EOFError at the end, TimeoutError."""
        return b"".join(self.read_fragments())

    def is_closed(self) -> bool:
        """Whether the peer closes without another byte; raises TimeoutError when it does not."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            if not (more := self.socket.recv(min(count - len(data), 1 << 16))):
                raise EOFError(f"closed after {len(data)} of {count} bytes")
            data += more
        return bytes(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()


def stream_exchange(
    address: Address | Path | str,
    *records: bytes,
    fragment: int | None = None,
    timeout: float = 5,
) -> list[bytes]:
    """Send records at once over one connection (TCP, or UNIX for a path), read as many back."""
    with Stream(address, timeout=timeout) as stream:
        stream.send(b"".join(frame(record, fragment) for record in records))
        return [stream.read_record() for _ in records]


def tcp_exchange(address: Address, record: bytes, *, timeout: float = 5) -> bytes:
    """Send one record over a connection of its own; return the answer."""
    return stream_exchange(address, record, timeout=timeout)[0]


def unix_exchange(path: Path | str, record: bytes, *, timeout: float = 5) -> bytes:
    """The same over a UNIX stream socket."""
    return stream_exchange(path, record, timeout=timeout)[0]


def udp_exchange(address: Address, datagram: bytes, *, timeout: float = 5) -> bytes | None:
    """Send a datagram; return the answer, None when none comes in time."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.sendto(datagram, address)
        try:
            return s.recv(65535)
        except TimeoutError:
            return None


def unixgram_exchange(
    path: Path | str, datagram: bytes, own: Path | str, *, timeout: float = 5
) -> bytes | None:
    """The same over UNIX datagrams; `own` is the name to bind, without which none can answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.bind(str(own))
        s.sendto(datagram, str(path))
        try:
            return s.recv(1 << 20)
        except TimeoutError:
            return None
        finally:
            Path(own).unlink()
