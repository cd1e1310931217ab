"""The table of faults as docs/reliability.md shows it."""

from pathlib import Path

from fault_table import SECTIONS
from faults import Fault, Gives

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- table of faults: scripts/fault-table -->\n", "<!-- end of the table -->\n"
_FORMS = ("whole", "streamed", "embedded")


def cell(fault: Fault, form: str) -> str:
    """Return what a form gets; both wires, where they differ."""
    found = {wire: fault.gives_to(form, wire) for wire in ("native", "openai")}
    shown = {wire: "" if gives is None else shown_as(gives) for wire, gives in found.items()}
    if shown["native"] == shown["openai"]:
        return shown["native"]
    return "; ".join(f"{wire}: {text}" for wire, text in shown.items() if text)


def shown_as(gives: Gives) -> str:
    return f"`{gives.error}`" if gives.error else "the answer"


def row(fault: Fault) -> str:
    cells = [fault.name, f"{fault.does}", *(cell(fault, form) for form in _FORMS)]
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """Return every fault by section, as Markdown."""
    head = ["| Fault | The server … | whole chat | stream | embeddings |", "|---|---|---|---|---|"]
    parts = []
    for section, faults in SECTIONS.items():
        parts += [f"### {section}", "", *head, *map(row, faults), ""]
    return "\n".join(parts) + "\n"


def with_table(page: str) -> str:
    """Return a page with the table of now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}{END}{after}"
