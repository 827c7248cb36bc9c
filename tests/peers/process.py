"""A program that runs beside a test: started, watched, and stopped by its pid."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.peers.need import PATH

T = TypeVar("T")


def until(
    what: str, look: Callable[[], T | None], *, timeout: float = 10, interval: float = 0.02
) -> T:
    """Call `look` again and again until what it returns is true, and return that.

    Raises TimeoutError, with `what` was waited for, after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(interval)
    return found


class Process:
    """A running program whose output is kept, and which ends with the `with` block."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self._files = tempfile.TemporaryDirectory()
        self._out = Path(self._files.name, "stdout")
        self._err = Path(self._files.name, "stderr")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd,
                env={**os.environ, "PATH": PATH, **(env or {})},
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def stdout(self) -> str:
        """What it has printed so far."""
        return self._out.read_text(errors="replace")

    def stderr(self) -> str:
        return self._err.read_text(errors="replace")

    def wait_for(self, pattern: str, *, timeout: float = 10) -> re.Match[str]:
        """Wait until a line of stdout matches (re.MULTILINE).

        Raises RuntimeError, with its stderr, when the program ends before, else TimeoutError.
        """

        def look() -> re.Match[str] | None:
            over = self.returncode is not None  # asked first: output may come with the end
            found = re.search(pattern, self.stdout(), re.MULTILINE)
            if found is None and over:
                raise RuntimeError(f"{self.argv} ended with {self.returncode}: {self.stderr()}")
            return found

        return until(f"{pattern!r} from {self.argv[0]}", look, timeout=timeout)

    def wait(self, *, timeout: float = 10) -> int:
        """Wait for its end and return the exit status; raises subprocess.TimeoutExpired."""
        return self._popen.wait(timeout)

    def send_signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def stop(self, number: int = signal.SIGTERM, *, timeout: float = 10) -> int:
        """Send a signal, wait, and return the exit status; killed when it takes too long."""
        if self.returncode is None:
            self.send_signal(number)
        try:
            return self.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._files.cleanup()
