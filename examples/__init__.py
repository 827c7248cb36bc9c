"""Programs that show how rpcserver is used."""
