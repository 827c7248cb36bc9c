"""Clients that try again at once, so that a fault costs no half second."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from rpcserver.clients import aio, aio_base, base, blocking


@contextmanager
def impatient() -> Iterator[None]:
    """Pauses of 20 ms and more, and 0.2 s at most."""
    with ExitStack() as stack:
        for module in (blocking, aio):
            stack.enter_context(mock.patch.multiple(module, FIRST_RETRY=0.02, LAST_RETRY=0.2))
        for other in (base, aio_base):
            stack.enter_context(mock.patch.multiple(other, FIRST_BACK_OFF=0.02, LAST_BACK_OFF=0.2))
        yield
