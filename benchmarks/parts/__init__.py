"""The parts of the benchmarks, each with ``run(settings)``, which returns its rows."""

NAMES = ("tcp", "udp", "auth", "codec", "client", "tls", "idle", "startup", "gss")
