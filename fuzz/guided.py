"""A target under atheris, which the coverage of its Python and C guides.

::

    python -m fuzz.guided NAME [libFuzzer's options and corpora]

``.ci/fuzz`` sets up what this needs, and says the options.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import Any

from fuzz.targets import NAMES


def main() -> None:
    """The command line."""
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in NAMES:
        sys.exit(f"python -m fuzz.guided NAME: it is one of {', '.join(NAMES)}")
    atheris: Any = import_module("atheris")
    logging.disable()
    with atheris.instrument_imports(include=["rpcserver"]):
        from fuzz import targets

        target = targets.load(name)
    atheris.Setup(sys.argv, target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
