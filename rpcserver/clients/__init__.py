"""Clients: channels, and ``connect()`` on top of them."""

TIMEOUT = 25.0
"""Seconds that a call may take: what rpcgen's clients wait."""

KEEP_ALIVE = 60.0
"""Seconds of silence after which the kernel asks whether a TCP peer is still there: a machine
that was switched off says nothing."""
