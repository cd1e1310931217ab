"""What happens to the lines of a chat on their way to the caller, the same on both wires."""

from collections.abc import Sequence

from ollama_transport.wire.answers import ChatLine, GenerateLine
from ollama_transport.wire.arguments import turn
from ollama_transport.wire.calls import Shaper
from ollama_transport.wire.forced import CallShaper, FirstCallShaper
from ollama_transport.wire.hidden import chat_hiders, text_hiders
from ollama_transport.wire.requests import ChatRequest, GenerateRequest
from ollama_transport.wire.salvage import (
    CallSalvager,
    CallWatcher,
    ForcedCallFinder,
    forced_tools,
    tool_schemas,
)
from ollama_transport.wire.thinking import ThinkSplitter, thinking_tags


def chat_shapers(request: ChatRequest, written: Sequence[str] = ()) -> list[Shaper[ChatLine]]:
    """Return what reads one answer, in this order; made anew for each.

    ``written`` are the names of the tools that the model is held to write as constrained text.
    """
    found: list[Shaper[ChatLine]] = []
    if tags := thinking_tags(request.split_thinking, request.think):
        found.append(ThinkSplitter(tags))
    if written:
        found.append(CallShaper(written, turn(request.messages)))
    forced = forced_tools(request)
    if request.tools and request.tool_choice != "none":
        tools = tool_schemas(request.tools)
        # A call that was asked for is one, however it is written.
        salvages = request.salvage_tool_calls or forced
        found.append(CallSalvager(tools) if salvages else CallWatcher(tools, request.model))
    if forced:
        found.append(ForcedCallFinder(forced))
    if request.parallel_tool_calls is False:
        found.append(FirstCallShaper())
    # Last: calls are found among the thoughts too.
    return [*found, *chat_hiders(request)]


def text_shapers(request: GenerateRequest) -> list[Shaper[GenerateLine]]:
    """Return what reads one completion; made anew for each."""
    tags = thinking_tags(request.split_thinking, request.think)
    splitters: list[Shaper[GenerateLine]] = [ThinkSplitter(tags)] if tags else []
    return [*splitters, *text_hiders(request)]
