"""Every exception that rpcserver raises.

::

    RpcServerError
    ├── XdrError (ValueError)        a value or bytes that are not what the type says (RFC 4506)
    ├── IdlError                     a mistake in a .x file, with its line and a caret
    ├── UsageError                   a local mistake: a port that is taken, no such class
    ├── RecordError                  a byte stream that is no record marking (RFC 5531 section 11)
    ├── NoReply                      raised by a method: its caller is to get no answer
    └── CallError                    a call that brought no result, for one of five reasons:
        ├── NotReached (ConnectionError)   nobody there, or the connection went away
        ├── TlsError (ConnectionError)     no TLS there, or none that can be trusted (RFC 9289)
        ├── TimedOut (TimeoutError)        no answer within the deadline
        ├── BadReply                       an answer that could not be understood
        └── Refused                        an answer that says no (RFC 5531 section 9)
            ├── ProgUnavail    ├── ProgMismatch (low, high)    ├── ProcUnavail
            ├── GarbageArgs    ├── SystemErr
            ├── RpcMismatch (low, high)
            └── AuthError (stat)

A service method may raise a ``Refused`` of its own: the caller gets that answer; for ``NoReply``
it gets none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

__all__ = [
    "AuthError",
    "BadReply",
    "CallError",
    "GarbageArgs",
    "IdlError",
    "NoReply",
    "NotReached",
    "ProcUnavail",
    "ProgMismatch",
    "ProgUnavail",
    "RecordError",
    "Refused",
    "RpcMismatch",
    "RpcServerError",
    "SystemErr",
    "TimedOut",
    "TlsError",
    "UsageError",
    "XdrError",
]


class RpcServerError(Exception):
    """The base of all exceptions of this package."""


class XdrError(RpcServerError, ValueError):
    """A value that its XDR type does not allow (encode), or bytes that are not of it (decode).

    ``reason`` says what was wrong, ``path`` where in the value (``args.entries[3].name``), and
    ``offset`` at which byte of the encoding.
    """

    def __init__(self, reason: str, offset: int | None = None, path: str = "") -> None:
        super().__init__(reason, offset, path)
        self.reason = reason
        self.offset = offset
        self.path = path

    def within(self, step: str) -> XdrError:
        """Put ``step`` (``name`` or ``[3]``) before the path, on the way out of a nested value."""
        joint = "." if self.path and not self.path.startswith("[") else ""
        self.path = step + joint + self.path
        return self

    def __str__(self) -> str:
        place = f" at byte {self.offset}" if self.offset is not None else ""
        return f"{self.path}: {self.reason}{place}" if self.path else f"{self.reason}{place}"


class IdlError(RpcServerError):
    """A mistake in a ``.x`` file.

    ``line`` and ``column`` count from 1; ``source_line`` is the text of that line; ``others`` are
    further mistakes found in the same run. ``str()`` shows all of them, each with a caret.
    """

    severity: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        file: str = "<string>",
        line: int = 1,
        column: int = 1,
        source_line: str = "",
        others: Sequence[IdlError] = (),
    ) -> None:
        super().__init__(message, file, line, column, source_line)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.source_line = source_line
        self.others = tuple(others)

    def __str__(self) -> str:
        head = f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"
        # Tabs before the caret keep it under the same column as in the line above.
        before = self.source_line[: self.column - 1]
        margin = "".join("\t" if char == "\t" else " " for char in before)
        own = f"{head}\n    {self.source_line}\n    {margin}^" if self.source_line else head
        return "\n".join([own, *map(str, self.others)])


class UsageError(RpcServerError):
    """A local mistake that one clear line explains."""


class RecordError(RpcServerError):
    """A byte stream that breaks record marking or its limits (RFC 5531 section 11).

    ``limit`` is the name of the limit.
    """

    def __init__(self, text: str, limit: str = "max_record") -> None:
        super().__init__(text)
        self.limit = limit


class NoReply(RpcServerError):
    """Raised by a service method whose caller is to get no answer at all."""


class CallError(RpcServerError):
    """The base of everything that a call can end with instead of a result."""


class NotReached(CallError, ConnectionError):
    """Nobody answered at the address, or the connection went away with the call in flight."""


class TlsError(CallError, ConnectionError):
    """TLS was wanted and cannot be had: the other side has none, its certificate is not accepted,
    or what came is no TLS that we speak. It is no use to try again."""


class TimedOut(CallError, TimeoutError):
    """No answer came within the deadline."""


class BadReply(CallError):
    """An answer came and could not be understood."""


class Refused(CallError):
    """The server understood the call and said no."""

    status: ClassVar[int] = 0
    """the ``accept_stat`` of this refusal; 0 for those that deny the call itself"""


class ProgUnavail(Refused):
    """PROG_UNAVAIL: the program is not served there."""

    status = 1


class ProgMismatch(Refused):
    """PROG_MISMATCH: the program is there in versions ``low`` to ``high``, not in this one."""

    status = 2

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        self.low = low
        self.high = high

    def __str__(self) -> str:
        return f"the server has versions {self.low} to {self.high} of the program"


class ProcUnavail(Refused):
    """PROC_UNAVAIL: the version has no such procedure."""

    status = 3


class GarbageArgs(Refused):
    """GARBAGE_ARGS: the server could not decode the arguments."""

    status = 4


class SystemErr(Refused):
    """SYSTEM_ERR: the server failed while it ran the procedure."""

    status = 5


class RpcMismatch(Refused):
    """RPC_MISMATCH: the server speaks versions ``low`` to ``high`` of RPC itself."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        self.low = low
        self.high = high

    def __str__(self) -> str:
        return f"the server speaks RPC versions {self.low} to {self.high}"


class AuthError(Refused):
    """AUTH_ERROR: the credential or verifier was not accepted; ``stat`` is the ``auth_stat``."""

    def __init__(self, stat: int, message: str = "") -> None:
        super().__init__(stat, message)
        self.stat = stat
        self.message = message

    def __str__(self) -> str:
        return self.message or f"authentication refused, auth_stat {int(self.stat)}"
