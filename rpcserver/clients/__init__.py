"""Clients: channels that generated client classes call through, and ``connect()``."""
