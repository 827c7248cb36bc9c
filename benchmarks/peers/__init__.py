"""Programs by other means, and clients, each a process that the benchmarks start."""
