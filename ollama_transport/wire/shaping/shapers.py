"""The transformations of an answer's lines before the caller sees them, on both wires."""

from collections.abc import Callable, Sequence

from ollama_transport.wire.calls.call import Shaper
from ollama_transport.wire.calls.said import LeftoverWatcher
from ollama_transport.wire.shaping.forced import CallShaper, FirstCallShaper
from ollama_transport.wire.shaping.hidden import hiders
from ollama_transport.wire.shaping.joining import joined_chat, joined_text
from ollama_transport.wire.shaping.json_answer import JsonAnswer
from ollama_transport.wire.shaping.missing_call import ForcedCallFinder, forced_tools
from ollama_transport.wire.shaping.salvage import CallSalvager, CallWatcher, tool_schemas
from ollama_transport.wire.shaping.thinking import (
    ThinkSplitter,
    is_opened,
    splitting,
    thinking_tags,
)
from ollama_transport.wire.values.answers import ChatLine, GenerateLine
from ollama_transport.wire.values.arguments import turn
from ollama_transport.wire.values.requests import ChatRequest, GenerateRequest


def chat_shapers(
    request: ChatRequest, written: Sequence[str] = (), *, opens: bool = False
) -> list[Shaper[ChatLine]]:
    """Return the shapers of one answer, in order; make new ones for each answer.

    ``written`` are the names of the tools that the model is constrained to write as text.
    ``opens`` is True where the server may leave thoughts in the text whose tag was in the prompt.
    """
    found: list[Shaper[ChatLine]] = []
    if tags := thinking_tags(request.split_thinking, request.think):
        opened = opens and is_opened(request.split_thinking, request.model)
        found.append(ThinkSplitter(tags, opened=opened))
    if written:
        found.append(CallShaper(written, turn(request.messages)))
    forced = forced_tools(request)
    if request.tools and request.tool_choice != "none":
        tools = tool_schemas(request.tools)
        # A forced call counts, in whichever form the model wrote it.
        salvages = request.salvage_tool_calls or forced
        if salvages:
            found.append(CallSalvager(tools, turn(request.messages)))
        else:
            found.append(CallWatcher(tools, request.model))
    if forced:
        found.append(ForcedCallFinder(forced, request.on_missing_call, turn(request.messages)))
    elif request.format is not None:
        found.append(JsonAnswer(request.format))
    if request.parallel_tool_calls is False:
        found.append(FirstCallShaper())
    # The hiders come last: calls are found among the thoughts too.
    return [*found, *hiders(request.think)]


def chat_join(request: ChatRequest) -> Callable[[Sequence[ChatLine]], ChatLine]:
    """Return how the lines of an answer become a whole one."""
    return splitting(joined_chat, thinking_tags(request.split_thinking, request.think))


def text_join(request: GenerateRequest) -> Callable[[Sequence[GenerateLine]], GenerateLine]:
    """Same as `chat_join`, for a completion."""
    return splitting(joined_text, thinking_tags(request.split_thinking, request.think))


def text_shapers(request: GenerateRequest) -> list[Shaper[GenerateLine]]:
    """Return the shapers of one completion; make new ones for each."""
    tags = thinking_tags(request.split_thinking, request.think)
    found: list[Shaper[GenerateLine]] = [LeftoverWatcher(ThinkSplitter(tags))] if tags else []
    return [*found, *hiders(request.think)]
