"""Real ONC RPC software to test against: how it is built, started, asked and stopped.

Nothing here imports `rpcserver`, so that a judge never shares a mistake with the judged.
"""
