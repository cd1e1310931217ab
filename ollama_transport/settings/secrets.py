"""Detect secrets, and keep them out of errors, logs and pickles."""

import logging
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

# Every gateway uses its own header name, and hiding one header too many does little harm.
_SECRET = re.compile(
    "auth|cookie|credential|jwt|key|passw|secret|session|signature|token", re.IGNORECASE
)
SECRET_KWARGS = frozenset({"auth", "cert", "cookies", "headers", "mounts", "params", "proxy"})
"""Arguments of httpx that may contain a secret."""

HIDDEN = "***"
_WORD = re.compile(r"[^\s;,=]{3,}")
_SCHEMES = frozenset({"Basic", "Bearer", "Digest", "Token"})
_SHORTEST_HIDDEN = 3
"""Shorter texts occur in too many others to be replaced."""


def is_secret_header(name: str) -> bool:
    """Return whether a header may contain a secret, judging by its name."""
    return _SECRET.search(name) is not None


def public_kwargs(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of httpx without those that may contain a secret."""
    return {name: value for name, value in kwargs.items() if name not in SECRET_KWARGS}


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text with each secret replaced by ``***``."""
    # The longest first, since one secret may contain another.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_HIDDEN:
            text = text.replace(secret, HIDDEN)
    return text


def disarm(error: BaseException) -> None:
    """Remove everything from an httpx error except its class and message, without secrets.

    The error holds the live request: its headers, its URL with a key in the query, and frames with
    both in their variables. Python sets it as the context of the error raised for it, even with
    `from None`, so leaving it out of the cause is not enough.
    """
    error.args = tuple(hide(str(part), secrets_of(error)) for part in error.args[:1])
    error.__dict__.clear()
    error.__traceback__ = error.__cause__ = error.__context__ = None
    if hasattr(type(error), "request"):
        error.request = None  # type: ignore[attr-defined]  # reading it then raises RuntimeError


def secrets_of(error: BaseException) -> set[str]:
    """Return the secrets in the request of an httpx error; empty without a request."""
    request = getattr(error, "_request", None)
    if request is None:
        return set()
    headers = [value for name, value in request.headers.items() if is_secret_header(name)]
    # "Bearer KEY", "sid=KEY; path=/": a message may show the key alone.
    words = [word for value in headers for word in _WORD.findall(value) if word not in _SCHEMES]
    words += [word for value in headers for word in _basic(value)]
    query = [value for _, value in request.url.params.multi_items()]
    userinfo = [request.url.username, request.url.password]
    return {text for text in (*headers, *words, *query, *userinfo) if text}


def _basic(value: str) -> list[str]:
    """Return user and password from a Basic auth header; [] for other headers."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        return b64decode(encoded).decode("utf-8", "replace").split(":", 1)
    except ValueError:
        return []


class _UrlFilter(logging.Filter):
    """Hides the values of a client's query parameters in the log records of httpx."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep each record, with the values in its URLs hidden."""
        if isinstance(record.args, tuple):
            record.args = tuple(self._shown(argument) for argument in record.args)
        return True

    def _shown(self, argument: object) -> object:
        params = getattr(argument, "params", None)
        if params is None or self.names.isdisjoint(params):
            return argument
        pairs = [(n, HIDDEN if n in self.names else v) for n, v in params.multi_items()]
        return argument.copy_with(params=pairs)  # type: ignore[attr-defined]  # an httpx.URL


_URLS = _UrlFilter()


def hide_in_logs(names: Iterable[str]) -> None:
    """Hide the values of these query parameters in the httpx log from now on.

    httpx logs the whole URL of each request at level INFO.
    """
    _URLS.names |= set(names)
    if _URLS.names:
        # Adding it twice has no effect.
        logging.getLogger("httpx").addFilter(_URLS)
