"""Remove unrequested reasoning from answers, whole and streamed."""

from dataclasses import replace

from ollama_transport.wire.calls.call import Shaper
from ollama_transport.wire.values.answers import ChatLine, GenerateLine
from ollama_transport.wire.values.requests import ChatRequest, GenerateRequest


class _ChatHider:
    """Removes the reasoning from the lines of a chat."""

    def push(self, line: ChatLine) -> ChatLine:
        """Return the line without its reasoning; ``raw`` keeps what came."""
        if not line.thinking:
            return line
        return replace(line, message=replace(line.message, thinking=""))


class _GenerateHider:
    """Removes the reasoning from the lines of a completion."""

    def push(self, line: GenerateLine) -> GenerateLine:
        """Return the line without its reasoning; ``raw`` keeps what came."""
        return replace(line, thinking="") if line.thinking else line


def chat_hiders(request: ChatRequest) -> list[Shaper[ChatLine]]:
    """Return the shaper that hides the reasoning of a chat with ``think=False``; [] otherwise.

    Some models reason anyway, gpt-oss among them (ollama issues 11751 and 12837).
    """
    return [_ChatHider()] if request.think is False else []


def text_hiders(request: GenerateRequest) -> list[Shaper[GenerateLine]]:
    """Same as `chat_hiders`, for a completion."""
    return [_GenerateHider()] if request.think is False else []
