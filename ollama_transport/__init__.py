"""Talk to Ollama: one transport, blocking and asynchronous, for every framework."""

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
from ollama_transport.errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigError,
    ContextOverflowError,
    ErrorResponse,
    ModelNotFoundError,
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    ProtocolError,
    RequestRejectedError,
    ServerBusyError,
    ServerError,
    StatusError,
    StreamError,
    StreamFailedError,
    StreamTruncatedError,
    TransportError,
    UnsupportedCapabilityError,
    UnsupportedContentError,
    UnsupportedOptionError,
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
from ollama_transport.version import __version__
from ollama_transport.wire import (
    Call,
    ChatLine,
    ChatRequest,
    ContextTruncatedWarning,
    CreateRequest,
    Embeddings,
    EmbedRequest,
    FetchAnswer,
    GenerateLine,
    GenerateRequest,
    Message,
    ModelDetails,
    ModelSummary,
    NamedTool,
    OnPull,
    OnToken,
    OverflowPolicy,
    Progress,
    RunningModel,
    SearchAnswer,
    SearchHit,
    ShowAnswer,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    UnsupportedOptions,
    Usage,
)

if TYPE_CHECKING:
    from ollama_transport.client import AsyncClient, Client

__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "Budget",
    "BudgetExceededError",
    "Call",
    "CallRecord",
    "ChatLine",
    "ChatRequest",
    "Client",
    "ConfigError",
    "ContextOverflowError",
    "ContextTruncatedWarning",
    "CreateRequest",
    "EmbedRequest",
    "Embeddings",
    "Endpoint",
    "ErrorResponse",
    "FetchAnswer",
    "GenerateLine",
    "GenerateRequest",
    "KeepAlive",
    "LedgerSnapshot",
    "Limits",
    "Message",
    "Meter",
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
    "OverflowPolicy",
    "Price",
    "Progress",
    "ProtocolError",
    "RequestRejectedError",
    "RetryPolicy",
    "RunningModel",
    "SamplingOptions",
    "SearchAnswer",
    "SearchHit",
    "ServerBusyError",
    "ServerError",
    "ServerFields",
    "ShowAnswer",
    "StatusError",
    "StreamError",
    "StreamFailedError",
    "StreamTruncatedError",
    "Think",
    "TimeoutLike",
    "Timeouts",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "TransportError",
    "UnsupportedCapabilityError",
    "UnsupportedContentError",
    "UnsupportedOptionError",
    "UnsupportedOptions",
    "Usage",
    "UsageLedger",
    "__version__",
    "aget_models",
    "get_models",
    "parse_host",
]


def __getattr__(name: str) -> Any:
    # The clients bring httpx, 40 ms of import that a program pays at its first call instead.
    if name in ("AsyncClient", "Client"):
        from ollama_transport import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
