"""Redirects: followed here and not by httpx, which passes most secrets on to another server.

httpx takes ``Authorization`` off where the origin changes, and leaves ``x-api-key``,
``proxy-authorization``, cookies and the keys of gateways on. It also makes a GET of a POST after
301, 302 and 303, whose 200 would be taken for the answer.
"""

import httpx

from ollama_transport.settings.secrets import is_secret_header

_Auth = httpx.Auth | httpx._client.UseClientDefault | None


class _Hops:
    """Say which request follows an answer, for one request and its redirects."""

    def __init__(self, http: httpx.Client | httpx.AsyncClient, request: httpx.Request) -> None:
        self._limit = http.max_redirects if http.follow_redirects else 0
        self._home = _origin(request.url)
        self._cookie = request.headers.get("cookie")
        self._history: list[httpx.Response] = []

    def after(self, response: httpx.Response) -> httpx.Request | None:
        """Return the request to send next; None for an answer, and for what is not followed."""
        response.history = list(self._history)
        hop = response.next_request
        if hop is None or len(self._history) >= self._limit:
            return None
        if hop.method != response.request.method:
            return None  # the request itself would be lost
        self._history.append(response)
        if self._is_home(hop):
            # httpx takes it off on every hop, for its own jar to put it on again.
            if self._cookie is not None:
                hop.headers.setdefault("cookie", self._cookie)
            return hop
        for name in [name for name in hop.headers if is_secret_header(name)]:
            del hop.headers[name]
        return hop

    def auth(self, hop: httpx.Request) -> _Auth:
        """Return how a hop authenticates: as its client does, where it stays on the server."""
        return httpx.USE_CLIENT_DEFAULT if self._is_home(hop) else None

    def _is_home(self, hop: httpx.Request) -> bool:
        return _origin(hop.url) == self._home


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    default = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, url.port if url.port is not None else default


def send(http: httpx.Client, request: httpx.Request) -> httpx.Response:
    """Send a request where its redirects lead, and return the answer, not read.

    What cannot be followed is returned as it is, with its status of 3xx.
    """
    hops = _Hops(http, request)
    response = http.send(request, stream=True, follow_redirects=False)
    while (hop := hops.after(response)) is not None:
        response.close()
        response = http.send(hop, stream=True, follow_redirects=False, auth=hops.auth(hop))
    return response


async def asend(http: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Same as `send`, for asyncio."""
    hops = _Hops(http, request)
    response = await http.send(request, stream=True, follow_redirects=False)
    while (hop := hops.after(response)) is not None:
        await response.aclose()
        response = await http.send(hop, stream=True, follow_redirects=False, auth=hops.auth(hop))
    return response


def advice(response: httpx.Response, path: str) -> str:
    """Return what to do about a refusal that redirects led to; "" where there were none.

    ``path`` is the path of the call, which a base URL does not have.
    """
    request = response.next_request
    if request is None and response.history:
        request = response.request
    if request is None:
        return ""
    url = request.url
    prefix = url.path.removesuffix(path) if url.path.endswith(path) else ""
    place = f"{url.scheme}://{url.netloc.decode()}{prefix}".rstrip("/")
    return f"It was redirected there: set base_url to {place}."
