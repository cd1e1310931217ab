"""Force a tool call on a server that has no tool_choice, by constraining what it may write.

Ollama ignores ``tool_choice``, and calls no tool when ``format`` is given. But with a schema of
``{"name": …, "arguments": …}`` as ``format`` it writes exactly that object as text (wire
reference 14), which is turned back into a real tool call here. With tools and a schema of the
caller's, the model may write either: a call, or the final answer.

The rendered route writes the keys in the schema's order and the native one alphabetically, so
both orders are read. Anything that does not look like a call stays text: nothing is lost when a
server ignores ``format`` (as those for MLX models do, wire reference 3.6).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.schema.grammar import grammar_safe
from ollama_transport.schema.grammar_tools import fit_parameters, hoisted, tool_name
from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.arguments import CUT_ERROR
from ollama_transport.wire.values.messages import ToolCall, ToolCallDelta, made_id
from ollama_transport.wire.values.requests import ChatRequest, NamedTool


def forced_names(request: ChatRequest) -> list[str]:
    """Return the names of the tools that the model must, or may, call by constrained text.

    [] if no constraint is needed: the server then leaves the choice to the model.

    Raises:
        ConfigError: when tool_choice names a tool that was not given.
    """
    names = [tool_name(tool) for tool in request.tools]
    choice = request.tool_choice
    if isinstance(choice, NamedTool):
        if choice.name not in names:
            raise ConfigError(
                f"tool_choice names {choice.name!r}, which is not among the tools: "
                f"{', '.join(names) if names else 'none were given'}."
            )
        return [choice.name]
    if choice == "required":
        if not names:
            raise ConfigError('tool_choice="required" needs tools: none were given.')
        return names
    return names if request.format is not None and choice != "none" else []


def call_format(
    tools: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    answer: str | Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the schema of one call of one of the named tools, fit for the engine's grammar.

    ``answer`` is the caller's own ``format``: a final answer of that shape is allowed as well.

    Raises:
        ConfigError: from grammar_safe, naming the tool and the field.
    """
    # The full schemas, not the flattened ones of `tools`: a grammar can enforce what those only
    # describe in words.
    shapes = [_call_shape(tool) for tool in tools if tool_name(tool) in names]
    if isinstance(answer, Mapping):
        shapes.append(grammar_safe(answer))
    elif answer is not None:
        # "json" is any object.
        shapes.append({"type": "object"})
    if len(shapes) == 1:
        return shapes[0]
    bare, defined = hoisted(shapes)
    return {"anyOf": bare, **({"$defs": defined} if defined else {})}


def _call_shape(tool: Mapping[str, Any]) -> dict[str, Any]:
    (arguments,), defined = hoisted([fit_parameters(tool)])
    return {
        "type": "object",
        "properties": {"name": {"const": tool_name(tool)}, "arguments": arguments},
        "required": ["name", "arguments"],
        # Else the model could write keys of its own after the arguments.
        "additionalProperties": False,
        **({"$defs": defined} if defined else {}),
    }


class CallShaper:
    """Turns the constrained text of one answer into a tool call; make one for each answer.

    `push` transforms each line. Text is held back while it may be a call; the arguments are
    forwarded as they arrive once the tool's name is known.
    """

    def __init__(self, names: Sequence[str], turn: str = "") -> None:
        self._names = frozenset(names)
        self._turn = turn
        self._text = ""
        self._head: Head | None = Head()
        self._sent = -1
        self._scanner = _ObjectScanner()
        self._id = ""

    def push(self, line: ChatLine) -> ChatLine:
        """Return the line with its text turned into the forced call."""
        if self._head is None:
            return line
        self._text += line.text
        if self._head.end is None:
            self._head = find_head(self._text, self._names)
        if self._head is None:
            # Not a call: the rest of the answer stays text, and what was held back goes first.
            return with_text(line, self._text)
        bare = self._advance(with_text(line, ""), self._head)
        return self._finish(bare, self._head) if line.done else bare

    def _advance(self, line: ChatLine, head: "Head") -> ChatLine:
        if head.end is None or head.name is None:
            return line
        first = self._sent < 0
        if first:
            self._sent = head.end
            self._id = self._made_id(line.created_at, head.name)
        piece = self._scanner.take(self._text[self._sent :])
        self._sent += len(piece)
        if not piece and not first:
            return line
        start = (head.name, self._id) if first else (None, None)
        return replace(line, tool_call_deltas=(ToolCallDelta(0, piece, *start),))

    def _finish(self, line: ChatLine, head: "Head") -> ChatLine:
        call = self._call(line.created_at, head)
        if call is None:
            return with_text(line, self._text)
        calls = (*line.message.tool_calls, call)
        return replace(line, message=replace(line.message, tool_calls=calls))

    def _call(self, created_at: str, head: "Head") -> ToolCall | None:
        try:
            whole = json.loads(self._text)
        except (ValueError, RecursionError):
            if head.end is None or head.name is None:
                return None
            # The answer was cut inside the arguments: they are kept as text.
            return self._made(head.name, self._text[head.end :], created_at)
        if whole.get("name") in self._names and isinstance(whole.get("arguments"), dict):
            return self._made(whole["name"], whole["arguments"], created_at)
        return None

    def _made(self, name: str, arguments: Mapping[str, Any] | str, created_at: str) -> ToolCall:
        # The id that the deltas have already carried.
        identity = self._id if self._id else self._made_id(created_at, name)
        error = CUT_ERROR if isinstance(arguments, str) else None
        return ToolCall(name, arguments, id=identity, index=0, error=error)

    def _made_id(self, created_at: str, name: str) -> str:
        return made_id(f"{created_at}|{self._turn}", 0, name)


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a call, as far as it has arrived.

    ``end`` is where the arguments begin; it and ``name`` are None while they are unknown.
    """

    end: int | None = None
    name: str | None = None


def find_head(text: str, names: Collection[str]) -> Head | None:
    """Return the head of a call of one of the names; None when the text cannot become one."""
    # If the arguments come first, the name is only known when there is a single tool.
    only = next(iter(names)) if len(names) == 1 else None
    heads: list[tuple[str, str | None]] = [('{"arguments":{', only)]
    # The two routes order the keys differently (wire reference 14).
    heads += [(f'{{"name":{json.dumps(name)},"arguments":{{', name) for name in sorted(names)]
    found: Head | None = None
    for head, name in heads:
        end = _begins(text, head)
        if end is not None and end >= 0:
            return Head(end, name)
        found = Head() if end is not None else found
    return found


def _begins(text: str, head: str) -> int | None:
    """Return where in the text the head ends, ignoring white space.

    -1 when the text ends inside the head, None when it differs from it.
    """
    wanted = iter(head)
    expected = next(wanted)
    for position, character in enumerate(text):
        if character != expected:
            # The grammar of a schema allows white space between its tokens.
            if character.isspace():
                continue
            return None
        following = next(wanted, None)
        if following is None:
            return position
        expected = following
    return -1


class FirstCallShaper:
    """Keeps only the first tool call of an answer, for ``parallel_tool_calls=False``."""

    def __init__(self) -> None:
        self._seen = False
        self._index: int | None = None

    def push(self, line: ChatLine) -> ChatLine:
        """Return the line without any call except the answer's first."""
        line = self._without_deltas(line)
        calls = line.message.tool_calls
        kept = () if self._seen else calls[:1]
        self._seen = self._seen or bool(calls)
        if kept == calls:
            return line
        return replace(line, message=replace(line.message, tool_calls=kept))

    def _without_deltas(self, line: ChatLine) -> ChatLine:
        deltas = line.tool_call_deltas
        if self._index is None and deltas:
            self._index = deltas[0].index
        # A second call has another index, long before it is complete.
        kept = tuple(delta for delta in deltas if delta.index == self._index)
        return line if kept == deltas else replace(line, tool_call_deltas=kept)


class _ObjectScanner:
    """Finds the end of a JSON object that arrives in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._ended = False

    def take(self, text: str) -> str:
        """Return the part of the text that still belongs to the object."""
        if self._ended:
            return ""
        for position, character in enumerate(text):
            self._step(character)
            if self._depth == 0:
                self._ended = True
                return text[: position + 1]
        return text

    def _step(self, character: str) -> None:
        # Brackets inside strings do not count.
        if self._escaped:
            self._escaped = False
        elif self._in_string:
            self._escaped = character == "\\"
            self._in_string = character != '"'
        elif character == '"':
            self._in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1


def with_text(line: ChatLine, text: str) -> ChatLine:
    """Return a line with another text."""
    if line.text == text:
        return line
    return replace(line, message=replace(line.message, content=text))
