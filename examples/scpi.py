"""A simulated function generator that speaks SCPI: messages in, answers out, a status byte.

``examples/instrument.py`` puts it on the network.
"""

import math
import struct
from collections import deque
from collections.abc import Callable, Iterator

IDENTITY = "rpcserver,Simulated generator,0001,1.0"
CHUNK = 1 << 14  # samples made at once

# Bits of the status byte and of the event register (IEEE 488.2)
ERROR, MESSAGE_AVAILABLE, EVENT, REQUEST = 4, 16, 32, 64
COMPLETE, BAD_VALUE, BAD_COMMAND = 1, 16, 32


class Device:
    """One message after the other goes to ``execute``; what it answers is taken by ``take``.

    ``on_request()`` is called when the device begins to request service.
    """

    def __init__(self, on_request: Callable[[], object] = lambda: None) -> None:
        self._on_request = on_request
        self._masks = {"*ESE": 0, "*SRE": 0}
        self._events = 0
        self._errors: deque[str] = deque(maxlen=20)
        self._requesting = self._wanted = False
        self.clear()
        self._reset()

    def _reset(self) -> None:
        self._settings = {"FREQ": 1000.0, "VOLT": 1.0, "POIN": 1024.0}
        self._data = b""

    def clear(self) -> None:
        """Forget what has not been read."""
        self._answers: deque[Iterator[bytes]] = deque()
        self._ready = b""
        self._update()

    # --- what the bus sees --------------------------------------------------------------------

    @property
    def has_answer(self) -> bool:
        """Whether there is something to read."""
        return bool(self._ready or self._answers)

    def take(self, count: int, until: int | None = None) -> tuple[bytes, bool, bool]:
        """The next bytes of the answer, ``count`` at most, and none behind the byte ``until``.

        Also whether they end with that byte, and whether they end the answer.
        """
        while len(self._ready) < count and self._answers:
            chunk = next(self._answers[0], None)
            if chunk is not None:
                self._ready += chunk
            else:
                self._answers.popleft()
                if self._ready:
                    break
        end = self._ready.find(bytes([until])) + 1 if until is not None else 0
        stopped = 0 < end <= count
        size = end if stopped else count
        data, self._ready = self._ready[:size], self._ready[size:]
        self._update()
        return data, stopped, not self.has_answer

    def poll(self) -> int:
        """The status byte, as a serial poll reads it: the request is then known, and over."""
        status = self._status() | (REQUEST if self._requesting else 0)
        self._requesting = False
        return status

    def trigger(self) -> None:
        """As ``*TRG``: one waveform is put out, in no time."""
        self._events |= COMPLETE
        self._update()

    def execute(self, message: bytes) -> None:
        """One message: commands with ``;`` between them, or one with a block of data."""
        if b"#" in message:
            self._execute(message.strip())
            return
        for command in message.split(b";"):
            if command.strip():
                self._execute(command.strip())

    # --- commands -----------------------------------------------------------------------------

    def _execute(self, command: bytes) -> None:
        name, _, value = command.partition(b" ")
        header = name.decode("latin-1").upper()
        try:
            if header.endswith("?"):
                self._answers.append(self._query(header[:-1], value))
            else:
                self._command(header, value.strip())
        except KeyError:
            self._fail(BAD_COMMAND, f'-113,"Undefined header; {header}"')
        except ValueError:
            self._fail(BAD_VALUE, f'-222,"Data out of range; {header}"')
        self._update()

    def _command(self, header: str, value: bytes) -> None:
        if header == "*RST":
            self._reset()
        elif header == "*CLS":
            self._events = 0
            self._errors.clear()
        elif header == "*OPC":
            self._events |= COMPLETE
        elif header == "*TRG":
            self.trigger()
        elif header in self._masks:
            self._masks[header] = int(value) & 255
        elif header == "DATA":
            self._data = parse_block(value)
        else:
            known = self._settings[header]
            number = float(value or str(known))
            if not 0 < number < 1e9:
                raise ValueError(number)
            self._settings[header] = number

    def _query(self, header: str, value: bytes) -> Iterator[bytes]:
        if header == "DATA":
            return block(len(self._data), iter([self._data]))
        if header == "WAV":
            count = int(self._settings["POIN"])
            return block(4 * count, self._wave(count))
        if header == "SYST:ERR":
            answer = self._errors.popleft() if self._errors else '0,"No error"'
        elif header == "*ESR":
            answer, self._events = str(self._events), 0
        elif header in self._settings:
            answer = f"{self._settings[header]:g}"
        elif header in self._masks:
            answer = str(self._masks[header])
        else:
            status = str(self._status())
            answer = {"*IDN": IDENTITY, "*OPC": "1", "*TST": "0", "*STB": status}[header]
        return iter([f"{answer}\n".encode()])

    def _wave(self, count: int) -> Iterator[bytes]:
        """A sine of ``VOLT``, ten periods in all, as big endian floats; made as it is read."""
        volt, step = self._settings["VOLT"], 20 * math.pi / count
        for start in range(0, count, CHUNK):
            numbers = range(start, min(start + CHUNK, count))
            yield struct.pack(f">{len(numbers)}f", *(volt * math.sin(step * n) for n in numbers))

    # --- status -------------------------------------------------------------------------------

    def _fail(self, event: int, text: str) -> None:
        self._events |= event
        self._errors.append(text)

    def _status(self) -> int:
        return (
            (ERROR if self._errors else 0)
            | (MESSAGE_AVAILABLE if self.has_answer else 0)
            | (EVENT if self._events & self._masks["*ESE"] else 0)
        )

    def _update(self) -> None:
        wanted = bool(self._status() & self._masks["*SRE"])
        if wanted and not self._requesting and not self._wanted:
            self._requesting = True
            self._on_request()
        self._wanted = wanted


def block(size: int, data: Iterator[bytes]) -> Iterator[bytes]:
    """A definite length block (IEEE 488.2 section 7.7.6), in pieces."""
    digits = str(size)
    yield f"#{len(digits)}{digits}".encode()
    yield from data
    yield b"\n"


def parse_block(text: bytes) -> bytes:
    """What a definite length block holds. Raises ``ValueError``."""
    if text[:1] != b"#" or not text[1:2].isdigit():
        raise ValueError("no block")
    start = 2 + int(text[1:2])
    size = int(text[2:start])
    if len(text) < start + size:
        raise ValueError("the block is cut off")
    return text[start : start + size]
