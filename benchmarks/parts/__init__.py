"""The parts of the benchmarks, each with ``run(settings)``, which returns its rows."""

NAMES = ("tcp", "udp", "codec", "client", "idle", "startup", "gss")
