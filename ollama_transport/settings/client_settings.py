"""The settings of a client as a value; the environment is read only when a call is made."""

import functools
import logging
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import SecretStr

from ollama_transport.errors import ConfigError
from ollama_transport.settings.bounds import MAX_ANSWER_BYTES, check_max_bytes
from ollama_transport.settings.host import (
    DEFAULT_TIMEOUTS,
    Endpoint,
    TimeoutLike,
    Timeouts,
    Wire,
    basic_auth,
    endpoint_from_env,
    key_from_env,
    parse_host,
)
from ollama_transport.settings.retry import RetryPolicy
from ollama_transport.settings.secrets import is_secret_header, public_kwargs
from ollama_transport.settings.values import check_mapping
from ollama_transport.version import __version__

Api = Literal["auto", "native", "openai"]
Secret = str | SecretStr

logger = logging.getLogger("ollama_transport")

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


def reveal(secret: Secret | None) -> str | None:
    """Return the text of a secret; None if it is empty."""
    # An unset variable in a template leaves an empty text.
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    return text if text else None


@dataclass(frozen=True, slots=True)
class Config:
    """Settings combined with the environment: where to send, and which headers."""

    endpoint: Endpoint
    headers: Mapping[str, str] = field(repr=False)
    wire: Wire

    def native(self) -> "Config":
        """Return a copy for Ollama's own wire."""
        return replace(self, wire="native")


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of a client, without the environment.

    Equal settings share one pool of connections. Pickles do not contain secrets (`api_key`,
    credentials of the URL and headers that authenticate); OLLAMA_API_KEY is read again after
    unpickling.

    Raises:
        ConfigError: for an invalid host, a key that would be sent unencrypted, or two ways to
            authenticate at once.
    """

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    credentials: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    api: Api = "auto"
    allow_insecure_auth: bool = False
    max_answer_bytes: int = MAX_ANSWER_BYTES
    lost_secrets: bool = False

    def __post_init__(self) -> None:
        ways = [
            name
            for name, given in (
                ("api_key", self.api_key is not None),
                ("user:password in base_url", self.credentials is not None),
                ("an Authorization header", self._has_header("authorization")),
            )
            if given
        ]
        if len(ways) > 1:
            raise ConfigError(f"give one way to authenticate, not {' and '.join(ways)}.")
        self._check_headers()
        check_max_bytes(self.max_answer_bytes)
        if self.api not in ("auto", "native", "openai"):
            raise ConfigError(f'api={self.api!r}: give "auto", "native" or "openai".')
        if self.base_url is not None:
            self._check_key(parse_host(self.base_url))

    @property
    def authenticates(self) -> bool:
        """Return whether the settings authenticate by themselves, without the environment."""
        given = self.api_key is not None or self.credentials is not None
        return given or self._has_header("authorization")

    def _check_headers(self) -> None:
        # httpx would refuse these as well, but its message would show the secret.
        check_header("api_key", self.api_key)
        for name, value in self.headers:
            if not _HEADER_NAME.fullmatch(name):
                raise ConfigError(f"{name!r} is not a valid header name.")
            check_header(f"the header {name}", value)

    def _has_header(self, name: str) -> bool:
        return any(key == name for key, _ in self.headers)

    def _check_key(self, endpoint: Endpoint) -> None:
        if self.api_key is None or self.allow_insecure_auth or endpoint.is_private_enough:
            return
        raise ConfigError(
            f"the api_key would be sent unencrypted to {endpoint.url}: use https, or set "
            "allow_insecure_auth=True if you trust that network."
        )

    def config(self, environ: Mapping[str, str]) -> Config:
        """Return where to send and which headers, after adding the environment.

        OLLAMA_API_KEY is used if nothing else authenticates, and only if it would be sent
        encrypted or stay on this machine.

        Raises:
            ConfigError: for an invalid OLLAMA_HOST, a key that would be sent unencrypted, or
                secrets lost in pickling that the environment does not replace.
        """
        endpoint = (
            endpoint_from_env(environ) if self.base_url is None else parse_host(self.base_url)
        )
        endpoint = endpoint if self.api == "auto" else endpoint.speaking(self.api)
        # Checked again: the target of OLLAMA_HOST is known only now.
        self._check_key(endpoint)
        credentials = self.credentials if self.credentials is not None else endpoint.credentials
        # The caller's headers come last, to override ours.
        headers = {"user-agent": f"ollama-ext/{__version__}", **dict(self.headers)}
        if "authorization" not in headers:
            headers.update(self._authorization(environ, endpoint, credentials))
        return Config(endpoint, headers, self._wire(endpoint))

    def _authorization(
        self, environ: Mapping[str, str], endpoint: Endpoint, credentials: str | None
    ) -> dict[str, str]:
        if self.api_key is not None:
            return {"authorization": f"Bearer {self.api_key}"}
        # Before the environment: what the caller sets takes precedence.
        if credentials is not None:
            return {"authorization": basic_auth(credentials)}
        key = key_from_env(environ)
        if key is not None and (endpoint.is_private_enough or self.allow_insecure_auth):
            check_header("OLLAMA_API_KEY", key)
            return {"authorization": f"Bearer {key}"}
        if key is not None:
            _tell_key_unsent(endpoint.url)
        if self.lost_secrets:
            raise ConfigError(
                "this object was pickled, and pickles contain no secrets: set OLLAMA_API_KEY in "
                "this process, or create the object here."
            )
        return {}

    def _wire(self, endpoint: Endpoint) -> Wire:
        if self.api != "auto":
            return self.api
        return endpoint.wire if endpoint.wire is not None else "native"

    def after_pickle(self) -> "Settings":
        """Return the same settings, marked as having lost secrets."""
        return replace(self, lost_secrets=True)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in self.__slots__}
        headers = tuple(pair for pair in self.headers if not is_secret_header(pair[0]))
        lost = self.api_key is not None or self.credentials is not None or headers != self.headers
        return kept | {
            "api_key": None,
            "credentials": None,
            "headers": headers,
            "lost_secrets": self.lost_secrets or lost,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            # Frozen, so this is the only way in.
            object.__setattr__(self, name, value)

    def __deepcopy__(self, _: object) -> "Settings":
        return self  # immutable; and a copy inside the process keeps its secrets


def check_header(name: str, value: object) -> None:
    """Refuse an invalid header value; the value is not shown, since it may be secret.

    Raises:
        ConfigError: for anything but text of printable ASCII characters.
    """
    if value is not None and not (isinstance(value, str) and _HEADER_VALUE.fullmatch(value)):
        raise ConfigError(
            f"{name} cannot be sent as a header: it must be text of printable ASCII characters, "
            "without a line end."
        )


def checked_headers(value: object) -> Mapping[str, Any]:
    """Return the given headers; {} for None.

    Raises:
        ConfigError: for anything but a mapping with text keys.
    """
    headers = check_mapping("headers", value)
    for name in headers:
        if not isinstance(name, str):
            raise ConfigError(f"{name!r} is not a valid header name.")
    return headers


@functools.cache
def _tell_key_unsent(url: str) -> None:
    # Cached, so that it is logged once per server and not with each call.
    logger.warning(
        "OLLAMA_API_KEY is not sent to %s, since it would be unencrypted: use https, or set "
        "allow_insecure_auth=True if you trust that network.",
        url,
    )


def make_settings(
    base_url: str | None = None,
    *,
    api_key: Secret | None = None,
    credentials: Secret | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: TimeoutLike = DEFAULT_TIMEOUTS,
    max_retries: int | None = None,
    retry: RetryPolicy | None = None,
    api: Api = "auto",
    allow_insecure_auth: bool = False,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
) -> Settings:
    """Return settings from a user's arguments; userinfo is removed from the URL.

    Raises:
        ConfigError: see `Settings`.
    """
    clean, found = split_credentials(base_url)
    policy = retry if retry is not None else RetryPolicy()
    given = checked_headers(headers)
    return Settings(
        base_url=clean,
        api_key=reveal(api_key),
        credentials=found if found is not None else reveal(credentials),
        headers=tuple(
            # Sorted and in lower case, since equal settings share connections.
            sorted((name.lower(), value) for name, value in given.items() if value is not None)
        ),
        timeouts=Timeouts.of(timeout),
        retry=policy if max_retries is None else replace(policy, max_retries=max_retries),
        api=api,
        allow_insecure_auth=allow_insecure_auth,
        max_answer_bytes=max_answer_bytes,
    )


def split_credentials(base_url: str | None) -> tuple[str | None, str | None]:
    """Return a base URL without its userinfo, and the userinfo; (None, None) without a URL.

    None and "" both mean that there is no URL.

    Raises:
        ConfigError: for an invalid URL.
    """
    given: object = base_url
    if given is not None and not isinstance(given, str):
        raise ConfigError(
            f"base_url is a {type(given).__name__}: give text, such as 'http://127.0.0.1:11434'."
        )
    if base_url is None or not base_url.strip():
        return None, None
    endpoint = parse_host(base_url)
    if endpoint.credentials is None:
        return base_url, None
    # Keep the suffix that selects the wire; `endpoint.url` has none.
    suffix = {"openai": "/v1", "native": "/api", None: ""}[endpoint.wire]
    suffix = "/chat/completions" if endpoint.is_root else suffix
    return endpoint.url + suffix, endpoint.credentials


class ClientKwargs:
    """Arguments passed to httpx unchanged: for both clients, or for the sync or async one."""

    def __init__(
        self,
        both: Mapping[str, Any] | None = None,
        sync: Mapping[str, Any] | None = None,
        asynchronous: Mapping[str, Any] | None = None,
    ) -> None:
        parts = (check_mapping("client_kwargs", part) for part in (both, sync, asynchronous))
        self.both, self.sync, self.asynchronous = (_without_address(part) for part in parts)

    def __bool__(self) -> bool:
        return bool(self.both or self.sync or self.asynchronous)

    @property
    def key(self) -> Hashable:
        """Return a key that compares plain values by value, other objects by identity.

        An identity is valid only as long as these arguments live.
        """
        parts = (self.both, self.sync, self.asynchronous)
        return tuple(
            tuple((name, _comparable(part[name])) for name in sorted(part)) for part in parts
        )

    def lift_headers(self, more: Mapping[str, str] | None) -> dict[str, str]:
        """Remove the headers for both clients; return them merged with ``more``, which wins."""
        lifted = checked_headers(self.both.pop("headers", None))
        return {
            n.lower(): value
            for part in (lifted, checked_headers(more))
            for n, value in part.items()
        }

    def parameter_names(self) -> set[str]:
        """Return the names of the query parameters sent with every request."""
        given = [
            part["params"]
            for part in (self.both, self.sync, self.asynchronous)
            if part.get("params")
        ]
        if not given:
            return set()
        import httpx  # imported here: creating settings does not need httpx

        return {name for params in given for name in httpx.QueryParams(params)}

    def without_secrets(self) -> "ClientKwargs":
        """Return the arguments that may be pickled; self if all of them may."""
        parts = (self.both, self.sync, self.asynchronous)
        kept = [public_kwargs(part) for part in parts]
        return self if kept == list(parts) else ClientKwargs(*kept)


def _comparable(value: object) -> Hashable:
    plain = isinstance(value, str | bytes | int | float | bool | None)
    return (type(value), value) if plain else (type(value), id(value))


def _without_address(given: Mapping[str, Any]) -> dict[str, Any]:
    # httpx would send to this address instead of ours.
    if "base_url" in given:
        raise ConfigError(
            "client_kwargs must not contain base_url: give base_url=… beside client_kwargs."
        )
    return dict(given)
