"""Talk to Ollama: one transport, blocking and asynchronous, for every framework."""

from typing import TYPE_CHECKING, Any

from ollama_transport.accounting.budget import Budget
from ollama_transport.accounting.ledger import LedgerSnapshot, ModelTotals, Price, UsageLedger
from ollama_transport.accounting.limits import Limits
from ollama_transport.accounting.meters import CallRecord, Meter
from ollama_transport.client.fields import ServerFields
from ollama_transport.client.listing import aget_models, get_models
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
from ollama_transport.settings.host import Endpoint, TimeoutLike, Timeouts, parse_host
from ollama_transport.settings.options import SamplingOptions, Think
from ollama_transport.settings.retry import RetryPolicy
from ollama_transport.settings.values import KeepAlive
from ollama_transport.version import __version__
from ollama_transport.wire.answers import (
    ChatLine,
    Embeddings,
    FetchAnswer,
    GenerateLine,
    ModelDetails,
    ModelSummary,
    Progress,
    RunningModel,
    SearchAnswer,
    SearchHit,
    ShowAnswer,
)
from ollama_transport.wire.calls import Call
from ollama_transport.wire.hooks import OnPull, OnToken
from ollama_transport.wire.messages import Message, ToolCall, ToolCallDelta
from ollama_transport.wire.overflow import ContextTruncatedWarning
from ollama_transport.wire.requests import (
    ChatRequest,
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    NamedTool,
    OverflowPolicy,
    ToolChoice,
    UnsupportedOptions,
)
from ollama_transport.wire.usage import Usage

if TYPE_CHECKING:
    from ollama_transport.client.clients import AsyncClient, Client

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
        from ollama_transport.client import clients as _client

        return getattr(_client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
