"""Tool calls written as text: every form that is read, in every cut."""

import json
from typing import Any

import pytest

from ollama_transport import ChatLine, Message
from ollama_transport.wire.shaping.salvage import CallSalvager

TOOLS = {
    "weather": {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    "now": {},
}
ROME = {"city": "Rome"}
ONE = '{"name": "weather", "arguments": {"city": "Rome"}}'
PARAMETER = "<function=weather>\n<parameter=city>\nRome\n</parameter>\n</function>"
PAIRS = (
    "weather\n<arg_key>city</arg_key>\n<arg_value>007</arg_value>\n"
    "<arg_key>days</arg_key><arg_value>2</arg_value>"
)
FORMS: dict[str, tuple[str, list[tuple[str, Any]]]] = {
    "hermes": (f"<tool_call>\n{ONE}\n</tool_call>", [("weather", ROME)]),
    "hermes, parameters": (
        f"<tool_call>{ONE.replace('arguments', 'parameters')}</tool_call>",
        [("weather", ROME)],
    ),
    "hermes, arguments as text": (
        f"<tool_call>{json.dumps({'name': 'weather', 'arguments': json.dumps(ROME)})}</tool_call>",
        [("weather", ROME)],
    ),
    "hermes, arguments that are no object": (
        '<tool_call>{"name": "weather", "arguments": "{\\"city"}</tool_call>',
        [("weather", '{"city')],
    ),
    "hermes, a line end in a text": (
        f"<tool_call>{ONE.replace('Rome', 'Ro' + chr(10) + 'me')}</tool_call>",
        [("weather", {"city": "Ro\nme"})],
    ),
    "llama": ('<function=weather>{"city": "Rome"}</function>', [("weather", ROME)]),
    "llama, twice": (
        '<function=weather>{"city": "Rome"}</function><function=now>{}</function>',
        [("weather", ROME), ("now", {})],
    ),
    "qwen coder": (f"<tool_call>\n{PARAMETER}\n</tool_call>", [("weather", ROME)]),
    "qwen coder without a call": (PARAMETER, [("weather", ROME)]),
    "no parameters": ("<function=now></function>", [("now", {})]),
    "glm": (f"<tool_call>{PAIRS}</tool_call>", [("weather", {"city": "007", "days": 2})]),
    "glm without arguments": ("<tool_call>now\n</tool_call>", [("now", {})]),
    "mistral": (f"[TOOL_CALLS][{ONE}, {ONE}]", [("weather", ROME), ("weather", ROME)]),
    "mistral, new": (
        '[TOOL_CALLS]weather[ARGS]{"city": "Rome"}now[ARGS]{}',
        [("weather", ROME), ("now", {})],
    ),
    "mistral, between": ('[TOOL_CALLS]weather{"city": "Rome"}', [("weather", ROME)]),
    "python tag": (
        f"<|python_tag|>{ONE.replace('arguments', 'parameters')}",
        [("weather", ROME)],
    ),
    "granite": (f"<|tool_call|>[{ONE}]", [("weather", ROME)]),
    "bare": (f"\n{ONE}\n", [("weather", ROME)]),
    "bare, as a list": (f"[{ONE}]", [("weather", ROME)]),
    "bare, in a fence": (f"```json\n{ONE}\n```", [("weather", ROME)]),
    "bare, openai": (f'{{"type": "function", "function": {ONE}}}', [("weather", ROME)]),
}


def salvaged(text: str, size: int) -> tuple[str, list[tuple[str, Any]]]:
    shaper = CallSalvager(TOOLS)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    lines = [shaper.push(ChatLine(Message("assistant", piece))) for piece in pieces]
    lines.append(shaper.push(ChatLine(Message("assistant"), done=True)))
    calls = [(call.name, call.arguments) for line in lines for call in line.tool_calls]
    return "".join(line.text for line in lines), calls


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [1, 2, 5, 11, 1000])
def test_a_call_is_read_however_it_is_cut(name: str, size: int) -> None:
    """Nothing of it is left in the text."""
    text, calls = FORMS[name]
    left, found = salvaged(text, size)
    assert found == calls
    assert not left.strip()


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [1, 7])
def test_a_beginning_of_a_call_is_text(name: str, size: int) -> None:
    """What was cut inside its first call runs nothing, and nothing of it is lost."""
    text, _ = FORMS[name]
    for end in (2, 9, len(text) // 3):
        left, found = salvaged(text[:end], size)
        assert found == []
        assert left == text[:end]
