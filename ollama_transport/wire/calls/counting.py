"""Token counts for answers without usage: estimated, or counted by the model's tokenizer.

vLLM and llama.cpp's llama-server both have ``/tokenize``. Each names the field differently and
ignores the other's name, so one request works for both.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError
from ollama_transport.wire.calls.call import Call, Reader, ReaderAround
from ollama_transport.wire.values.answers import ChatLine, Embeddings, GenerateLine
from ollama_transport.wire.values.messages import ToolCall, ToolCallDelta
from ollama_transport.wire.values.usage import Usage
from ollama_transport.wire.values.vectors import EmbeddingArray

# The usual rule of thumb for English text.
CHARACTERS_PER_TOKEN = 4

Line = TypeVar("Line", ChatLine, GenerateLine, Embeddings, EmbeddingArray)

# The fields of every wire and endpoint that reach the model.
_ASKED = ("messages", "prompt", "suffix", "system", "input", "tools")
# A message holds its reasoning under two names (`wire.openai.messages`): count it once.
_NOT_READ = frozenset({"role", "type", "id", "tool_call_id", "reasoning_content"})


def about_tokens(text: str) -> int:
    """Return an estimate of how many tokens a text has."""
    # Rounded up, so that a short text is not 0 tokens.
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def prompt_text(body: Mapping[str, Any] | None) -> str:
    """Return all text of a request that the model reads, without images and audio."""
    given = {} if body is None else body
    return "\n".join(text for name in _ASKED for text in _texts(given.get(name)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item) if name not in _NOT_READ else ()
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def said_text(lines: Sequence[Any]) -> str:
    """Return all text that the model wrote: thoughts, answer, tool calls."""
    plain = (piece for line in lines for piece in _plain_pieces(line))
    deltas = [delta for line in lines for delta in getattr(line, "tool_call_deltas", ())]
    # The last line of a stream repeats in its calls what the pieces before it said.
    calls = deltas or [call for line in lines for call in getattr(line, "tool_calls", ())]
    return "".join([*plain, *(_call_text(call) for call in calls)])


def _plain_pieces(line: Any) -> tuple[str, str]:
    return getattr(line, "thinking", ""), getattr(line, "text", "")


def _call_text(call: ToolCall | ToolCallDelta) -> str:
    name = call.name if call.name is not None else ""
    given = call.arguments
    return name + (given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))


def estimated(call: Call[Any], lines: Sequence[Any]) -> Usage:
    """Return an estimate of the usage of an answer: one token per four characters."""
    said = None if call.capability == "embedding" else about_tokens(said_text(lines))
    return Usage(about_tokens(prompt_text(call.body)), said, estimated=True)


def estimating(call: Call[Line]) -> Call[Line]:
    """Return the call with an estimated usage in answers that came without one."""
    reader = call.reader

    def read(raw: Mapping[str, Any]) -> Line:
        answer = call.read(raw)
        return _with_estimate(call, answer, (answer,))

    return replace(
        call,
        read=read,
        reader=None if reader is None else lambda: _EstimatingReader(call, reader()),
        count=lambda lines: Counting(call, lines),
    )


def _with_estimate(call: Call[Line], line: Line, lines: Sequence[Any]) -> Line:
    if line.usage is not None:
        return line
    return replace(line, usage=estimated(call, lines))


class _EstimatingReader(ReaderAround[Line]):
    """Adds an estimated usage to the last line of a stream if that has none."""

    def __init__(self, call: Call[Line], reader: Reader[Any]) -> None:
        super().__init__(reader)
        self._call: Call[Line] = call

    def changed(self, lines: list[Line]) -> list[Line]:
        if lines and getattr(lines[-1], "done", True):
            lines[-1] = _with_estimate(self._call, lines[-1], self.received)
        return lines


@dataclass(frozen=True, slots=True)
class Counting:
    """How to count the tokens of one answer: the requests to send, and where the counts go."""

    call: Call[Any]
    lines: Sequence[Any]

    @property
    def requests(self) -> list[Call[int]]:
        """Return the call that counts the prompt, and one for the answer if that has text."""
        said = said_text(self.lines)
        answer = {"prompt": said, "content": said, "add_special_tokens": False}
        asked = [_prompt_fields(self.call.body), *([answer] if said else [])]
        return [_tokenize(self.call.model, fields) for fields in asked]

    def put(self, line: Any, counts: Sequence[int]) -> Any:
        """Return the last line with the counts in its usage."""
        prompt, *answer = counts
        said = None if self.call.capability == "embedding" else sum(answer)
        return replace(line, usage=Usage(prompt, said))


def _prompt_fields(body: Mapping[str, Any] | None) -> dict[str, Any]:
    given = {} if body is None else body
    text = prompt_text(body)
    messages = given.get("messages")
    if messages is None or not all(isinstance(m.get("content"), str) for m in messages):
        return {"prompt": text, "content": text, "add_special": True}
    tools = {"tools": given["tools"]} if given.get("tools") else {}
    return {"messages": messages, **tools, "content": text, "add_special": True}


def _tokenize(model: str | None, fields: Mapping[str, Any]) -> Call[int]:
    body = {"model": model, **fields}
    return Call("POST", "/tokenize", read_count, body=body, model=model)


def read_count(raw: Mapping[str, Any]) -> int:
    """Return the count in an answer of ``/tokenize``.

    Raises:
        ProtocolError: when there is none.
    """
    count, tokens = raw.get("count"), raw.get("tokens")
    if isinstance(count, int) and not isinstance(count, bool):
        return count
    if isinstance(tokens, list):
        return len(tokens)
    raise ProtocolError(f"the answer of /tokenize holds no count of tokens: {brief(raw)}")
