"""Fixtures for all tests; those for software that is not ours come from tests/peers."""

import os

from hypothesis import settings

pytest_plugins = ["tests.peers.fixtures"]

# A deadline for each example would measure the machine; in CI every run tries the same examples.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "default")
