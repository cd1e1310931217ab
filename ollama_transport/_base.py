"""What the two clients share: everything about them that is not I/O."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Self, TypeVar

import httpx

from ollama_transport._calls import Call, Reader
from ollama_transport._config import DEFAULT_TIMEOUTS, TimeoutLike, Timeouts
from ollama_transport._decoders import parse_object
from ollama_transport._error_map import status_error, stream_failure
from ollama_transport._errors import ConfigError, StatusError
from ollama_transport._http_errors import reading
from ollama_transport._limits import Limits
from ollama_transport._meters import Account, Meter
from ollama_transport._pool import Pool, acquire
from ollama_transport._retry import RetryPolicy
from ollama_transport._settings import (
    Api,
    ClientKwargs,
    Config,
    Secret,
    Settings,
    make_settings,
)

T = TypeVar("T")
H = TypeVar("H", httpx.Client, httpx.AsyncClient)


class BaseClient(Generic[H]):
    """Hold the settings of a client and read its answers.

    Args:
        base_url: Where the server is, in any form of OLLAMA_HOST; a suffix of ``/v1`` speaks the
            OpenAI-compatible wire. None asks OLLAMA_HOST and OLLAMA_PORT at the first call.
        api_key: Sent as a Bearer token. None asks OLLAMA_API_KEY. Neither travels over plain http
            to another machine, unless `allow_insecure_auth` says so.
        headers: Sent with every request; they win over ours.
        timeout: Seconds of silence, ``(connect, read)``, `Timeouts`, or None for no limit.
        max_retries: How often to try again before the first byte of an answer.
        retry: The whole retry policy, where `max_retries` is not enough.
        api: "native", "openai", or "auto" to go by the URL.
        allow_insecure_auth: Let the key travel in clear.
        transport: An httpx transport to use instead of sockets; whoever made it closes it.
        http_client: An httpx client to use, with its own pool and timeouts; never closed here.
        client_kwargs: Further arguments for the httpx client (verify, cert, proxy, …).
        meters: Who is told of each call that uses tokens: a UsageLedger, a Budget, ….
        limits: How many requests at once and a minute.
        settings: Checked settings, instead of all of those above from base_url on.

    Raises:
        ConfigError: for what cannot work, before anything is sent.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: Secret | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: TimeoutLike = DEFAULT_TIMEOUTS,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        api: Api = "auto",
        allow_insecure_auth: bool = False,
        transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None = None,
        http_client: H | None = None,
        client_kwargs: ClientKwargs | Mapping[str, Any] | None = None,
        meters: Sequence[Meter] = (),
        limits: Limits | None = None,
        settings: Settings | None = None,
    ) -> None:
        if http_client is not None:
            _check_alone(transport, client_kwargs, timeout)
        kwargs = _client_kwargs(client_kwargs, transport)
        self.http_client: H | None = http_client
        self._settings = (
            settings
            if settings is not None
            else make_settings(
                _base_url(base_url, http_client),
                api_key=api_key,
                headers=kwargs.lift_headers(headers),
                timeout=timeout,
                max_retries=max_retries,
                retry=retry,
                api=api,
                allow_insecure_auth=allow_insecure_auth,
            )
        )
        self._client_kwargs = kwargs
        self._config: Config | None = None
        self.meters = tuple(meters)
        self.limits = limits if limits is not None else Limits()
        self._pool: Pool | None = None

    @property
    def settings(self) -> Settings:
        """Return what this client was told."""
        return self._settings

    @property
    def config(self) -> Config:
        """Return where requests go; the environment is read once, at the first use."""
        if self._config is None:
            self._config = self._settings.config(os.environ)
        return self._config

    @property
    def timeouts(self) -> Timeouts:
        """Return the waits of this client, in seconds."""
        return self._settings.timeouts

    @property
    def retry(self) -> RetryPolicy:
        """Return when this client tries again."""
        return self._settings.retry

    def account(self, call: Call[Any]) -> Account:
        """Return what follows one call from its beginning to its end."""
        return Account(self.meters, call)

    def url(self, call: Call[Any]) -> str:
        """Return where a call goes, without credentials."""
        return self.config.endpoint.url + call.path

    def request(self, http: H, call: Call[Any], content: Any) -> httpx.Request:
        """Return the request of a call, not sent."""
        headers = {"accept": "application/json, application/x-ndjson, text/event-stream"}
        if call.upload is None and content is not None:
            headers["content-type"] = "application/json"
        headers.update(self.config.headers)
        if "authorization" in http.headers and not self._settings.authenticates:
            # What the caller's own httpx client sends goes before what the environment says.
            headers.pop("authorization", None)
        return http.build_request(call.method, self.url(call), headers=headers, content=content)

    def refusal(self, call: Call[Any], response: httpx.Response, body: bytes) -> StatusError:
        """Return (not raise) the error for an answer that is none."""
        return status_error(
            method=call.method,
            url=self.url(call),
            status=response.status_code,
            headers=response.headers,
            body=body,
            model=call.model,
        )

    def whole_answer(self, call: Call[T], data: bytes) -> T:
        """Return the typed value of a whole answer's bytes."""
        with reading(call.method, self.url(call)):
            if call.may_be_empty and not data.strip():
                return call.read({})
            raw = parse_object(data)
            if "error" in raw:
                raise stream_failure(raw)
            return call.read(raw)

    def new_reader(self, call: Call[T]) -> Reader[T]:
        """Return the memory of one stream.

        Raises:
            ConfigError: when the endpoint does not stream.
        """
        if call.reader is None:
            raise ConfigError(f"{call.path} does not stream: send the call instead.")
        return call.reader()

    def pool(self) -> Pool:
        """Return the connections, shared with clients of equal settings; made on first need."""
        if self._pool is None or self._pool.is_foreign():
            self._pool = acquire(self._settings, self.config, self._client_kwargs, self)
        return self._pool

    def leave_pool(self) -> Pool | None:
        """Return the pool, which this client uses no longer; None when it used none."""
        pool, self._pool = self._pool, None
        return pool

    def __getstate__(self) -> dict[str, Any]:
        if self.http_client is not None:
            raise TypeError(
                f"a {type(self).__name__} with an http_client of yours cannot be pickled: give "
                "settings (base_url, timeout, client_kwargs) instead."
            )
        kept = self._client_kwargs.without_secrets()
        lost = kept is not self._client_kwargs
        settings = self._settings.after_pickle() if lost else self._settings
        return {
            "settings": settings,
            "client_kwargs": kept,
            "meters": self.meters,
            "limits": self.limits,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(
            http_client=None,
            _settings=state["settings"],
            _client_kwargs=state["client_kwargs"],
            meters=state["meters"],
            limits=state["limits"],
            _config=None,
            _pool=None,
        )

    def __deepcopy__(self, _: object) -> Self:
        return type(self)(
            settings=self._settings,
            http_client=self.http_client,
            client_kwargs=self._client_kwargs,
            meters=self.meters,
            limits=self.limits,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings.base_url!r})"


def _base_url(
    given: str | None, http_client: httpx.Client | httpx.AsyncClient | None
) -> str | None:
    if given is not None or http_client is None:
        return given
    url = str(http_client.base_url)
    return url if url else None


def _check_alone(transport: object, client_kwargs: object, timeout: object) -> None:
    others = {
        "transport": transport is not None,
        "client_kwargs": bool(client_kwargs),
        "timeout": timeout is not DEFAULT_TIMEOUTS,
    }
    if any(others.values()):
        names = " and ".join(name for name, given in others.items() if given)
        raise ConfigError(f"an http_client brings its own {names}: set that there instead.")


def _client_kwargs(
    given: ClientKwargs | Mapping[str, Any] | None,
    transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None,
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
