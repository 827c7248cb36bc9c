"""A program of two versions, for tests to run with `rpcserver serve`."""

from rpcserver.rpc.version import Service, Version

PROG = 0x20000103


class FIRST(Version, prog=PROG, vers=1):
    pass


class SECOND(Version, prog=PROG, vers=2):
    pass


class First(Service, version=FIRST):
    pass


class Second(Service, version=SECOND):
    pass
