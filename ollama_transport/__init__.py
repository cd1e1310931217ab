"""Talk to Ollama: one transport, blocking and asynchronous, for every framework.

Programs for ollama-python run with ``import ollama_transport as ollama``: `Client`, `AsyncClient`,
the functions (`chat`, `generate`, `embed`, …, which share one client) and `ResponseError` have the
same names, arguments and attributes.
"""

from typing import TYPE_CHECKING, Any

from ollama_transport.accounting import (
    Budget,
    CallRecord,
    LedgerSnapshot,
    Limits,
    Meter,
    ModelTotals,
    Price,
    UsageLedger,
)
from ollama_transport.client import ServerFields, aget_models, get_models
from ollama_transport.error_texts import ErrorResponse
from ollama_transport.errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigError,
    ContextOverflowError,
    EmptyAnswerError,
    ModelNotFoundError,
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    ProtocolError,
    RequestRejectedError,
    ResponseError,
    ServerBusyError,
    ServerError,
    StatusError,
    StreamError,
    StreamFailedError,
    StreamTruncatedError,
    ToolCallMissingError,
    TransportError,
    UnsupportedCapabilityError,
    UnsupportedContentError,
    UnsupportedOptionError,
)
from ollama_transport.lazy import lazy_name as _lazy_name
from ollama_transport.peer_names import (
    ChatResponse,
    EmbeddingsResponse,
    EmbedResponse,
    GenerateResponse,
    ListResponse,
    Options,
    ProcessResponse,
    ProgressResponse,
    RequestError,
    ShowResponse,
    StatusResponse,
    Tool,
    WebFetchResponse,
    WebSearchResponse,
)
from ollama_transport.settings import (
    Endpoint,
    KeepAlive,
    RetryPolicy,
    SamplingOptions,
    Think,
    TimeoutLike,
    Timeouts,
    parse_host,
)
from ollama_transport.telemetry import instrument, uninstrument
from ollama_transport.version import __version__
from ollama_transport.wire import (
    Call,
    ChatLine,
    ChatRequest,
    ContextTruncatedWarning,
    CreateRequest,
    EmbeddingArray,
    Embeddings,
    EmbedRequest,
    FetchAnswer,
    GenerateLine,
    GenerateRequest,
    Image,
    Message,
    MissingCall,
    ModelDetails,
    ModelSummary,
    NamedTool,
    OnlyThoughtsWarning,
    OnPull,
    OnToken,
    OverflowPolicy,
    Progress,
    RunningModel,
    SchemaNotEnforcedWarning,
    SearchAnswer,
    SearchHit,
    ShowAnswer,
    TextRun,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolChoiceIgnoredWarning,
    UnreadToolCallWarning,
    UnsupportedOptions,
    Usage,
)

if TYPE_CHECKING:
    import builtins

    from ollama_transport.client import AsyncClient, Client
    from ollama_transport.client.default import chat as chat
    from ollama_transport.client.default import copy as copy
    from ollama_transport.client.default import create as create
    from ollama_transport.client.default import delete as delete
    from ollama_transport.client.default import embed as embed
    from ollama_transport.client.default import embeddings as embeddings
    from ollama_transport.client.default import generate as generate
    from ollama_transport.client.default import list as list
    from ollama_transport.client.default import ps as ps
    from ollama_transport.client.default import pull as pull
    from ollama_transport.client.default import push as push
    from ollama_transport.client.default import show as show
    from ollama_transport.client.default import systemone as systemone
    from ollama_transport.client.default import web_fetch as web_fetch
    from ollama_transport.client.default import web_search as web_search
    from ollama_transport.wire.values.systemone import (
        SystemOneAnswer,
        SystemOneChoiceAnswer,
        SystemOneChoiceQuestion,
        SystemOneContent,
        SystemOneNoulAnswer,
        SystemOneNoulQuestion,
        SystemOneQuestion,
        SystemOneResponse,
        SystemOneScoreAnswer,
        SystemOneScoreQuestion,
        SystemOneUsage,
    )

__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "Budget",
    "BudgetExceededError",
    "Call",
    "CallRecord",
    "ChatLine",
    "ChatRequest",
    "ChatResponse",
    "Client",
    "ConfigError",
    "ContextOverflowError",
    "ContextTruncatedWarning",
    "CreateRequest",
    "EmbedRequest",
    "EmbedResponse",
    "EmbeddingArray",
    "Embeddings",
    "EmbeddingsResponse",
    "EmptyAnswerError",
    "Endpoint",
    "ErrorResponse",
    "FetchAnswer",
    "GenerateLine",
    "GenerateRequest",
    "GenerateResponse",
    "Image",
    "KeepAlive",
    "LedgerSnapshot",
    "Limits",
    "ListResponse",
    "Message",
    "Meter",
    "MissingCall",
    "ModelDetails",
    "ModelNotFoundError",
    "ModelSummary",
    "ModelTotals",
    "NamedTool",
    "OllamaConnectionError",
    "OllamaError",
    "OllamaTimeoutError",
    "OnPull",
    "OnToken",
    "OnlyThoughtsWarning",
    "Options",
    "OverflowPolicy",
    "Price",
    "ProcessResponse",
    "Progress",
    "ProgressResponse",
    "ProtocolError",
    "RequestError",
    "RequestRejectedError",
    "ResponseError",
    "RetryPolicy",
    "RunningModel",
    "SamplingOptions",
    "SchemaNotEnforcedWarning",
    "SearchAnswer",
    "SearchHit",
    "ServerBusyError",
    "ServerError",
    "ServerFields",
    "ShowAnswer",
    "ShowResponse",
    "StatusError",
    "StatusResponse",
    "StreamError",
    "StreamFailedError",
    "StreamTruncatedError",
    "SystemOneAnswer",
    "SystemOneChoiceAnswer",
    "SystemOneChoiceQuestion",
    "SystemOneContent",
    "SystemOneNoulAnswer",
    "SystemOneNoulQuestion",
    "SystemOneQuestion",
    "SystemOneResponse",
    "SystemOneScoreAnswer",
    "SystemOneScoreQuestion",
    "SystemOneUsage",
    "TextRun",
    "Think",
    "TimeoutLike",
    "Timeouts",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallMissingError",
    "ToolChoice",
    "ToolChoiceIgnoredWarning",
    "TransportError",
    "UnreadToolCallWarning",
    "UnsupportedCapabilityError",
    "UnsupportedContentError",
    "UnsupportedOptionError",
    "UnsupportedOptions",
    "Usage",
    "UsageLedger",
    "WebFetchResponse",
    "WebSearchResponse",
    "__version__",
    "aget_models",
    "get_models",
    "instrument",
    "parse_host",
    "uninstrument",
]


# Not in `__all__`: a star import would replace the builtin `list`.
_FUNCTIONS = (
    *("chat", "copy", "create", "delete", "embed", "embeddings", "generate", "list"),
    *("ps", "pull", "push", "show", "systemone", "web_fetch", "web_search"),
)


def __getattr__(name: str) -> Any:
    # Importing the clients imports httpx, which takes 40 ms: done at first use.
    if name in ("AsyncClient", "Client"):
        return _lazy_name("ollama_transport.client", name)
    if name in _FUNCTIONS:
        return _lazy_name("ollama_transport.client.default", name)
    if name.startswith("SystemOne"):
        return _lazy_name("ollama_transport.wire.values.systemone", name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> "builtins.list[str]":
    return sorted([*__all__, *_FUNCTIONS])
