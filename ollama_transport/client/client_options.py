"""The constructor arguments of a client: as keywords, and as one checked value."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict

from ollama_transport.accounting.limits import Limits
from ollama_transport.accounting.meters import Meter
from ollama_transport.client.memory import ServerMemory
from ollama_transport.errors import ConfigError
from ollama_transport.settings.client_settings import (
    Api,
    ClientKwargs,
    Secret,
    Settings,
    make_settings,
)
from ollama_transport.settings.host import TimeoutLike
from ollama_transport.settings.options import unknown_name
from ollama_transport.settings.retry import RetryPolicy
from ollama_transport.wire.calls.lacks import ReasoningHistory, checked_history
from ollama_transport.wire.values.hooks import OnPull, OnToken

if TYPE_CHECKING:
    import httpx


class HttpxOptions(TypedDict, total=False):
    """Arguments for httpx, given directly as to ollama-python, or in ``client_kwargs``."""

    auth: Any
    cert: Any
    cookies: Any
    default_encoding: Any
    event_hooks: Any
    follow_redirects: bool
    http1: bool
    http2: bool
    max_redirects: int
    mounts: Any
    params: Any
    proxy: Any
    trust_env: bool
    verify: Any


class ClientOptions(HttpxOptions, total=False):
    """Keyword arguments of `Client` and `AsyncClient`; see `BaseClient` for their meaning."""

    host: str | None
    api_key: Secret | None
    headers: Mapping[str, str] | None
    timeout: TimeoutLike
    max_retries: int | None
    retry: RetryPolicy | None
    api: Api
    allow_insecure_auth: bool
    max_answer_bytes: int
    transport: "httpx.BaseTransport | httpx.AsyncBaseTransport | None"
    client_kwargs: ClientKwargs | Mapping[str, Any] | None
    meters: Sequence[Meter]
    limits: "Limits | httpx.Limits | None"
    pull_missing: bool
    on_pull: OnPull | None
    on_token: OnToken | None
    count_tokens: bool
    wire_streaming: bool | None
    reasoning_history: ReasoningHistory
    telemetry: bool | None
    memory: ServerMemory | None


_FOR_HTTPX = tuple(HttpxOptions.__annotations__)
_OF_SERVER = (
    *("api_key", "timeout", "max_retries", "retry"),
    *("api", "allow_insecure_auth", "max_answer_bytes"),
)
OF_CONDUCT = (
    *("pull_missing", "on_pull", "on_token", "count_tokens"),
    *("wire_streaming", "reasoning_history", "telemetry"),
)
"""The settings for the behaviour of a client beyond sending calls."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The checked arguments of a client: its server, its httpx client, and its behaviour."""

    server: Settings
    kwargs: ClientKwargs = field(default_factory=ClientKwargs)
    meters: tuple[Meter, ...] = ()
    limits: Limits = field(default_factory=Limits)
    pull_missing: bool = False
    on_pull: OnPull | None = None
    on_token: OnToken | None = None
    count_tokens: bool = True
    wire_streaming: bool | None = None
    reasoning_history: ReasoningHistory = "auto"
    telemetry: bool | None = None
    memory: ServerMemory = field(default_factory=ServerMemory)

    def __post_init__(self) -> None:
        checked_history(self.reasoning_history)

    @property
    def key(self) -> Hashable:
        """Return a key that is equal for equal settings, whatever their limits and memory.

        Meters and functions are compared by identity, so it is valid as long as these settings
        live.
        """
        called = tuple(id(one) for one in (*self.meters, self.on_pull, self.on_token))
        conduct = (
            getattr(self, name) for name in OF_CONDUCT if name not in ("on_pull", "on_token")
        )
        return self.server, self.kwargs.key, called, tuple(conduct)

    def for_pickle(self) -> "ClientSettings":
        """Return the settings without httpx arguments that may be secret."""
        kept = self.kwargs.without_secrets()
        if kept is self.kwargs:
            return self
        return replace(self, kwargs=kept, server=self.server.after_pickle())


def client_settings(base_url: str | None, options: ClientOptions) -> ClientSettings:
    """Return the keywords of a constructor as checked settings.

    Raises:
        ConfigError: for settings that cannot work, and for an unknown keyword.
    """
    for name in options:
        if name not in ClientOptions.__annotations__:
            raise unknown_name("argument of a client", name, ClientOptions.__annotations__)
    kwargs = _joined(options.get("client_kwargs"), _for_httpx(options))
    server = make_settings(
        _one_url(base_url, options.get("host")),
        headers=kwargs.lift_headers(options.get("headers")),
        **_given(options, _OF_SERVER),
    )
    limits, memory = options.get("limits"), options.get("memory")
    return ClientSettings(
        server,
        kwargs,
        tuple(options.get("meters", ())),
        limits if isinstance(limits, Limits) else Limits(),
        memory=memory if memory is not None else ServerMemory(),
        **_given(options, OF_CONDUCT),
    )


def _given(options: ClientOptions, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}


def check_alone(options: ClientOptions) -> None:
    """Refuse options that conflict with a caller's own httpx client.

    Raises:
        ConfigError: naming the options to set on that client instead.
    """
    names = [name for name in ("transport", "client_kwargs", *_FOR_HTTPX) if options.get(name)]
    names += ["timeout"] if "timeout" in options else []
    if names:
        raise ConfigError(
            f"http_client has its own {' and '.join(names)}: set that on your client instead."
        )


def _one_url(base_url: str | None, host: str | None) -> str | None:
    if base_url is not None and host is not None:
        raise ConfigError("`host` is another name of `base_url`: give only one of them.")
    return host if base_url is None else base_url


def _for_httpx(options: ClientOptions) -> dict[str, Any]:
    given = _given(options, _FOR_HTTPX)
    for name in ("transport", "limits"):
        value = options.get(name)
        if value is not None and not isinstance(value, Limits):
            given[name] = value
    limits = given.get("limits")
    if limits is not None and not type(limits).__module__.startswith("httpx"):
        raise ConfigError(f"invalid limits {limits!r}: give Limits, or httpx.Limits for the pool.")
    return given


def _joined(
    given: ClientKwargs | Mapping[str, Any] | None, named: Mapping[str, Any]
) -> ClientKwargs:
    parts = (
        (given.both, given.sync, given.asynchronous)
        if isinstance(given, ClientKwargs)
        else (given,)
    )
    kwargs = ClientKwargs(*parts)
    # Neither of two values for one argument is the obvious one.
    for name in named:
        if kwargs.both.get(name) is not None:
            raise ConfigError(f"give `{name}` or client_kwargs[{name!r}], not both.")
    return ClientKwargs({**kwargs.both, **named}, kwargs.sync, kwargs.asynchronous)
