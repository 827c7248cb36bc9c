"""Protocols that rpcserver itself speaks, generated from ``idl/protocols/*.x``."""
