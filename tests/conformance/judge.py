"""Results, held to the table of disagreements."""

from collections.abc import Iterable

from rpcserver.conform import Result
from tests.conformance.disagreements import known


def judge(server: str, over: str, results: Iterable[Result]) -> None:
    """Raises AssertionError for a disagreement that is not listed, and for one that is and does
    not happen any more."""
    listed = known(server, over)
    wrong = {}
    unlisted = []
    for each in results:
        if each.passed:
            continue
        name = each.probe.name
        wrong[name] = str(each.wrong)
        if name not in listed or not each.wrong.keys() <= set(listed[name].came):
            unlisted.append(f"{name}: {each.wrong}, and not {each.wanted}")
    assert not unlisted, "\n".join(unlisted)
    gone = sorted(name for name in listed.keys() - wrong.keys() if listed[name].always)
    assert not gone, f"these do not disagree any more: {gone}"
