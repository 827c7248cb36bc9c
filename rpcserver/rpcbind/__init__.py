"""rpcbind and its forerunner the portmapper (RFC 1833): addresses, tables, service and lookup."""
