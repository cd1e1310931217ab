"""docs/reliability.md shows the faults that are tested, and what they give."""

from fault_table import FAULTS
from reliability import PAGE, with_table


def test_the_table_of_faults_is_current() -> None:
    """scripts/fault-table writes it."""
    page = PAGE.read_text()
    assert with_table(page) == page


def test_each_fault_has_a_name_of_its_own() -> None:
    """Rows are told apart by their names."""
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
