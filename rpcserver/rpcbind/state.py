"""A table on disk, so that an rpcbind can be restarted: what RPCBPROC_DUMP would answer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rpcserver.errors import UsageError, XdrError
from rpcserver.protocols.rpcb_prot import RPCBPROG, Rpcb, RpcblistPtr, RpList
from rpcserver.rpcbind.table import Registration
from rpcserver.xdr.codec import decode, encode


def load(path: Path) -> list[Registration]:
    """What was saved there; nothing if there is no such file. Raises ``UsageError``."""
    try:
        saved = decode(RpcblistPtr, path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, XdrError) as error:
        raise UsageError(f"{path} is no state of an rpcbind: {error}") from error
    entries = [each.rpcb_map for each in saved]
    return [
        Registration(each.r_prog, each.r_vers, each.r_netid, each.r_addr, each.r_owner)
        for each in entries
    ]


def save(path: Path, entries: Iterable[Registration]) -> None:
    """Put all but rpcbind itself there, in place of what was. Raises ``OSError``."""
    kept = [each for each in entries if each.prog != RPCBPROG]
    data = encode(
        RpcblistPtr,
        [RpList(Rpcb(each.prog, each.vers, each.netid, each.address, each.owner)) for each in kept],
    )
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)  # the room is somebody's
        raise
