"""Requests and answers as values, and the pure functions between them and bytes."""

from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.calls.overflow import ContextTruncatedWarning
from ollama_transport.wire.calls.said import OnlyThoughtsWarning
from ollama_transport.wire.openai.lacks import SchemaNotEnforcedWarning
from ollama_transport.wire.shaping.missing_call import ToolChoiceIgnoredWarning
from ollama_transport.wire.shaping.salvage import UnreadToolCallWarning
from ollama_transport.wire.values.answers import (
    ChatLine,
    Embeddings,
    GenerateLine,
    ModelDetails,
    ModelSummary,
    Progress,
    RunningModel,
    ShowAnswer,
)
from ollama_transport.wire.values.hooks import OnPull, OnToken
from ollama_transport.wire.values.images import Image
from ollama_transport.wire.values.messages import Message, ToolCall, ToolCallDelta
from ollama_transport.wire.values.requests import (
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
from ollama_transport.wire.values.text_run import TextRun
from ollama_transport.wire.values.usage import Usage
from ollama_transport.wire.values.vectors import EmbeddingArray
from ollama_transport.wire.values.web_answers import FetchAnswer, SearchAnswer, SearchHit

__all__ = [
    "Call",
    "ChatLine",
    "ChatRequest",
    "ContextTruncatedWarning",
    "CreateRequest",
    "EmbedRequest",
    "EmbeddingArray",
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
    "SchemaNotEnforcedWarning",
    "SearchAnswer",
    "SearchHit",
    "ShowAnswer",
    "TextRun",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolChoiceIgnoredWarning",
    "UnreadToolCallWarning",
    "UnsupportedOptions",
    "Usage",
]
