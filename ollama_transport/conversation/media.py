"""Fetch images and audio that messages name by URL, within limits.

The author of a message chooses what this machine fetches. Therefore only http(s) is followed, only
images and audio are accepted, size and time are limited, the model server's credentials are not
sent, and a public address cannot redirect to a private one.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from pydantic import BaseModel, Field

from ollama_transport.concurrency.tasks import map_tasks
from ollama_transport.errors import UnsupportedContentError
from ollama_transport.wire.values.media_types import mime_of_bytes

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
"""Redirects that are followed for one URL."""

FETCHES_AT_ONCE = 4
"""Concurrent downloads of one conversation."""

# Object stores send these for uploads without a type.
_UNSTATED = ("", "application/octet-stream", "binary/octet-stream")


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The limits of a download: size in bytes, time in seconds for each URL."""

    max_bytes: int
    timeout_s: float


class FetchFields(BaseModel):
    """Fields of a model class that say whether and how URLs in messages are fetched."""

    fetch_image_urls: bool = Field(
        default=False,
        description="Whether http(s) URLs of images and audio in messages are downloaded and sent "
        "along. The author of a message then chooses what this machine fetches.",
    )
    fetch_max_bytes: int = Field(
        default=20 * 1024 * 1024, ge=1, description="Largest image to download, in bytes."
    )
    fetch_timeout_s: float = Field(
        default=20.0, gt=0, description="Longest time for the download of an image, in seconds."
    )

    @property
    def fetch_limits(self) -> FetchLimits:
        """Return the limits of a download."""
        return FetchLimits(self.fetch_max_bytes, self.fetch_timeout_s)


def fetch_media(urls: Sequence[str], limits: FetchLimits) -> dict[str, bytes]:
    """Return images and audio by their URLs.

    Same as `afetch_media`, in a thread with its own event loop: a deadline then holds whatever the
    other server does, and a caller on an event loop can use it.

    Raises:
        UnsupportedContentError: for a URL that cannot be fetched, is neither image nor audio, or
            exceeds a limit.
    """
    if not urls:
        return {}
    with ThreadPoolExecutor(1, thread_name_prefix="ollama-ext-fetch") as thread:
        return thread.submit(lambda: asyncio.run(afetch_media(urls, limits))).result()


async def afetch_media(urls: Sequence[str], limits: FetchLimits) -> dict[str, bytes]:
    """Return images and audio by their URLs, a few at a time.

    Raises:
        UnsupportedContentError: see `fetch_media`.
    """
    # Imported here, so that importing an adapter does not load httpx.
    import httpx

    from ollama_transport.net.pool import ssl_context

    if not urls:
        return {}
    # A new client for each call: URLs are rarely on the same host, and must not get our headers.
    async with httpx.AsyncClient(timeout=limits.timeout_s, verify=ssl_context()) as http:

        async def fetch(url: str) -> bytes:
            try:
                # For the whole download; httpx limits only each wait.
                async with asyncio.timeout(limits.timeout_s):
                    return await _fetch(http, url, limits)
            except TimeoutError:
                why = f"it took longer than fetch_timeout_s={limits.timeout_s:g}"
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                why = str(error) if str(error) else type(error).__name__
            # Raised outside of `except`: the httpx error as its cause would keep the request alive.
            raise refused(url, why)

        unique = list(dict.fromkeys(urls))
        found = await map_tasks(fetch, unique, FETCHES_AT_ONCE)
    return dict(zip(unique, found, strict=True))


async def _fetch(http: "httpx.AsyncClient", url: str, limits: FetchLimits) -> bytes:
    # A private URL in a message is the author's choice (a local image server); a redirect to one
    # would be the choice of a foreign server.
    may_be_private = await _is_private(url)
    at = url
    # One request more than redirects, for the first URL itself.
    for _ in range(MAX_REDIRECTS + 1):
        # Redirects are followed by hand, so that each target is checked before it is requested.
        async with http.stream("GET", at) as response:
            if not response.has_redirect_location:
                return await _read(response, url, limits)
            at = urljoin(at, response.headers["location"])
        if not is_address(at):
            raise refused(url, f"it redirects to {shown(at)}, which is not an http(s) URL")
        if not may_be_private and await _is_private(at):
            raise refused(url, f"it redirects to {shown(at)}, inside a private network")
    raise refused(url, f"it was redirected more than {MAX_REDIRECTS} times")


async def _read(response: "httpx.Response", url: str, limits: FetchLimits) -> bytes:
    if response.status_code != 200:
        raise refused(url, f"the server there answered {response.status_code}")
    data = bytearray()
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.startswith(("image/", "audio/")) and kind not in _UNSTATED:
        raise refused(url, f"it is {kind}, which is neither image nor audio")
    async for piece in response.aiter_bytes():
        data += piece
        # Checked while reading, since a server need not announce the length.
        if len(data) > limits.max_bytes:
            raise refused(url, f"it is larger than fetch_max_bytes={limits.max_bytes}")
    if kind in _UNSTATED and mime_of_bytes(bytes(data[:16])) is None:
        raise refused(url, "its server names no type, and it does not begin like image or audio")
    return bytes(data)


async def _is_private(url: str) -> bool:
    """Return whether a URL's host is, or resolves to, an address outside the public internet."""
    host = urlsplit(url).hostname
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False  # the request itself then fails, and says why
    # The part after % is an IPv6 zone, which belongs to the interface.
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    # One private address is enough: the request may use any of them.
    return any(not address.is_global for address in addresses)


def is_address(value: str) -> bool:
    """Return whether a text is an http(s) URL."""
    return value[:8].lower().startswith(("http://", "https://"))


def shown(url: str) -> str:
    """Return a URL for an error message: without credentials and query, of limited length."""
    # Cut first, since a URL may be megabytes of data.
    parts = urlsplit(url[:2000])
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]


def refused(url: str, why: str) -> UnsupportedContentError:
    """Return (not raise) the error for a URL that is not fetched."""
    return UnsupportedContentError(
        f"{shown(url)} was not fetched: {why}. Download it yourself and pass its bytes."
    )


def data_of(uri: str) -> bytes | str:
    """Return the content of a data URI: bytes, or the URI itself if it is base64 already.

    Raises:
        UnsupportedContentError: for a data URI without a comma.
    """
    comma = uri.find(",")
    if comma < 0:
        raise UnsupportedContentError(
            f"the data URI {uri[:40]!r} has no data: write data:image/png;base64,…"
        )
    # Kept whole: the wire removes the head, after reading the type if the bytes do not show it.
    is_base64 = uri[:comma].lower().endswith(";base64")
    return uri if is_base64 else unquote_to_bytes(uri[comma + 1 :])


Fetched = Mapping[str, bytes]
"""Images and audio by the URL they came from."""
