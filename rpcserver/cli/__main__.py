"""``python -m rpcserver.cli``"""

from rpcserver.cli import main

main(prog_name="rpcserver")
