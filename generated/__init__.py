"""What ``rpcserver gen`` made of ``idl/*.x``: for the examples and tests, not in the wheel."""
