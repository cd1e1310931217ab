"""Talk to Ollama: one transport, blocking and asynchronous, for every framework."""

from typing import TYPE_CHECKING, Any

from ollama_transport._answers import (
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
from ollama_transport._budget import Budget
from ollama_transport._calls import Call
from ollama_transport._config import Endpoint, TimeoutLike, Timeouts, parse_host
from ollama_transport._errors import (
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
from ollama_transport._hooks import OnPull, OnToken
from ollama_transport._ledger import LedgerSnapshot, ModelTotals, Price, UsageLedger
from ollama_transport._limits import Limits
from ollama_transport._listing import aget_models, get_models
from ollama_transport._messages import Message, ToolCall, ToolCallDelta
from ollama_transport._meters import CallRecord, Meter
from ollama_transport._model import ServerFields
from ollama_transport._options import SamplingOptions, Think
from ollama_transport._overflow import ContextTruncatedWarning
from ollama_transport._requests import (
    ChatRequest,
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    NamedTool,
    OverflowPolicy,
    ToolChoice,
    UnsupportedOptions,
)
from ollama_transport._retry import RetryPolicy
from ollama_transport._usage import Usage
from ollama_transport._values import KeepAlive
from ollama_transport._version import __version__

if TYPE_CHECKING:
    from ollama_transport._client import AsyncClient, Client

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
        from ollama_transport import _client

        return getattr(_client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
