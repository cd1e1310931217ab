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
    "functiongemma": (
        '<start_function_call>call:weather{city:<escape>Rome, {x} "y"<escape>,days:2}'
        "<end_function_call>",
        [("weather", {"city": 'Rome, {x} "y"', "days": 2})],
    ),
    "functiongemma, without arguments": (
        "<start_function_call>call:now{}<end_function_call>",
        [("now", {})],
    ),
    "gemma 4": (
        '<|tool_call>call:weather{city:<|"|>Ro\nme<|"|>,days:2}<tool_call|>'
        "<|tool_call>call:now{}<tool_call|>",
        [("weather", {"city": "Ro\nme", "days": 2}), ("now", {})],
    ),
    "gemma 4, in JSON's quotes": (
        '<|tool_call>call:weather:weather{city: "a, b: c"}<tool_call|>',
        [("weather", {"city": "a, b: c"})],
    ),
    "gemma 4, nested": (
        '<|tool_call>call:now{of:{to:[1,<|"|>a:b<|"|>,true]}}<tool_call|>',
        [("now", {"of": {"to": [1, "a:b", True]}})],
    ),
    "minimax m3": (
        ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="weather">\n'
        "]<]minimax[>[<city>Rome]<]minimax[>[</city>\n]<]minimax[>[<days>2]<]minimax[>[</days>\n"
        "]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>",
        [("weather", {"city": "Rome", "days": 2})],
    ),
    "minimax m3, twice": (
        ']<]minimax[>[<tool_call>]<]minimax[>[<invoke name="now">]<]minimax[>[</invoke>'
        ']<]minimax[>[<invoke name="now">]<]minimax[>[</invoke>]<]minimax[>[</tool_call>',
        [("now", {}), ("now", {})],
    ),
    "python tag": (
        f"<|python_tag|>{ONE.replace('arguments', 'parameters')}",
        [("weather", ROME)],
    ),
    "granite": (f"<|tool_call|>[{ONE}]", [("weather", ROME)]),
    "mistral, marked twice": (
        '[TOOL_CALLS]weather[CALL_ID]a1[ARGS]{"city": "Rome"}[TOOL_CALLS]now[ARGS]{}</s>',
        [("weather", ROME), ("now", {})],
    ),
    "hermes, two in one": (f"<tool_call>\n{ONE}\n{ONE}\n</tool_call>", [("weather", ROME)] * 2),
    "hermes, a bracket short": (f"<tool_call>\n{ONE[:-1]}\n</tool_call>", [("weather", ROME)]),
    "hermes, no end": (f"<tool_call>\n{ONE}\n", [("weather", ROME)]),
    "hermes, Python": (
        "<tool_call>{'name': 'weather', 'arguments': {'city': 'Rome'},}</tool_call>",
        [("weather", ROME)],
    ),
    "hermes, no arguments": ('<tool_call>{"name": "now"}</tool_call>', [("now", {})]),
    "qwen coder, half of its tags": (
        "<function=weather>\n<parameter=city>\nRome\n</function>\n</tool_call>",
        [("weather", ROME)],
    ),
    "tools": (f"<tools>\n{ONE}\n</tools>", [("weather", ROME)]),
    "lm studio": (f"[TOOL_REQUEST]{ONE}[END_TOOL_REQUEST]", [("weather", ROME)]),
    "hunyuan": (f"<tool_calls>[{ONE}]</tool_calls>", [("weather", ROME)]),
    "nemotron": (f"<TOOLCALL>[{ONE}]</TOOLCALL>", [("weather", ROME)]),
    "olmo": ('<function_calls>weather(city="Rome")\n</function_calls>', [("weather", ROME)]),
    "minimax": (
        '<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">Rome</parameter>\n'
        "</invoke>\n</minimax:tool_call>",
        [("weather", ROME)],
    ),
    "seed": (
        f"<seed:tool_call>\n{PARAMETER}\n</seed:tool_call>",
        [("weather", ROME)],
    ),
    "lfm2": (
        '<|tool_call_start|>[weather(city="Rome", days=2), now()]<|tool_call_end|>',
        [("weather", {"city": "Rome", "days": 2}), ("now", {})],
    ),
    "command a": (
        '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "weather", "parameters": '
        '{"city": "Rome"}}]<|END_ACTION|>',
        [("weather", ROME)],
    ),
    "internlm": (f"<|action_start|><|plugin|>\n{ONE}<|action_end|>", [("weather", ROME)]),
    "deepseek": (
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n"
        '{"city": "Rome"}\n```<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}'
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        [("weather", ROME), ("now", {})],
    ),
    "kimi": (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0"
        '<|tool_call_argument_begin|>{"city": "Rome"}<|tool_call_end|>'
        "<|tool_calls_section_end|>",
        [("weather", ROME)],
    ),
    "gpt-oss": (
        "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>"
        '{"city": "Rome"}<|call|>',
        [("weather", ROME)],
    ),
    "phi": (f"functools[{ONE}]", [("weather", ROME)]),
    "llama 4": ('[weather(city="Rome"), now()]', [("weather", ROME), ("now", {})]),
    "gemma": ('```tool_code\nweather(city="Rome")\n```', [("weather", ROME)]),
    "bare, arguments first": (
        '{"arguments": {"city": "Rome"}, "name": "weather"}',
        [("weather", ROME)],
    ),
    "bare, wrapped": (f'{{"tool_calls": [{ONE}]}}', [("weather", ROME)]),
    "bare, an action": (
        '{"action": "weather", "action_input": {"city": "Rome"}}',
        [("weather", ROME)],
    ),
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
@pytest.mark.parametrize("size", [1, 5, 11, 1000])
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


@pytest.mark.parametrize("size", [1, 9, 1000])
def test_a_call_after_words_ends_the_answer(size: int) -> None:
    """On a line of its own, in a fence or not; the words stay."""
    for fence in ("{}", "```json\n{}\n```\n"):
        left, found = salvaged("I will look.\n" + fence.format(ONE), size)
        assert (left.strip(), found) == ("I will look.", [("weather", ROME)])


@pytest.mark.parametrize("size", [1, 9, 1000])
def test_words_after_a_call_stay(size: int) -> None:
    """They are no part of the call."""
    left, found = salvaged(f"{ONE}\nOne moment.", size)
    assert (left.strip(), found) == ("One moment.", [("weather", ROME)])


_EXAMPLES = {
    "parameters in tags that are not known": (
        '<minimax:tool_call><invoke name="now"><of>x</of></invoke></minimax:tool_call>'
    ),
    "MiniMax-M3's, nested": (
        ']<]minimax[>[<tool_call>]<]minimax[>[<invoke name="now">]<]minimax[>[<of>'
        "]<]minimax[>[<a>1]<]minimax[>[</a>]<]minimax[>[</of>]<]minimax[>[</invoke>"
        "]<]minimax[>[</tool_call>"
    ),
    "Gemma's, a text without quotes": "<|tool_call>call:weather{city:Rome}<tool_call|>",
    "Gemma's, a quote that stays open": (
        "<start_function_call>call:weather{city:<escape>Rome}<end_function_call>"
    ),
    "an example": f"Write it like this:\n{ONE}\nand wait.",
    "a description": '{"name": "weather", "description": "…", "parameters": {"city": "Rome"}}',
    "code": "Call it:\n```python\nweather(city='Rome')\n```",
    "Python that computes": "[weather(city=home())]",
    "a place": '[weather("Rome")]',
    "two, one unknown": f"<tool_call>{ONE}{ONE.replace('weather', 'other')}</tool_call>",
    "Mistral's, one unreadable": '[TOOL_CALLS]weather{"city": "Rome"}now{"a',
    "a closing tag": "Close it by </tool_call>.",
}


@pytest.mark.parametrize("name", _EXAMPLES)
@pytest.mark.parametrize("size", [1, 9, 1000])
def test_what_only_looks_like_a_call_is_text(name: str, size: int) -> None:
    """All of it is passed on, and nothing runs."""
    assert salvaged(_EXAMPLES[name], size) == (_EXAMPLES[name], [])


def test_a_long_answer_of_many_lines_is_read_in_time() -> None:
    """Whole and in pieces: the work grows with the length."""
    text = "a line of words < [ f\n" * 20_000
    assert salvaged(text, len(text)) == (text, [])
    assert salvaged(text, 400) == (text, [])
