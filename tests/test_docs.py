"""The examples in docs/ work. Each page is one session in an empty directory:

- a block with a title is written to a file of that name;
- a ``python`` block is run, a ``pycon`` block is run and its output compared;
- in a ``console`` block, ``$ rpcserver gen``, ``lint`` and ``call`` are run and their output
  compared; ``$ rpcserver serve`` starts, and goes on until the page ends.

Port 4000 stands for a port that is free, and an rpcbind of the test's own is the one to ask.
"""

import doctest
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rpcserver.servers.portmap import Portmapper

DOCS = Path(__file__).parents[1] / "docs"
RPCSERVER = [sys.executable, "-m", "rpcserver"]

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """A fenced block: what its first line says, its text, and the line where that starts."""

    language: str
    title: str | None
    text: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    for match in _FENCE.finditer(text):
        language, options, body = match.groups()
        title = _TITLE.search(options)
        line = text.count("\n", 0, match.start()) + 2
        yield Block(language, title and title[1], body, line)


class Session:
    """What a reader does with a page, from its first block to its last."""

    def __init__(self, page: Path, stack: ExitStack) -> None:
        self.page = page
        self.names: dict[str, Any] = {"__name__": "session"}
        self._stack = stack

    def do(self, block: Block) -> None:
        if block.title:
            Path(block.title).parent.mkdir(exist_ok=True)
            Path(block.title).write_text(block.text)
        elif block.language == "python":
            # Tracebacks show the page and its line.
            code = "\n" * (block.line - 1) + block.text
            exec(compile(code, str(self.page), "exec"), self.names)
        elif block.language == "pycon":
            self._interact(block)
        elif block.language == "console":
            for command in block.text.removeprefix("$ ").split("\n$ "):
                line, _, output = command.partition("\n")
                self._run(shlex.split(line, comments=True), output.strip())

    def _interact(self, block: Block) -> None:
        parser = doctest.DocTestParser()
        test = parser.get_doctest(block.text, self.names, "", str(self.page), block.line - 1)
        report: list[str] = []
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        runner = doctest.DocTestRunner(verbose=False, optionflags=options)
        failed = runner.run(test, out=report.append, clear_globs=False).failed
        assert not failed, "".join(report)
        self.names |= test.globs

    def _run(self, command: list[str], output: str) -> None:
        match command:
            case ["rpcserver", "gen" | "lint" | "call", *_]:
                run = subprocess.run(
                    [*RPCSERVER, *command[1:]],
                    check=False,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=60,
                )
                assert run.stdout.strip().replace(f"{Path.cwd()}/", "") == output
            case ["rpcserver", "serve", *_]:
                server = self._stack.enter_context(
                    subprocess.Popen([*RPCSERVER, *command[1:]], stdout=subprocess.PIPE, text=True)
                )
                self._stack.callback(server.terminate)
                assert server.stdout is not None
                said = list(takewhile(lambda line: line != "ready\n", server.stdout))
                assert "".join([*said, "ready"]) == output


def free_port() -> int:
    """A port that is free for TCP and for UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            port: int = tcp.getsockname()[1]
            return port


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty directory to work in, to import from, and to forget."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    with Portmapper(["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]) as rpcbind:
        monkeypatch.setenv("RPCSERVER_RPCBIND", rpcbind.start().endpoints[0])
        yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_page(page: Path) -> None:
    text = re.sub(r"\b4000\b", str(free_port()), page.read_text())
    found = list(blocks(text))
    assert len(found) == text.count("```") // 2, "a fence that is indented, or never closed"
    with ExitStack() as stack:
        session = Session(page.relative_to(DOCS.parent), stack)
        for block in found:
            session.do(block)
