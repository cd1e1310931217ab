"""The part of the two clients that does no I/O, which they share."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Self, TypeVar, Unpack

import httpx

from ollama_transport.accounting.meters import Account
from ollama_transport.client.client_options import (
    ClientOptions,
    ClientSettings,
    check_alone,
    client_settings,
)
from ollama_transport.client.memory import tell_ollama
from ollama_transport.client.puller import pull_call, pull_turn
from ollama_transport.client.wires import WireChoice
from ollama_transport.concurrency.flights import Turn
from ollama_transport.errors import (
    ConfigError,
    ModelNotFoundError,
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    ProtocolError,
    RequestRejectedError,
    ServerBusyError,
    StatusError,
    StreamError,
)
from ollama_transport.net.content import waited_s
from ollama_transport.net.direct import build
from ollama_transport.net.errors import reading
from ollama_transport.net.pool import Pool, acquire
from ollama_transport.net.redirects import advice
from ollama_transport.net.standing import BODY_EXTENSION, ONCE_EXTENSION
from ollama_transport.settings.client_settings import Config, Settings
from ollama_transport.settings.host import CLOUD_URL, Timeouts, key_from_env
from ollama_transport.settings.retry import RetryPolicy
from ollama_transport.telemetry import active
from ollama_transport.wire.calls.any_decoder import without_bom
from ollama_transport.wire.calls.call import Call, Reader
from ollama_transport.wire.calls.lacks import REASONING_FIELDS
from ollama_transport.wire.calls.other_form import are_several, is_stream, whole_from_stream
from ollama_transport.wire.calls.said import empty_answer
from ollama_transport.wire.errors.mapping import answer_failure, status_error, tells_error
from ollama_transport.wire.errors.words import field_hint
from ollama_transport.wire.shaping.behind_v1 import bears_mark
from ollama_transport.wire.values.answers import Progress

logger = logging.getLogger("ollama_transport")

T = TypeVar("T")
H = TypeVar("H", httpx.Client, httpx.AsyncClient)


class BaseClient(WireChoice, Generic[H]):
    """Holds the settings of a client, builds its requests and reads its answers.

    Args:
        base_url: The server's address, in any form of OLLAMA_HOST; a suffix of ``/v1`` selects the
            OpenAI-compatible wire. None reads OLLAMA_HOST and OLLAMA_PORT at the first call.
        host: Another name of `base_url`.
        api_key: Sent as a Bearer token. None reads OLLAMA_API_KEY. Neither is sent over plain http
            to another machine, unless `allow_insecure_auth` is True.
        headers: Sent with every request; they override ours.
        timeout: Seconds of silence, ``(connect, read)``, `Timeouts`, or None for no limit.
        max_retries: Number of retries, before the first text of an answer only.
        retry: The whole retry policy, if `max_retries` is not enough.
        api: "native", "openai", or "auto" to choose by the URL.
        allow_insecure_auth: Allow the key to be sent unencrypted.
        max_answer_bytes: Limit for one answer, whole or streamed, in decoded bytes; a longer one
            is a ProtocolError.
        transport: An httpx transport to use instead of sockets; its creator closes it.
        http_client: An httpx client to use, with its own pool and timeouts; never closed here.
        client_kwargs: Further arguments for the httpx client (verify, cert, proxy, …), which may
            also be given directly.
        meters: Observers of each call that uses tokens: a UsageLedger, a Budget, ….
        limits: Limits of concurrent requests and of requests per minute; or ``httpx.Limits`` for
            the connections of the pool, as in `client_kwargs`.
        pull_missing: Pull a missing model, once for all concurrent calls, and continue; a failure
            is raised to all of them.
        on_pull: Called with each step of such a pull, as ``on_pull(progress)``, by the call that
            pulls.
        on_token: Called with each piece of text as it arrives, as ``on_token(text, is_thinking)``;
            a whole answer is one piece. An exception that it raises ends the call.
        count_tokens: Have the ``/tokenize`` of an OpenAI-compatible server (vLLM, llama.cpp) count
            the tokens of an answer without usage, by up to two more requests. If False, or without
            that endpoint, they are estimated.
        wire_streaming: Whether a whole answer is requested as a stream, whose lines are joined
            here: then the read timeout is the silence between two tokens. None is True on
            Ollama's own wire and False on /v1.
        reasoning_history: Whether the reasoning of earlier answers is sent with a history: "auto"
            as far as the server takes it, "never" or "always".
        telemetry: Whether calls are recorded with OpenTelemetry; None follows `instrument`.
        memory: What is known about the server, to be shared with another client.
        settings: All of the above as one checked value, instead of separate arguments.

    Raises:
        ConfigError: for settings that cannot work, before anything is sent.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        http_client: H | None = None,
        settings: ClientSettings | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        if http_client is not None:
            # Its own timeouts and transport apply; ours would silently have no effect.
            check_alone(options)
        if settings is None:
            settings = client_settings(_base_url(base_url, http_client), options)
        self.http_client: H | None = http_client
        self._take(settings)

    def _take(self, told: ClientSettings) -> None:
        self._told = told
        # Attributes, not properties: every call reads them.
        self._settings = told.server
        self.meters = told.meters
        self.limits = told.limits
        self.on_token = told.on_token
        self.memory = told.memory
        self._config: Config | None = None
        self._pool: Pool | None = None

    @property
    def settings(self) -> Settings:
        """Return the server settings of this client."""
        return self._settings

    @property
    def config(self) -> Config:
        """Return where requests go; the environment is read once, at the first use."""
        # Not at creation: programs make models before they load their environment (dotenv).
        if self._config is None:
            self._config = self._settings.config(os.environ)
        # Checked again, since the first answer may show that the server is an Ollama.
        if self.memory.is_ollama and self._config.wire == "openai" and self._settings.api == "auto":
            self._config = self._config.native()
        return self._config

    def web_client(self) -> Self | None:
        """Return a client of ollama.com for web searches; None without OLLAMA_API_KEY.

        Also None if this client's server is ollama.com already, or the caller's httpx client is in
        use.
        """
        # The caller's own httpx client is never bypassed: it may be a proxy or a test double.
        is_there = self.config.endpoint.is_cloud or self.http_client is not None
        if is_there or key_from_env(os.environ) is None:
            return None
        # Credentials of the own server are not sent to ollama.com.
        server = replace(
            self._settings, base_url=CLOUD_URL, api_key=None, credentials=None, headers=()
        )
        kwargs = self._told.kwargs.without_secrets()
        return type(self)(settings=ClientSettings(server, kwargs, self.meters, self.limits))

    @property
    def timeouts(self) -> Timeouts:
        """Return the timeouts of this client, in seconds."""
        return self._settings.timeouts

    @property
    def retry(self) -> RetryPolicy:
        """Return the retry policy of this client."""
        return self._settings.retry

    @property
    def max_answer_bytes(self) -> int:
        """Return the limit for one answer, in decoded bytes."""
        return self._settings.max_answer_bytes

    def account(self, call: Call[Any], *, streams: bool = False) -> Account:
        """Return the object that reports one call to the meters and to `on_token`."""
        telemetry = active(self._told.telemetry)
        if telemetry is None:
            return Account(self.meters, call, self.on_token)
        config = self.config
        trace = telemetry.trace(call, config.endpoint, config.wire, streams=streams)
        return Account(self.meters, call, self.on_token, trace)

    def joins(self, call: Call[Any]) -> bool:
        """Return whether the whole answer of a call is requested as a stream."""
        wanted = self._told.wire_streaming
        # Lines that cannot be merged (the steps of a pull) are not requested as a stream here.
        return call.join is not None and (call.streams_whole if wanted is None else wanted)

    def fitted(self, call: Call[T]) -> Call[T]:
        """Return a call without the parts that its server refuses, or that the user excluded."""
        never = self._told.reasoning_history == "never"
        refused = self.memory.refused(call.model)
        return call.without(refused | (REASONING_FIELDS if never else frozenset()))

    def instead(self, call: Call[T], error: OllamaError) -> Call[T] | None:
        """Return the call to send after a refusal; None raises the refusal."""
        names = call.refused(error)
        if self._told.reasoning_history == "always":
            # The caller wants the reasoning sent or an error, not an answer without it.
            names -= REASONING_FIELDS
        if names:
            return replace(call.without(names), left_out=call.left_out | names)
        other = call.recovered(error)
        # Only once: the other call is built from the request, and could recover the same way again.
        return None if other is None else replace(self.fitted(other), recover=None)

    def advise(self, call: Call[Any], error: OllamaError) -> None:
        """Name the option that a refusal is about, in its message."""
        # Its subclasses have advice of their own.
        if type(error) is RequestRejectedError and call.body is not None:
            hint = field_hint(error.error, call.body)
            error.args = (f"{error.args[0]} {hint}".rstrip(), *error.args[1:])

    def answered(self, call: Call[Any]) -> None:
        """Remember the parts that a call was answered without, after the server refused them."""
        # Not before the answer: the refusal may have been about something else.
        if call.left_out:
            self.memory.refuse(call.left_out, call.model, self.config.endpoint.url)

    def pull_turn(self, call: Call[Any]) -> Turn | None:
        """Return the claim to pull a call's model if it is missing; None if it is not pulled."""
        if not self._told.pull_missing or not call.pullable or call.model is None:
            return None
        return pull_turn(self.config.endpoint.url, call.model)

    def pull_call(self, missing: Call[Any]) -> Call[Progress]:
        """Return the call that pulls the model of a call."""
        model = missing.model if missing.model is not None else ""
        return pull_call(self.config.endpoint.url, model)

    def tell_pull(self, steps: Sequence[Progress]) -> None:
        """Report the steps of a pull to `on_pull`."""
        if self._told.on_pull is not None:
            for step in steps:
                self._told.on_pull(step)

    def wants_count(self, call: Call[Any], line: Any) -> bool:
        """Return whether to have the server count the tokens of the answer that this line ends."""
        # Only /v1 has this mark; Ollama's own wire needs no warning.
        stays = self.config.wire == "openai" and not self.may_be_ollama
        if stays and getattr(line, "done", False) and bears_mark(line):
            tell_ollama(self.config.endpoint.url)
        usage = getattr(line, "usage", None)
        missing = call.count is not None and usage is not None and usage.estimated
        return missing and self._told.count_tokens and self.memory.has_counter

    def note_uncounted(self, error: OllamaError) -> None:
        """Remember whether a failure to count tokens means that the server cannot count them."""
        # These may pass; any other failure means that the endpoint is missing.
        passing = (OllamaConnectionError, OllamaTimeoutError, ServerBusyError, StreamError)
        self.memory.note_counter(is_there=isinstance(error, passing))
        logger.debug("the tokens of an answer are estimated: %s", type(error).__name__)

    def url(self, call: Call[Any]) -> str:
        """Return the URL of a call, without credentials."""
        return self.config.endpoint.url_of(call.path)

    def request(self, http: H, call: Call[Any], content: Any) -> httpx.Request:
        """Return the request of a call, not sent."""
        headers = {"accept": "application/json, application/x-ndjson, text/event-stream"}
        if call.upload is None and content is not None:
            headers["content-type"] = "application/json"
        headers.update(self.config.headers)
        if "authorization" in http.headers and not self._settings.authenticates:
            # The caller's own httpx client takes precedence over the environment.
            headers.pop("authorization", None)
        # Tells the pool not to send it again on a new connection when a kept one turns out to be
        # dead.
        extensions = None if call.repeatable else {ONCE_EXTENSION: True}
        request = build(http, call.method, self.url(call), headers, content, extensions)
        if (telemetry := active(self._told.telemetry)) is not None:
            telemetry.add_headers(call, request.headers)
        if logger.isEnabledFor(logging.DEBUG):
            told = "" if call.model is None else f", model {call.model}"
            logger.debug("%s %s%s", call.method, self.url(call), told)
        return request

    def refusal(self, call: Call[Any], response: httpx.Response, body: bytes) -> StatusError:
        """Return (not raise) the error for a status that is not a success."""
        error = status_error(
            method=call.method,
            url=self.url(call),
            status=response.status_code,
            headers=response.headers,
            body=body,
            model=call.model,
            waited_s=waited_s(response),
        )
        if isinstance(error, ModelNotFoundError):
            # It was removed since it was chosen by default: the next call chooses again.
            self.memory.forget(call.model)
        error.args = (f"{error.args[0]} {advice(response, call.path)}".rstrip(),)
        return error

    def whole_answer(self, call: Call[T], data: bytes, headers: Mapping[str, str]) -> T:
        """Return the typed value of a whole answer's bytes."""
        data = without_bom(data)
        with reading(call.method, self.url(call), headers=headers):
            # As for copy, delete and blobs (wire reference 5.6 and 5.7).
            if call.may_be_empty and not data.strip():
                return call.read({})
            if not data.strip():
                raise empty_answer()
            # Some gateways stream although a whole answer was requested.
            # A list may hold vectors, and not events.
            if is_stream(data) and not (
                call.path == "/v1/embeddings" and data.lstrip()[:1] == b"["
            ):
                return whole_from_stream(call, data)
            try:
                raw = call.parse(data)
            except ProtocolError:
                if not are_several(data):
                    raise
                return whole_from_stream(call, data)
            if tells_error(raw):
                raise answer_failure(raw, openai="/v1/" in call.path)
            return call.read(raw)

    def new_reader(self, call: Call[T], *, joins: bool = False) -> Reader[T]:
        """Return the reader of one stream; ``joins`` is True if only the joined answer matters.

        Raises:
            ConfigError: when the endpoint does not stream.
        """
        if call.reader is None:
            raise ConfigError(f"{call.path} cannot be streamed: use `send` instead of `stream`.")
        joining = call.joining_reader if joins else None
        return call.reader() if joining is None else joining()

    def give_up(self, response: httpx.Response) -> None:
        """Mark the connection of an answer that has surplus bytes, so that it is not reused."""
        # The next answer on this connection would begin with these bytes.
        body = response.extensions.get(BODY_EXTENSION)
        if body is not None:  # None for the caller's own transport
            body.has_surplus = True

    def pool(self) -> Pool:
        """Return the pool, shared with clients of equal settings; made when first needed."""
        # After a fork the pool's sockets are the parent's: two processes would read each other's
        # answers.
        if self._pool is None or self._pool.is_foreign():
            self._pool = acquire(self._settings, self.config, self._told.kwargs, self)
        return self._pool

    def leave_pool(self) -> Pool | None:
        """Give up the pool and return it; None when there was none."""
        pool, self._pool = self._pool, None
        return pool

    def __getstate__(self) -> dict[str, Any]:
        if self.http_client is not None:
            raise TypeError(
                f"a {type(self).__name__} with your own http_client cannot be pickled: give "
                "settings (base_url, timeout, client_kwargs) instead."
            )
        return {"settings": self._told.for_pickle()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.http_client = None
        self._take(state["settings"])

    def __deepcopy__(self, _: object) -> Self:
        # Copies share limits and memory; a caller's httpx client cannot be copied.
        return type(self)(settings=self._told, http_client=self.http_client)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings.base_url!r})"


def _base_url(
    given: str | None, http_client: httpx.Client | httpx.AsyncClient | None
) -> str | None:
    if given is not None or http_client is None:
        return given
    url = str(http_client.base_url)
    return url if url else None
