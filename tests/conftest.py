"""Fixtures for all tests; those for software that is not ours come from tests/peers."""

import os
import signal

from hypothesis import settings

pytest_plugins = ["tests.peers.fixtures"]

# What tests start is to be ended by SIGHUP, too, though they may run under nohup(1).
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A deadline for each example would measure the machine; in CI every run tries the same examples.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "default")
