"""Questions and tables at a terminal."""

import pytest
from terminals import Ext, Opens

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Gate, Reply


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_delete_asks_at_the_terminal(
    terminal: Opens, server: EmbeddedOllama, ext: Ext, answer: str, code: int
) -> None:
    """`delete` waits for an answer, and removes the model after a yes alone."""
    screen = terminal("delete", "demo", host=server.url)
    screen.expect("Delete demo? [y/N] ")
    assert server.requests == []
    screen.enter(answer)
    assert screen.end() == code
    assert ext("show", "demo", host=server.url).code == (4 if code == 0 else 0)


def test_delete_interrupted(terminal: Opens, server: EmbeddedOllama) -> None:
    """Ctrl-C at the question exits with 130 and removes nothing."""
    screen = terminal("delete", "demo", host=server.url)
    screen.expect("[y/N] ")
    assert screen.interrupted() == 130
    assert "Traceback" not in screen.text
    assert server.requests == []


def test_delete_at_the_end_of_the_input(terminal: Opens, server: EmbeddedOllama) -> None:
    """Ctrl-D at the question is no answer: nothing is removed."""
    screen = terminal("delete", "demo", host=server.url)
    screen.expect("[y/N] ")
    screen.type("\x04")
    assert screen.end() == 2
    assert server.requests == []


def test_models_at_the_terminal(terminal: Opens, server: EmbeddedOllama) -> None:
    """The names of models are never broken in a terminal of 80 columns."""
    screen = terminal("models", host=server.url)
    assert screen.end() == 0
    lines = screen.text.splitlines()
    assert any(line.startswith("demo-rendered:latest  ") for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_model_s_description_cannot_steer_the_terminal(terminal: Opens) -> None:
    """Escape sequences in a model's settings reach the terminal as harmless text."""
    model = EmbeddedModel("sly", system="\x1b]0;title\x07Be [bold]sly[/bold]\x1b[31m.")
    with EmbeddedOllama([model]) as server:
        screen = terminal("show", "sly", host=server.url)
        assert screen.end() == 0
    assert "]0;titleBe [bold]sly[/bold][31m." in screen.text
    assert "\x1b]0;" not in screen.raw
    assert "\x1b[31m" not in screen.raw


def test_models_interrupted(terminal: Opens, server: EmbeddedOllama) -> None:
    """Ctrl-C while a server is waited for exits with 130, without a traceback."""
    server.script("GET", "/api/tags", Reply.json({}, gate=Gate(), hold_at=0))
    screen = terminal("models", host=server.url)
    assert server.wait_for_requests(1)
    assert screen.interrupted() == 130
    assert "Traceback" not in screen.text
