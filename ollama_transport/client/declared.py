"""Declarations of the fields for a server and for the behaviour of its clients."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ollama_transport.accounting.budget import Budget
from ollama_transport.accounting.ledger import UsageLedger
from ollama_transport.settings.bounds import MAX_ANSWER_BYTES
from ollama_transport.settings.client_settings import Api
from ollama_transport.settings.host import DEFAULT_TIMEOUTS, Timeouts
from ollama_transport.settings.retry import (
    DEFAULT_LOADING_MAX_WAIT_S,
    DEFAULT_MAX_RETRIES,
    DEFAULT_MAX_WAIT_S,
)
from ollama_transport.wire.calls.lacks import ReasoningHistory
from ollama_transport.wire.values.hooks import OnPull, OnToken
from ollama_transport.wire.values.requests import UnsupportedOptions


class DeclaredFields(BaseModel):
    """The fields of `ServerFields`, which adds their behaviour."""

    # Validators are built at first use: at import, every program would wait for them.
    model_config = ConfigDict(arbitrary_types_allowed=True, defer_build=True)

    base_url: str | None = Field(
        default=None,
        description="The server's address, in any form of OLLAMA_HOST; a suffix of /v1 selects the "
        "OpenAI-compatible wire. None reads OLLAMA_HOST and OLLAMA_PORT at the first call; without "
        "them it is 127.0.0.1:11434. user:password@ becomes Basic auth.",
    )
    api: Api = Field(
        default="auto",
        description='The wire: "native" (/api), "openai" (/v1), or "auto" to choose by the URL.',
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="Sent as a Bearer token. None reads OLLAMA_API_KEY at the first call. Never "
        "sent unencrypted to another machine, unless allow_insecure_auth is True.",
    )
    headers: dict[str, str] | None = Field(
        default=None,
        repr=False,
        description="Headers for every request. Those that authenticate are moved to "
        "secret_headers, so that no dump, trace or pickle shows them.",
    )
    # Excluded, since dumps end up in traces and configuration files.
    secret_headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        exclude=True,
        repr=False,
        description="Headers that authenticate; moved here from `headers` and client_kwargs.",
    )
    credentials: SecretStr | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="user:password for Basic auth; moved here from base_url.",
    )
    timeout: Timeouts | float | tuple[float | None, ...] | None = Field(
        default=DEFAULT_TIMEOUTS,
        description="Longest silence in seconds (default 300, since the first byte arrives after "
        "the model is loaded; 5 to connect), (connect, read), or None for no limit.",
    )
    max_retries: int = Field(
        default=DEFAULT_MAX_RETRIES,
        ge=0,
        description="Number of retries, before the first text of an answer only.",
    )
    retry_max_wait_s: float = Field(
        default=DEFAULT_MAX_WAIT_S,
        ge=0,
        description="Longest total wait between the tries of one call, in seconds.",
    )
    loading_max_wait_s: float = Field(
        default=DEFAULT_LOADING_MAX_WAIT_S,
        ge=0,
        description="Longest wait for a server that answers that it is loading the model (503), "
        "in seconds; no wait with max_retries=0.",
    )
    allow_insecure_auth: bool = Field(
        default=False, description="Allow a key to be sent over plain http to another machine."
    )
    max_answer_bytes: int = Field(
        default=MAX_ANSWER_BYTES,
        gt=0,
        description="Limit for one answer in bytes, whole or streamed; more is a ProtocolError.",
    )
    # Not in the repr: they may contain keys (auth, cookies, params).
    client_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="Arguments for the httpx clients, blocking and asynchronous: verify, cert, "
        "proxy, transport, ….",
    )
    sync_client_kwargs: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="The same, for the blocking client only."
    )
    async_client_kwargs: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="The same, for the asynchronous client only."
    )
    secrets_lost: bool = Field(
        default=False,
        exclude=True,
        repr=False,
        description="True if this object was loaded from a pickle that omitted secrets.",
    )

    # Excluded: objects with locks, and functions, have no form in JSON.
    ledger: UsageLedger | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="Counts every call; one ledger may serve any number of models.",
    )
    budget: Budget | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="Forbids calls once its allowance is used; one budget may serve many models.",
    )
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="Limit of requests begun in any minute; None means none."
    )
    max_concurrency: int | None = Field(
        default=None, ge=1, description="Limit of concurrent requests; None means none."
    )

    pull_missing: bool = Field(
        default=False,
        description="Pull a model that the server does not have, once for all concurrent calls, "
        "and continue.",
    )
    on_pull: OnPull | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="Called as on_pull(progress) with each step of such a pull, by the call that "
        "pulls, in its thread or event loop.",
    )
    on_token: OnToken | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="Called as on_token(text, is_thinking) with each piece of text as it arrives, "
        "in the thread or event loop of the call; a whole answer is one piece. An exception that "
        "it raises ends the call.",
    )
    count_tokens: bool = Field(
        default=True,
        description="Have the /tokenize of an OpenAI-compatible server count the tokens of an "
        "answer without usage, by up to two more requests. If False, or without that endpoint, "
        "they are estimated (Usage.estimated).",
    )
    wire_streaming: bool | None = Field(
        default=None,
        description="Whether a whole answer is requested as a stream, whose pieces are joined "
        "here: then `timeout` is the silence between two tokens, and no proxy sees a silent "
        "connection. False requests it unstreamed; None is True on Ollama's own wire and False "
        "on /v1.",
    )
    reasoning_history: ReasoningHistory = Field(
        default="auto",
        description='Whether the reasoning of earlier answers is sent with a history: "auto" as '
        'far as the server takes it (what it refuses is left out of a second try), "never", or '
        '"always".',
    )
    telemetry: bool | None = Field(
        default=None,
        description="Whether calls are recorded with OpenTelemetry (extra `otel`): True and False "
        "decide for this model, None follows `ollama_transport.instrument`.",
    )
    unsupported_options: UnsupportedOptions = Field(
        default="error",
        description="What to do about options that OpenAI-compatible servers do not take (num_ctx, "
        'keep_alive, …): "error" names the option, "drop" leaves it out.',
    )
    extra_body: dict[str, Any] | None = Field(
        default=None,
        description="Further top-level fields of every request, sent unchanged: those that only "
        "one kind of server reads.",
    )
