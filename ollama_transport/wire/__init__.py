"""Requests and answers as values, and the pure functions between them and bytes."""

from ollama_transport.wire.answers import (
    ChatLine,
    Embeddings,
    GenerateLine,
    ModelDetails,
    ModelSummary,
    Progress,
    RunningModel,
    ShowAnswer,
)
from ollama_transport.wire.calls import Call
from ollama_transport.wire.hooks import OnPull, OnToken
from ollama_transport.wire.images import Image
from ollama_transport.wire.messages import Message, ToolCall, ToolCallDelta
from ollama_transport.wire.missing_call import ToolChoiceIgnoredWarning
from ollama_transport.wire.overflow import ContextTruncatedWarning
from ollama_transport.wire.requests import (
    ChatRequest,
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    MissingCall,
    NamedTool,
    OverflowPolicy,
    ToolChoice,
    UnsupportedOptions,
)
from ollama_transport.wire.said import OnlyThoughtsWarning
from ollama_transport.wire.salvage import UnreadToolCallWarning
from ollama_transport.wire.usage import Usage
from ollama_transport.wire.web_answers import FetchAnswer, SearchAnswer, SearchHit

__all__ = [
    "Call",
    "ChatLine",
    "ChatRequest",
    "ContextTruncatedWarning",
    "CreateRequest",
    "EmbedRequest",
    "Embeddings",
    "FetchAnswer",
    "GenerateLine",
    "GenerateRequest",
    "Image",
    "Message",
    "MissingCall",
    "ModelDetails",
    "ModelSummary",
    "NamedTool",
    "OnPull",
    "OnToken",
    "OnlyThoughtsWarning",
    "OverflowPolicy",
    "Progress",
    "RunningModel",
    "SearchAnswer",
    "SearchHit",
    "ShowAnswer",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolChoiceIgnoredWarning",
    "UnreadToolCallWarning",
    "UnsupportedOptions",
    "Usage",
]
