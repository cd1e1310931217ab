"""Parse tool calls that a model wrote as text, in the forms of the common templates.

Servers without a parser for a model's template pass them through as text.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_transport.wire.values.arguments import MAX_PYTHON, is_plain, read_arguments
from ollama_transport.wire.values.json_text import find_json

# Each space is read by one repeat: two adjacent repeats would take quadratic time.
_NAMED = re.compile(
    r"\s{0,100}(?:\[TOOL_CALLS\]\s{0,100})?([\w.-]{1,128})(?![\w.-])\s{0,100}"
    r"(?:\[CALL_ID\][\w-]{0,64}\s{0,100})?(?:\[ARGS\]\s{0,100})?(?=\{)"
)
_HARMONY = re.compile(r"([\w.-]{1,128})(?![\w.-])[^{}]{0,100}<\|message\|>")
_BETWEEN = re.compile(
    r"(?:\s|[,;]|\[TOOL_CALLS\]|(?:```|~~~)(?:json|tool_call|tool_code)?|json(?=\s)|<\|plugin\|>)*+"
)
_LEFTOVERS = re.compile(r"(?:\s|[}\]]|<\|?/?[\w|]{1,40}>|`)*+")
_DECODER = json.JSONDecoder(strict=False)
_NAMES = ("name", "tool_name", "tool", "action", "function")
_ARGUMENTS = ("arguments", "parameters", "args", "tool_args", "action_input", "input")

Tools = Mapping[str, Mapping[str, Any]]
"""The schemas of the tools' parameters, by name."""

Written = tuple[str, Mapping[str, Any] | str]
"""A call: the tool's name, and its arguments, as text if they are not an object."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a template marks calls: from ``start`` to ``end`` ("" means the end of the answer)."""

    start: str
    end: str


FORMS = (
    Form("<tool_call>", "</tool_call>"),  # Hermes, Qwen; GLM with pairs inside
    Form("<function=", "</function>"),  # Llama with JSON inside, Qwen-Coder with parameters
    Form("[TOOL_CALLS]", ""),  # Mistral
    Form("[TOOL_REQUEST]", "[END_TOOL_REQUEST]"),  # LM Studio, for models without calls
    Form("<|python_tag|>", ""),  # Llama
    Form("<|tool_call|>", ""),  # Granite, Phi
    Form("<tool_calls>", "</tool_calls>"),  # Hunyuan, Jamba
    Form("<tools>", "</tools>"),  # Qwen-Coder, at times
    Form("<toolcall>", "</toolcall>"),
    Form("<TOOLCALL>", "</TOOLCALL>"),  # Nemotron
    Form("<function_call>", "</function_call>"),
    Form("<function_calls>", "</function_calls>"),  # OLMo
    Form("<minimax:tool_call>", "</minimax:tool_call>"),
    Form("<seed:tool_call>", "</seed:tool_call>"),
    Form("<|tool_call_start|>", "<|tool_call_end|>"),  # LFM2
    Form("<|START_ACTION|>", "<|END_ACTION|>"),  # Command A
    Form("<|action_start|>", "<|action_end|>"),  # InternLM
    Form("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),  # DeepSeek
    Form("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),  # Kimi
    Form("<|channel|>commentary to=functions.", ""),  # gpt-oss
    Form("functools[", ""),  # Phi
    Form("<start_function_call>", "<end_function_call>"),  # FunctionGemma (vllm #31218)
    Form("<|tool_call>", "<tool_call|>"),  # Gemma 4 (mlx-lm #1105)
    Form("]<]minimax[>[<tool_call>", "]<]minimax[>[</tool_call>"),  # MiniMax-M3
)
# Before each tag of MiniMax-M3 (ik_llama.cpp #2008).
_MINIMAX = "]<]minimax[>["
_MINIMAX_TAG = re.compile(r'<(?:invoke name="([^"<>]{1,128})"|([^\s<>/]{1,128}))>')
# How Gemma's models quote a text, and where a key or a quoted text begins.
_GEMMA_QUOTES = ("<escape>", '<|"|>')
_GEMMA_NAME = re.compile(r"\s{0,100}call:(?:[\w.-]{1,128}:)?([\w.-]{1,128})(?=\{)")
_GEMMA_KEY = re.compile(r'"(?:[^"\\]|\\.?)*+"?|([{,]\s{0,20})([\w.$-]{1,128})(?=:)', re.DOTALL)
_OPENS_CALL = {"<function=", "functools["}
# How DeepSeek and Kimi mark each call: its start, the start of its arguments, its end.
_SECTIONS = (
    ("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"),
    ("<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"),
)


def calls_in(form: Form, text: str, tools: Tools) -> tuple[list[Written], str]:
    """Return the calls in a marked part of an answer, given with its marks, and the text left.

    [] when it contains anything but complete calls of the given tools. Without its end mark, only
    complete JSON counts.
    """
    is_closed = not form.end or text.endswith(form.end)
    inner = text[len(form.start) :].removesuffix(form.end) if form.end else text[len(form.start) :]
    if form.start in _OPENS_CALL:
        inner = text if form.start == "<function=" else f"[{inner}"
    if is_closed:
        for read in _READERS:
            found = list(read(inner, tools))
            if found and _are_known(found, tools):
                return found, ""
    calls, left = leading_calls(inner, tools, is_marked=True)
    if not calls and form.end and is_closed:
        # Models forget the last bracket; the end mark shows that nothing else is missing.
        calls, left = leading_calls(f"{inner.rstrip()}}}", tools, is_marked=True)
    is_whole = _LEFTOVERS.fullmatch(left) is not None
    if not calls or (form.end and not is_whole):
        return [], text
    return calls, "" if is_whole else left


def leading_calls(text: str, tools: Tools, *, is_marked: bool = False) -> tuple[list[Written], str]:
    """Return the calls at the start of a text, as JSON or in Python's notation, and the rest."""
    at = _BETWEEN.match(text, 0).end()  # type: ignore[union-attr] # it matches anything
    calls: list[Written] = []
    while text.startswith(("{", "["), at) and (found := _value_at(text, at)) is not None:
        value, at = found
        read = _calls_of(value, tools, is_marked=is_marked)
        if not read or not _are_known(read, tools):
            return [], text
        calls += read
        at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr] # it matches anything
    if calls:
        return calls, text[at:]
    calls = list(_python_calls(text, tools))
    return (calls, "") if _are_known(calls, tools) and calls else ([], text)


def _value_at(text: str, at: int) -> tuple[Any, int] | None:
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        pass
    # Repairs need to know where the text ends.
    found = read_arguments(text[at:])
    return (found, len(text)) if isinstance(found, Mapping) and found else None


def bare_calls(text: str, tools: Tools) -> list[Written]:
    """Return the calls in a text that is JSON, alone or in a code fence; [] for anything else."""
    for found in find_json(text):
        calls = _calls_of(found.value, tools, is_marked=False)
        if calls and _are_known(calls, tools):
            return calls
    return []


def _are_known(calls: list[Written], tools: Tools) -> bool:
    return all(name in tools for name, _ in calls)


def _calls_of(value: object, tools: Tools, *, is_marked: bool) -> list[Written]:
    """Return the calls that a value describes; [] if any part of it is not a call."""
    if isinstance(value, Mapping) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    values = value if isinstance(value, list) else [value]
    calls = [read_call(one) or _bare_name(one, tools, is_marked) for one in values]
    return [] if None in calls else [call for call in calls if call is not None]


def _bare_name(value: object, tools: Tools, is_marked: bool) -> Written | None:
    """Return the call of a tool without parameters, whose arguments were left out."""
    if not is_marked or not isinstance(value, Mapping) or len(value) != 1:
        return None
    name = value.get("name")
    return (name, {}) if isinstance(name, str) and tools.get(name, {}) == {} else None


def read_call(value: object) -> Written | None:
    """Return the call that an object describes; None when it describes none."""
    if not isinstance(value, Mapping) or "description" in value:
        return None
    function = value.get("function")
    if isinstance(function, Mapping):
        return read_call(function)
    name = next((value[key] for key in _NAMES if key in value), None)
    key = next((key for key in _ARGUMENTS if key in value), None)
    if not isinstance(name, str) or key is None:
        return None
    return name, _arguments(value[key])


def _arguments(value: object) -> Mapping[str, Any] | str:
    if not isinstance(value, Mapping | str):
        return json.dumps(value)
    found: Mapping[str, Any] | str = read_arguments(value)
    return value if isinstance(value, str) and not value.strip() else found


def _functions(text: str, tools: Tools) -> Iterator[Written]:
    for name, inner in _enclosed("<function=", ">", "</function>", text):
        pairs = list(_parameters(inner))
        if pairs or not inner.strip():
            yield name, _typed(pairs, tools.get(name, {}))
        else:
            yield name, _arguments(inner)


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters of Qwen-Coder's form, whose models forget closing tags."""
    for part in text.split("<parameter=")[1:]:
        name, _, rest = part.partition(">")
        yield name, rest.partition("</parameter>")[0]


def _invoked(text: str, tools: Tools) -> Iterator[Written]:
    for name, inner in _enclosed('<invoke name="', '">', "</invoke>", text):
        pairs = list(_enclosed('<parameter name="', '">', "</parameter>", inner))
        if inner.strip() and not pairs:
            return  # never a call without arguments for some that could not be read
        yield name, _typed(pairs, tools.get(name, {}))


def _enclosed(opening: str, ends: str, closing: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the name in each opening tag, and what stands between it and the next closing one."""
    for part in text.split(opening)[1:]:
        name, is_named, rest = part.partition(ends)
        inner, is_closed, _ = rest.partition(closing)
        if not (is_named and is_closed):
            return
        yield name.strip(), inner


def _paired(text: str, tools: Tools) -> Iterator[Written]:
    """Yield the call of a name, alone or followed by ``<arg_key>`` and ``<arg_value>``."""
    name = text.partition("<arg_key>")[0].strip()
    if name in tools:
        yield name, _typed(_pairs(text), tools[name])


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of ``<arg_key>`` and ``<arg_value>`` in a text, in order."""
    found = []
    for part in text.split("<arg_key>")[1:]:
        key, ends, rest = part.partition("</arg_key>")
        value = rest.lstrip()
        if ends and value.startswith("<arg_value>") and "</arg_value>" in value:
            found.append((key, value.removeprefix("<arg_value>").partition("</arg_value>")[0]))
    return found


def _sections(text: str, _: Tools) -> Iterator[Written]:
    for start, arguments, end in _SECTIONS:
        for part in text.split(start)[1:]:
            name, is_named, rest = part.partition(arguments)
            inner, is_closed, _left = rest.partition(end)
            if not (is_named and is_closed):
                return
            if name.strip() == "function":
                name, _line, inner = inner.partition("\n")
            name = name.strip().removeprefix("functions.").partition(":")[0]
            yield name, _arguments(inner.strip())


def _harmony(text: str, _: Tools) -> Iterator[Written]:
    match = _HARMONY.match(text)
    if match is not None:
        inner = text[match.end() :].partition("<|call|>")[0]
        yield match[1], _arguments(inner.strip())


def _named(text: str, _: Tools) -> Iterator[Written]:
    """Yield calls written as ``name{…}`` or ``name[ARGS]{…}``, one after the other."""
    at, found = 0, []
    while (match := _NAMED.match(text, at)) is not None:
        try:
            value, at = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            return
        found.append((match.group(1), value))
    if _LEFTOVERS.fullmatch(text, at):
        yield from found


def _gemma(text: str, _: Tools) -> Iterator[Written]:
    """Yield calls written as ``call:name{key:value}``, whose texts have quotes of their own."""
    for quote in _GEMMA_QUOTES:
        # Every second part stands between two quotes.
        parts = text.split(quote)
        parts[1::2] = map(json.dumps, parts[1::2])
        text = "".join(parts)
    text = _GEMMA_KEY.sub(lambda key: f'{key[1]}"{key[2]}"' if key[2] else key[0], text)
    at, found = 0, []
    while (match := _GEMMA_NAME.match(text, at)) is not None:
        try:
            value, at = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            return
        found.append((match[1], value))
    if _LEFTOVERS.fullmatch(text, at):
        yield from found


def _minimax(text: str, tools: Tools) -> Iterator[Written]:
    """Yield calls whose parameters are tags of their own, each behind a mark."""
    name, key = "", ""
    pairs: list[tuple[str, str]] = []
    for part in text.split(_MINIMAX)[1:]:
        tag = _MINIMAX_TAG.match(part)
        if key and part.startswith(f"</{key}>"):
            key = ""
        elif name and not key and part.startswith("</invoke>"):
            yield name, _typed(pairs, tools.get(name, {}))
            name, pairs = "", []
        elif tag is None or key or bool(name) is bool(tag[1]):
            return
        elif name:
            key = tag[2]
            pairs.append((key, part[tag.end() :]))
        else:
            name = tag[1]


def _python_calls(text: str, _: Tools) -> Iterator[Written]:
    """Yield calls in Python's notation, ``[f(a=1), g()]`` or ``f(a=1)``."""
    bare = _BETWEEN.sub("", text.strip(), count=1).removesuffix("```").strip()
    # The parser warns about odd escapes.
    if not bare.endswith((")", "]")) or "\\" in bare or len(bare) > MAX_PYTHON:
        return
    try:
        # Never eval: it only parses, and runs nothing.
        tree = ast.parse(bare, mode="eval").body
        nodes = tree.elts if isinstance(tree, ast.List) else [tree]
        calls = [_python_call(node) for node in nodes]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return
    if None not in calls:
        yield from (call for call in calls if call is not None)


def _python_call(node: ast.expr) -> Written | None:
    if not isinstance(node, ast.Call) or node.args:
        return None
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr == "call":
        function = function.value
    values = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg}
    if not isinstance(function, ast.Name) or len(values) < len(node.keywords):
        return None
    return (function.id, values) if is_plain(values) else None


_READERS: tuple[Callable[[str, Tools], Iterator[Written]], ...] = (
    _functions,
    _minimax,
    _invoked,
    _paired,
    _sections,
    _harmony,
    _gemma,
    _named,
)


def _typed(pairs: list[tuple[str, str]], schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    return {key.strip(): _value(text, known.get(key.strip())) for key, text in pairs}


def _value(text: str, schema: object) -> Any:
    # The template puts each value on lines of its own.
    text = text.removeprefix("\n").removesuffix("\n")
    if isinstance(schema, Mapping) and schema.get("type") == "string":
        return text
    try:
        return _DECODER.decode(text.strip())
    except (ValueError, RecursionError):
        return text
