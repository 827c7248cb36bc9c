"""``python -m rpcserver``: the command line."""

from rpcserver.cli import main

if __name__ == "__main__":
    main(prog_name="rpcserver")
