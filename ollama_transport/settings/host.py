"""The server's address, keys and timeouts: pure functions that take the environment as an argument.

Hosts follow Ollama's own rules (wire reference 8.4), with two additions for a client: unspecified
addresses become loopback ones, since not every system can connect to 0.0.0.0, and an invalid host
is an error instead of a silent localhost.
"""

import ipaddress
import math
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import unquote

from ollama_transport.errors import ConfigError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 11434
CLOUD_HOST = "ollama.com"
CLOUD_URL = f"https://{CLOUD_HOST}"
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 300.0
"""The first byte comes after the model is loaded (wire reference 1.14), which takes minutes."""

ACCEPTED_HOSTS = (
    "accepted are HOST, HOST:PORT, :PORT, http://HOST[:PORT][/PATH], https://HOST[:PORT][/PATH], "
    "[IPV6]:PORT, and USER:PASSWORD@ before the host of a URL"
)

Wire = Literal["native", "openai"]

_MAX_NAME, _MAX_LABEL = 253, 63  # RFC 1035, section 2.3.4
_MAX_PORT_DIGITS = 20  # leading zeros included; int() refuses texts of thousands of digits
_SCHEMES = {"http": 80, "https": 443}
# Otherwise `http:/host` would be a host named "http" with a path.
_LACKS_COLON_SLASHES = re.compile(r"^https?(?::/|//)", re.IGNORECASE)
# Endpoints that people paste instead of a base URL.
_PASTED = re.compile(
    r"/chat/completions$|"
    r"(?<=/v\d)/(?:chat|completions|embeddings|models|responses|messages|rerank|audio/\w{1,20})$|"
    r"(?<=/api)/(?:chat|generate|embed|embeddings|tags)$"
)
_HOST = re.compile(r"^(?:[\w.-]+|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\])$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address, parsed.

    ``path`` is the prefix before ``/api`` or ``/v1``, without a trailing slash; ``credentials`` is
    ``user:password`` from the URL, not shown in the repr; ``wire`` is the one that a suffix of
    ``/v1`` or ``/api`` selects, or None. ``is_root`` is True if the path itself is the root of an
    OpenAI-compatible API, such as ``/v3``, without ``/v1`` below it.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    credentials: str | None = field(default=None, repr=False)
    wire: Wire | None = None
    is_root: bool = False

    def speaking(self, api: Wire) -> "Endpoint":
        """Return the endpoint for an explicit wire: a given path is then the root of the API."""
        is_root = api == "openai" and self.wire is None and bool(self.path)
        return replace(self, wire=api, is_root=True) if is_root else self

    def url_of(self, path: str) -> str:
        """Return the URL of a path of either wire, such as ``/v1/models``."""
        return self.url + (path.removeprefix("/v1") if self.is_root else path)

    @property
    def url(self) -> str:
        """Return the URL that paths are appended to: no credentials, no trailing slash."""
        return f"{self.scheme}://{self.host}:{self.port}{self.path}"

    @property
    def is_loopback(self) -> bool:
        """Return whether data sent there stays on this machine."""
        bare = self.host.strip("[]").partition("%")[0]
        # RFC 6761 reserves both kinds of name for loopback.
        if bare == "localhost" or bare.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(bare).is_loopback
        except ValueError:
            return False

    @property
    def is_private_enough(self) -> bool:
        """Return whether a secret may be sent there: encrypted, or without leaving this machine."""
        return self.scheme == "https" or self.is_loopback

    @property
    def is_cloud(self) -> bool:
        """Return whether this is ollama.com rather than a self-hosted server."""
        return self.host == CLOUD_HOST or self.host.endswith("." + CLOUD_HOST)


def parse_host(text: str, *, default_port: int | None = None) -> Endpoint:
    """Parse an OLLAMA_HOST or a base URL.

    Empty text means 127.0.0.1:11434. ``default_port`` replaces the scheme's default port if the
    text has no port.

    Raises:
        ConfigError: for an invalid text; the message lists the accepted forms.

    ```python
    from ollama_transport import parse_host

    print(parse_host("gpu.example.org:11434"))
    ```
    """
    # The same text is parsed several times for each model. Not kept if it holds a password.
    parse = _parsed if "@" in text else _parsed_once
    return parse(text, default_port)


def _parsed(text: str, default_port: int | None) -> Endpoint:
    # Quotes come from .env files; the server removes them as well (wire reference 8.4).
    cleaned = text.strip().strip("\"'").strip()
    scheme, port, rest = _split_scheme(cleaned)
    port = port if default_port is None else default_port
    authority, slash, path = rest.partition("/")
    # Split at the last @, since a password may contain one.
    userinfo, _, host_port = authority.rpartition("@")
    host, given_port = _split_port(host_port, cleaned)
    prefix, wire, is_root = _split_suffix((slash + path).rstrip("/"), cleaned)
    return Endpoint(
        scheme=scheme,
        host=_connectable(host, cleaned),
        port=port if given_port is None else given_port,
        path=prefix,
        credentials=unquote(userinfo) if userinfo else None,
        wire=wire,
        is_root=is_root,
    )


_parsed_once = lru_cache(maxsize=256)(_parsed)


def _split_scheme(text: str) -> tuple[str, int, str]:
    scheme, separator, rest = text.partition("://")
    if not separator:
        if _LACKS_COLON_SLASHES.match(text):
            raise _not_understood(text, "scheme", text)
        # Only the exact name of the cloud means https without a scheme (wire reference 8.4).
        return ("https", 443, text) if text == CLOUD_HOST else ("http", DEFAULT_PORT, text)
    port = _SCHEMES.get(scheme.lower())
    if port is None:
        raise _not_understood(text, "scheme", scheme)
    return scheme.lower(), port, rest


def _split_port(text: str, whole: str) -> tuple[str, int | None]:
    if text.count(":") > 1 and not text.startswith("["):
        return f"[{text}]", None  # an IPv6 address without brackets has no port
    bracket = text.rfind("]")
    colon = text.find(":", bracket + 1)
    if colon == -1:
        return text, None
    host, port = text[:colon], text[colon + 1 :]
    if not port:
        return host, None
    # Ollama would silently use its default port here (wire reference 8.4).
    if not _is_port(port):
        raise _not_understood(whole, "port", port)
    return host, int(port)


def _is_port(text: str) -> bool:
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_PORT_DIGITS
    return is_number and 0 < int(text) <= 65535


def _connectable(host: str, whole: str) -> str:
    if not host:
        return DEFAULT_HOST
    if not _HOST.match(host):
        raise _not_understood(whole, "host", host)
    if host.startswith("["):
        return _connectable_ipv6(host, whole)
    _check_name(host, whole)
    # A server may listen on it, but Windows cannot connect to it (wire reference 8.4).
    return DEFAULT_HOST if host == "0.0.0.0" else host.lower()


def _check_name(host: str, whole: str) -> None:
    """Refuse a name that DNS cannot resolve: its labels have 1 to 63 characters."""
    labels = host.removesuffix(".").split(".")
    if len(host) > _MAX_NAME or not all(0 < len(label) <= _MAX_LABEL for label in labels):
        raise _not_understood(whole, "host", host)
    if host.lower().startswith("xn--"):
        import idna  # a dependency of httpx; only internationalised names need it

        try:
            idna.decode(host)  # httpx does the same for each request
        except UnicodeError as error:
            raise _not_understood(whole, "host", host) from error


def _connectable_ipv6(host: str, whole: str) -> str:
    try:
        address = ipaddress.IPv6Address(host.strip("[]").partition("%")[0])
    except ValueError as error:
        raise _not_understood(whole, "host", host) from error
    return "[::1]" if address.is_unspecified else host.lower()


def _split_suffix(path: str, whole: str) -> tuple[str, Wire | None, bool]:
    if any(character in "?#@" or character.isspace() for character in path):
        raise _not_understood(whole, "path", path)
    # Users paste the address of an OpenAI client (…/v1), or one that ends in /api.
    if pasted := _PASTED.search(path):
        path = path[: pasted.start()]
        # The pasted endpoint tells the wire, whatever its root is called.
        if not path.endswith(("/v1", "/api")):
            return path.rstrip("/"), "openai", bool(path)
    if path.endswith("/v1"):
        return path[:-3].rstrip("/"), "openai", False
    if path.endswith("/api"):
        return path[:-4].rstrip("/"), "native", False
    return path, None, False


def _not_understood(text: str, what: str, value: str) -> ConfigError:
    # A slash in a password ends the authority too early; then any part may be secret.
    scheme, separator, rest = text.partition("://") if "://" in text else ("", "", text)
    secret, at, tail = rest.rpartition("@")
    shown = f"{scheme}{separator}***@{tail}" if at else text
    found = "not shown, it may be part of a password" if "/" in secret else repr(value)
    return ConfigError(
        f"invalid Ollama host {shown!r}: its {what} is {found}; {ACCEPTED_HOSTS}. "
        "A base URL has no query, fragment or spaces: give a query as client_kwargs={'params': …}; "
        "in a password, write %2F for a slash."
    )


def endpoint_from_env(environ: Mapping[str, str]) -> Endpoint:
    """Return the endpoint of OLLAMA_HOST; OLLAMA_PORT is used if it has no port.

    Raises:
        ConfigError: if either of them is invalid.
    """
    port = environ.get("OLLAMA_PORT", "").strip().strip("\"'").strip()
    if port and not _is_port(port):
        raise ConfigError(f"OLLAMA_PORT is {port!r}: give a number from 1 to 65535.")
    return parse_host(environ.get("OLLAMA_HOST", ""), default_port=int(port) if port else None)


def key_from_env(environ: Mapping[str, str]) -> str | None:
    """Return OLLAMA_API_KEY, or None when it is unset or empty."""
    # A key read from a file ends in a newline, which is invalid in a header.
    key = environ.get("OLLAMA_API_KEY", "").strip()
    return key if key else None


def basic_auth(credentials: str) -> str:
    """Return the Authorization header for ``user:password``, or for a user alone."""
    # The colon is required even without a password (RFC 7617, section 2).
    pair = credentials if ":" in credentials else f"{credentials}:"
    # UTF-8 (RFC 7617), so that a password may contain any character.
    return "Basic " + b64encode(pair.encode()).decode()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timeouts of a client in seconds; None means no timeout.

    ```python
    from langchain_ollama_ext import ChatOllama
    from ollama_transport import Timeouts

    model = ChatOllama(model="llama3.2", timeout=Timeouts(connect_s=2, read_s=600))
    print(model.invoke("Hello").content)
    ```

    ``connect_s`` limits connecting, ``read_s`` is the longest silence between two pieces of an
    answer (the first comes after the model is loaded), ``write_s`` the same for sending.
    """

    connect_s: float | None = CONNECT_TIMEOUT_S
    read_s: float | None = READ_TIMEOUT_S
    write_s: float | None = READ_TIMEOUT_S

    def __post_init__(self) -> None:
        for name in ("connect_s", "read_s", "write_s"):
            value = getattr(self, name)
            if value is not None and not _is_wait(value):
                raise ConfigError(f"{name} is {value!r}: give seconds above 0, or None to disable.")

    @classmethod
    def of(cls, value: "TimeoutLike") -> "Timeouts":
        """Return the timeouts for a user's value.

        | value | meaning |
        |---|---|
        | 60 | at most 60 s of silence; at most 5 s to connect |
        | (5, 60) | connect, read |
        | (5, 60, 30, 10) | connect, read, write; the fourth, httpx's wait for a pool, is not used |
        | None | no limit except 5 s to connect |
        | Timeouts(...) | itself |
        | httpx.Timeout(...) | its connect, read and write |

        Raises:
            ConfigError: for anything else, and for seconds not above 0.
        """
        if isinstance(value, Timeouts):
            return value
        if value is None:
            # Answers may take any time, but a wrong address should still fail soon.
            return cls(read_s=None, write_s=None)
        if type(value).__module__.startswith("httpx"):  # an httpx.Timeout, without importing it
            theirs: Any = value
            return cls(theirs.connect, theirs.read, theirs.write)
        if isinstance(value, tuple) and len(value) in (2, 4):
            return cls(connect_s=value[0], read_s=value[1], write_s=value[len(value) // 2])
        if isinstance(value, int | float) and not isinstance(value, bool):
            return cls(connect_s=min(CONNECT_TIMEOUT_S, value), read_s=value, write_s=value)
        raise ConfigError(
            f"invalid timeout {value!r}: give seconds, (connect, read), Timeouts "
            "or None for no limit."
        )


def _is_wait(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


TimeoutLike = Timeouts | float | tuple[float | None, ...] | None
"""Seconds without data, ``(connect, read)`` in seconds, `Timeouts`, or None for no limit."""

DEFAULT_TIMEOUTS = Timeouts()
