"""The documentation shows the probes, and what comes, as it is; UPDATE_SNAPSHOTS=1 rewrites it."""

from rpcserver.conform import PROBES
from rpcserver.conform.probe import DATAGRAM, STREAM
from tests.conformance import ours
from tests.conformance.disagreements import DISAGREEMENTS
from tests.conformance.page import PAGE, with_tables


def test_the_tables_are_those_of_the_tests() -> None:
    page = PAGE.read_text()
    if ours.UPDATING:
        page = with_tables(page)
        PAGE.write_text(page)
    assert page == with_tables(page)
    for each in PROBES:
        assert f"| `{each.name}` |" in page


def test_what_is_known_is_of_probes_that_there_are() -> None:
    for over, other in ((STREAM, DATAGRAM), (DATAGRAM, STREAM)):
        names = {each.name for each in PROBES if each.over != other}
        assert ours.came(over).keys() == names
        listed = {name for each in DISAGREEMENTS if each.over == over for name in each.probes}
        assert listed <= names
