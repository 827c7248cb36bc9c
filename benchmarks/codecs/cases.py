"""The values of the cases, the same as in c/tirpc_codec.c, as plain tuples and lists."""

from __future__ import annotations

from typing import Any

MIXED = (-7, 4000000000, -5000000000, 15 * 10**18, True, 2, 1.5, 3.14159, 42, 77)
"""a, b, ... j"""

ENTRY_FIELDS = ("fileid", "name", "cookie", "handle", "type", "mode", "size", "sec", "nsec")
ENTRIES = [
    (
        10**12 + i,
        f"file-name-{i:06}.dat",
        i + 1,
        bytes([i]) * 32,
        1,
        0o644,
        4096 * i,
        1700000000 + i,
        999,
    )
    for i in range(100)
]

LISTING = (0, "/export/home/user", b"\1\2\3\4\5\6\7\0", ENTRIES, True)
"""status, path, verf, entries, eof"""

INTS = [i * 37 - 1000000 for i in range(100_000)]
BLOB = b"\x5a" * (1 << 20)
NODES = [(i, f"node-{i:04}") for i in range(1000)]
"""value, name"""

VALUES: dict[str, Any] = {
    "mixed": MIXED,
    "listing": LISTING,
    "ints": INTS,
    "blob": BLOB,
    "list": NODES,
}

TITLES = {
    "mixed": "ten mixed fields",
    "listing": "listing of 100 entries",
    "ints": "100,000 ints",
    "blob": "opaque of 1 MiB",
    "list": "list of 1,000 nodes",
}
