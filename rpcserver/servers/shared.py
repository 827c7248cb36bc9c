"""What several processes of one server share: a memory map, and a lock that dies with its owner."""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from typing import Any


def shared_memory(size: int) -> memoryview:
    """``size`` bytes, all 0, that this process and those it forks from now on see alike."""
    return memoryview(mmap.mmap(-1, max(size, 1)))


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number."""
    if pid != os.getpid():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
    return True


class ProcessLock:
    """A lock between threads and between processes that were forked from one.

    The kernel frees it when its owner dies, so that a killed worker stops nobody.
    """

    def __init__(self) -> None:
        import tempfile  # few servers need one

        self._file, path = tempfile.mkstemp()
        os.unlink(path)
        weakref.finalize(self, os.close, self._file)
        self._threads = threading.Lock()
        self._owner = os.getpid()

    def __enter__(self) -> None:
        import fcntl  # where processes can be forked, it is there

        if self._owner != os.getpid():  # a thread of the parent's may have held it at the fork
            self._threads, self._owner = threading.Lock(), os.getpid()
        self._threads.acquire()
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *exc: Any) -> None:
        import fcntl

        fcntl.lockf(self._file, fcntl.LOCK_UN)
        self._threads.release()
