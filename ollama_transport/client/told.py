"""What a client was told: the keywords of its constructor, and the one checked value of them."""

from collections.abc import Mapping, Sequence
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
from ollama_transport.wire.hooks import OnPull, OnToken

if TYPE_CHECKING:
    import httpx


class ClientOptions(TypedDict, total=False):
    """Keyword arguments of `Client` and `AsyncClient`; see there for what each means."""

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
    limits: Limits | None
    pull_missing: bool
    on_pull: OnPull | None
    on_token: OnToken | None
    count_tokens: bool
    memory: ServerMemory | None


_OF_SERVER = (
    "api_key",
    "timeout",
    "max_retries",
    "retry",
    "api",
    "allow_insecure_auth",
    "max_answer_bytes",
)
_OF_CONDUCT = ("pull_missing", "on_pull", "on_token", "count_tokens")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Everything a client was told, checked: its server, its httpx client, and its conduct."""

    server: Settings
    kwargs: ClientKwargs = field(default_factory=ClientKwargs)
    meters: tuple[Meter, ...] = ()
    limits: Limits = field(default_factory=Limits)
    pull_missing: bool = False
    on_pull: OnPull | None = None
    on_token: OnToken | None = None
    count_tokens: bool = True
    memory: ServerMemory = field(default_factory=ServerMemory)

    def for_pickle(self) -> "ClientSettings":
        """Return the settings without what may be secret among the arguments for httpx."""
        kept = self.kwargs.without_secrets()
        if kept is self.kwargs:
            return self
        return replace(self, kwargs=kept, server=self.server.after_pickle())


def client_settings(base_url: str | None, options: ClientOptions) -> ClientSettings:
    """Return what the keywords of a constructor say.

    Raises:
        ConfigError: for what cannot work, and for a keyword that there is not.
    """
    for name in options:
        if name not in ClientOptions.__annotations__:
            raise unknown_name("argument of a client", name, ClientOptions.__annotations__)
    kwargs = _joined(options.get("client_kwargs"), options.get("transport"))
    server = make_settings(
        base_url,
        headers=kwargs.lift_headers(options.get("headers")),
        **_given(options, _OF_SERVER),
    )
    limits, memory = options.get("limits"), options.get("memory")
    return ClientSettings(
        server,
        kwargs,
        tuple(options.get("meters", ())),
        limits if limits is not None else Limits(),
        memory=memory if memory is not None else ServerMemory(),
        **_given(options, _OF_CONDUCT),
    )


def _given(options: ClientOptions, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}


def check_alone(options: ClientOptions) -> None:
    """Refuse what an httpx client of the caller's own decides.

    Raises:
        ConfigError: naming what to set on that client instead.
    """
    names = [name for name in ("transport", "client_kwargs") if options.get(name)]
    names += ["timeout"] if "timeout" in options else []
    if names:
        raise ConfigError(
            f"an http_client brings its own {' and '.join(names)}: set that there instead."
        )


def _joined(
    given: ClientKwargs | Mapping[str, Any] | None,
    transport: "httpx.BaseTransport | httpx.AsyncBaseTransport | None",
) -> ClientKwargs:
    parts = (
        (given.both, given.sync, given.asynchronous)
        if isinstance(given, ClientKwargs)
        else (given,)
    )
    kwargs = ClientKwargs(*parts)
    if transport is None:
        return kwargs
    if kwargs.both.get("transport") is not None:
        raise ConfigError("give `transport` or client_kwargs['transport'], not both.")
    return ClientKwargs({**kwargs.both, "transport": transport}, kwargs.sync, kwargs.asynchronous)
