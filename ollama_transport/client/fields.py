"""The fields that every model class has: its server, and the lifetime of its clients."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_serializer,
    model_validator,
)

from ollama_transport.accounting.budget import Budget
from ollama_transport.accounting.ledger import UsageLedger
from ollama_transport.client.arguments import (
    check_names,
    part_secrets,
    plain_kwargs,
    validation_error,
)
from ollama_transport.client.pair import Clients, Recipe
from ollama_transport.client.resolved import DECIDING, Resolved
from ollama_transport.client.told import OF_CONDUCT, ClientSettings
from ollama_transport.errors import ConfigError
from ollama_transport.settings.bounds import MAX_ANSWER_BYTES
from ollama_transport.settings.client_settings import (
    Api,
    ClientKwargs,
    Settings,
    make_settings,
    split_credentials,
)
from ollama_transport.settings.host import DEFAULT_TIMEOUTS, Timeouts
from ollama_transport.settings.retry import (
    DEFAULT_LOADING_MAX_WAIT_S,
    DEFAULT_MAX_RETRIES,
    DEFAULT_MAX_WAIT_S,
    RetryPolicy,
)
from ollama_transport.settings.secrets import public_kwargs
from ollama_transport.wire.hooks import OnPull, OnToken
from ollama_transport.wire.lacks import ReasoningHistory
from ollama_transport.wire.requests import UnsupportedOptions

if TYPE_CHECKING:
    from ollama_transport.client.clients import AsyncClient, Client

_KWARGS = ("client_kwargs", "sync_client_kwargs", "async_client_kwargs")
REQUESTS_AT_ONCE = 4
"""Concurrent requests of one call, where `max_concurrency` is not set."""

_DECIDING_MORE = frozenset(DECIDING) - {"base_url"}
_OF_OWN_CLIENTS = (
    "ledger",
    "budget",
    "pull_missing",
    "on_pull",
    "on_token",
    "requests_per_minute",
    "wire_streaming",
    "telemetry",
)


class ServerFields(BaseModel):
    """Fields of a model class that say where the server is and how to reach it.

    A mixin for pydantic models. Creating one does no I/O and reads no environment. Its clients are
    made at the first call, shared between models of equal settings, and closed by `close`,
    `aclose`, a ``with`` block, or when the last model that uses them is gone. Pickles contain no
    secrets: OLLAMA_API_KEY is read again where they are loaded.

    Raises:
        ConfigError: for a wrong or unknown argument; it names the argument and shows no secret.
    """

    base_url: str | None = Field(
        default=None,
        description="The server's address, in any form of OLLAMA_HOST; a suffix of /v1 selects the "
        "OpenAI-compatible wire. None reads OLLAMA_HOST and OLLAMA_PORT at the first call, and is "
        "127.0.0.1:11434 without them. user:password@ becomes Basic auth.",
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
    timeout: Timeouts | float | tuple[float | None, float | None] | None = Field(
        default=DEFAULT_TIMEOUTS,
        description="Longest silence in seconds (default 300, since the first byte arrives after "
        "the model is loaded; 5 to connect), (connect, read), or None for no limit.",
    )
    max_retries: int = Field(
        default=DEFAULT_MAX_RETRIES,
        ge=0,
        description="Number of retries, before the first byte of an answer only.",
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

    _clients: Clients = PrivateAttr(default_factory=Clients)
    _resolved: Resolved = PrivateAttr(default_factory=Resolved)

    # Validators are built at the first use: at import they would cost every program that only
    # imports.
    model_config = ConfigDict(arbitrary_types_allowed=True, defer_build=True)

    def __init__(self, **data: Any) -> None:
        check_names(type(self), data)
        try:
            super().__init__(**data)
        except ValidationError as error:
            # `from None`: pydantic's error contains the inputs, and with them keys.
            raise validation_error(type(self).__name__, error) from None

    @model_validator(mode="before")
    @classmethod
    def _part_secrets(cls, data: Any) -> Any:
        return part_secrets(data) if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _check_server(self) -> Self:
        # Beside defaults only the URL needs a check: the first call makes the settings.
        if self._has_defaults_alone():
            split_credentials(self.base_url)
        else:
            self.server_settings()
        return self

    def _has_defaults_alone(self) -> bool:
        given = _DECIDING_MORE & self.__pydantic_fields_set__
        fields = type(self).__pydantic_fields__
        return all(self.__dict__[name] is fields[name].default for name in given)

    @field_serializer("api_key")
    def _hide(self, _: SecretStr | None) -> None:
        return None

    @field_serializer("client_kwargs", "sync_client_kwargs", "async_client_kwargs")
    def _plain_kwargs(self, value: dict[str, Any]) -> dict[str, Any]:
        return plain_kwargs(value)

    @property
    def requests_at_once(self) -> int:
        """Return the number of concurrent requests of one call."""
        return REQUESTS_AT_ONCE if self.max_concurrency is None else self.max_concurrency

    def server_settings(self) -> Settings:
        """Return the checked settings of the clients.

        Raises:
            ConfigError: for settings that cannot work.
        """
        return self._recipe().settings.server

    def _made_settings(self) -> Settings:
        secret = {name: value.get_secret_value() for name, value in self.secret_headers.items()}
        settings = make_settings(
            self.base_url,
            api_key=self.api_key,
            credentials=self.credentials,
            headers={**(self.headers if self.headers is not None else {}), **secret},
            timeout=self.timeout,
            retry=RetryPolicy(
                self.max_retries,
                self.retry_max_wait_s,
                loading_max_wait_s=self.loading_max_wait_s,
            ),
            api=self.api,
            allow_insecure_auth=self.allow_insecure_auth,
            max_answer_bytes=self.max_answer_bytes,
        )
        return settings.after_pickle() if self.secrets_lost else settings

    def sync_client(self) -> "Client":
        """Return the blocking client, made when first needed."""
        return self._own_clients().sync(self._recipe())

    def async_client(self) -> "AsyncClient":
        """Return the asynchronous client, made when first needed."""
        return self._own_clients().asynchronous(self._recipe())

    def use_clients(
        self, sync: "Client | None" = None, asynchronous: "AsyncClient | None" = None
    ) -> None:
        """Use these clients instead of the model's own; their creator closes them.

        Raises:
            ConfigError: for a field of this model that only its own clients would heed.
        """
        for name in _OF_OWN_CLIENTS:
            # False is a decision for these two, and the default of the others.
            unset = (None,) if name in ("wire_streaming", "telemetry") else (None, False)
            if getattr(self, name) not in unset:
                raise ConfigError(f"Set {name} on the client you passed, not on the model.")
        self._clients = Clients(sync, asynchronous)

    def chosen_model(self, capability: str = "completion") -> str | None:
        """Return the model that was chosen by default, without I/O; None before the first call."""
        memories = self._clients.memories(self._recipe())
        chosen = (memory.default(capability) for memory in memories)
        return next((name for name in chosen if name is not None), None)

    def request_fields(self) -> dict[str, Any]:
        """Return the fields that every request of this model has."""
        extra = {} if self.extra_body is None else dict(self.extra_body)
        return {"extra": extra, "unsupported_options": self.unsupported_options}

    def _recipe(self) -> Recipe:
        # Cached until a field changes: parsing them costs as much as the rest of a short call.
        private = self.__pydantic_private__
        resolved: Resolved = self._resolved if private is None else private["_resolved"]
        return resolved.get(self.__dict__, self._made_recipe)

    def _own_clients(self) -> Clients:
        # pydantic's way to a private attribute costs more than what is done with it here.
        private = self.__pydantic_private__
        clients: Clients = self._clients if private is None else private["_clients"]
        return clients

    def _made_recipe(self) -> Recipe:
        settings = ClientSettings(
            self._made_settings(),
            ClientKwargs(self.client_kwargs, self.sync_client_kwargs, self.async_client_kwargs),
            tuple(meter for meter in (self.ledger, self.budget) if meter is not None),
            **{name: getattr(self, name) for name in OF_CONDUCT},
        )
        return Recipe(settings, self.max_concurrency, self.requests_per_minute)

    def close(self) -> None:
        """Close the connections that no other model uses; the next call opens new ones."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the connections that no other model uses; the next call opens new ones."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __getstate__(self) -> dict[Any, Any]:
        state: dict[Any, Any] = dict(super().__getstate__())
        fields = state["__dict__"]
        # Some fields may be missing: llama-index drops those that cannot be pickled.
        kwargs = {name: fields[name] for name in _KWARGS if name in fields}
        public = {name: public_kwargs(given) for name, given in kwargs.items()}
        # The mark turns a bare 401 in another process into an error that names the cause.
        lost = bool(self.api_key or self.credentials or self.secret_headers or self.secrets_lost)
        state["__dict__"] = fields | {
            "api_key": None,
            "credentials": None,
            "secret_headers": {},
            "secrets_lost": lost or any(len(public[name]) < len(kwargs[name]) for name in kwargs),
            **public,
        }
        return state
