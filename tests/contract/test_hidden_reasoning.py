"""Reasoning that a server sends though nobody asked for it is hidden: both adapters, both wires."""

import json

import pytest
from both_ways import (
    CHATS,
    COMPLETIONS,
    Facts,
    ask_langchain,
    ask_llamaindex,
    complete_langchain,
    complete_llamaindex,
    wire,
)
from recorded import recording
from running import Run

_WAYS = {
    ask_langchain: {"reasoning": False},
    complete_langchain: {"reasoning": False},
    ask_llamaindex: {"thinking": False},
    complete_llamaindex: {"thinking": False},
}


def _thinks(name: str) -> bool:
    found = recording(name)
    told = found.data.decode("utf-8", "replace")
    return found.status == 200 and ('"thinking":"' in told or '"reasoning":"' in told)


def _hidden(names: list[str]) -> list[str]:
    return [name for name in names if _thinks(name)]


@pytest.mark.parametrize("name", _hidden(CHATS))
@pytest.mark.parametrize("ask", [ask_langchain, ask_llamaindex])
def test_reasoning_is_hidden_in_chats_when_switched_off(run: Run, name: str, ask: object) -> None:
    """gpt-oss reasons whatever is asked: the text is the same, and the reasoning is gone."""
    _check(run, name, ask)


@pytest.mark.parametrize("name", [n for n in _hidden(COMPLETIONS) if not n.startswith("v1")])
@pytest.mark.parametrize("ask", [complete_langchain, complete_llamaindex])
def test_reasoning_is_hidden_in_completions_when_switched_off(
    run: Run, name: str, ask: object
) -> None:
    """The same of /api/generate."""
    _check(run, name, ask)


def _check(run: Run, name: str, ask: object) -> None:
    assert callable(ask)
    streams, network = recording(name).is_stream, Facts(name)
    shown = ask(run, Facts(name), wire(name), streams)
    hidden = ask(run, network, {**wire(name), **_WAYS[ask]}, streams)
    assert shown.thinking
    assert hidden.thinking == ""
    assert (hidden.text, hidden.calls) == (shown.text, shown.calls)
    asked = json.loads(network.requests[-1].content)
    assert asked.get("think", asked.get("reasoning_effort")) in (False, "none")
