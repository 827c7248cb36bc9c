"""One attack on one target, and what is to be said of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.measure import Figures
from benchmarks.survival import attacks, datagrams
from benchmarks.survival.attacks import MIB, SPINNING, Attack, NotForIt
from benchmarks.survival.targets import OUR_RPCBIND, OURS, Running, Target, running

BOUND = 384 * MIB
"""What ours has of memory at most, under any of the attacks, as it is: ``max_held``, an eighth of
it between two looks, 40 MiB that it takes to be there, and a million objects that are made of the
largest record."""

BOUNDED = (OURS, OUR_RPCBIND)

ATTACKS: dict[str, Attack] = {
    "nothing": lambda it: attacks.Outcome(""),
    "2 GiB record mark": attacks.record_mark,
    "20 million elements in 4 bytes": attacks.twenty_millions,
    "list of 1,000,000": attacks.chain,
    "recursion 100,000 deep": attacks.recursion,
    "10,000 fragments of a byte": attacks.small_fragments,
    "200,000 empty fragments": attacks.empty_fragments,
    "120 calls of 4 MB, all but a byte": attacks.half_records,
    "1,000 slow-loris connections": attacks.slow_loris,
    "1 MiB replies that nobody reads": attacks.never_reads,
    "flood of connections, CVE-2021-46828": attacks.descriptors,
    "malformed AUTH_SYS": datagrams.credentials,
    "duplicate datagrams": datagrams.duplicates,
    "rpcbomb, CVE-2017-8779": datagrams.bomb,
    "spoofed datagrams": datagrams.reflection,
    "the same xids": attacks.wrong_client,
}

_FILES = {"flood of connections, CVE-2021-46828": 256}


@dataclass
class Row:
    """``survived`` is ``None`` where the target has nothing to attack; ``why`` it did not."""

    attack: str
    target: str
    survived: bool | None
    why: str = ""
    said: str = ""
    peak_mib: float = 0.0
    figures: Figures = field(default_factory=dict)


def attacked(target: Target, name: str) -> Row:
    """A fresh target, attacked. Raises ``Failed`` or ``Missing`` if it cannot be started."""
    with running(target, _FILES.get(name)) as it:
        try:
            outcome = ATTACKS[name](it)
        except NotForIt as error:
            return Row(name, target.name, None, said=str(error))
        except (OSError, EOFError, AssertionError) as error:
            outcome = attacks.Outcome("", f"no more answers: {error!r:.60}")
        why = _harm(it) or outcome.failed
        peak = it.peak
        if not why and target.name in BOUNDED and peak > BOUND:
            why = f"{peak // MIB} MiB"
        return Row(name, target.name, not why, why, outcome.said, peak / MIB, outcome.figures)


def _harm(it: Running) -> str:
    """What is wrong with a target when the attack is over."""
    if it.serves() is None:
        it.ends(2)
        return it.ended or "serves nobody any more"
    return "it spins" if it.busy() > SPINNING else ""
