"""How long the tests of load and of wear take."""

import os

SECONDS = float(os.environ.get("RPCSERVER_SOAK", "3"))
"""RPCSERVER_SOAK: half a minute when it is looked at closely, half an hour for ``make soak``"""
