"""The terminal that the command line's tests type at."""

import signal
from collections.abc import Iterator

import pytest
import terminals
from terminals import CLOSED, Opens

from ollama_ext.embedded import EmbeddedOllama


@pytest.fixture
def _interrupts_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts_ignored")
def test_ctrl_c_works_where_the_test_run_ignores_it(terminal: Opens) -> None:
    """Tests that run behind `&` in a script interrupt commands like any other."""
    with EmbeddedOllama() as server:
        screen = terminal("chat", "demo", host=server.url)
        screen.expect("ends.")
        screen.expect(">>> ")
        screen.type("Hello")
        screen.expect("Hello")
        screen.interrupt(">>> ")


def test_every_wait_ends(terminal: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that never comes is an error after one deadline, whoever waits for it."""
    monkeypatch.setattr(terminals, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(terminals, "PATIENCE_S", 0.1)
    screen = terminal("--help", host=CLOSED)
    with pytest.raises(AssertionError, match="no such text"):
        screen.expect("no such text")
    with pytest.raises(AssertionError, match="no such text"):
        screen.interrupt("no such text")
