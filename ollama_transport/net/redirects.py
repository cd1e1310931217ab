"""Redirects: followed here and not by httpx, which forwards most secrets to another server.

httpx removes ``Authorization`` when the origin changes, but keeps ``x-api-key``,
``proxy-authorization``, cookies and the keys of gateways. It also turns a POST into a GET after
301, 302 and 303, and the 200 of that GET would be taken for the answer.
"""

import httpx

from ollama_transport.net import direct
from ollama_transport.settings.secrets import is_secret_header

_Auth = httpx.Auth | httpx._client.UseClientDefault | None


class _Hops:
    """Decides which request follows an answer, for one request and its redirects."""

    def __init__(self, http: httpx.Client | httpx.AsyncClient, request: httpx.Request) -> None:
        self._limit = http.max_redirects if http.follow_redirects else 0
        self._home = _origin(request.url)
        self._cookie = request.headers.get("cookie")
        self._history: list[httpx.Response] = []

    def after(self, response: httpx.Response) -> httpx.Request | None:
        """Return the next request; None for a final answer or a redirect that is not followed."""
        response.history = list(self._history)
        # httpx prepares it even if it does not follow.
        hop = response.next_request
        if hop is None or len(self._history) >= self._limit:
            return None
        if hop.method != response.request.method:
            return None  # a GET would drop the body, and with it the call
        self._history.append(response)
        if self._is_home(hop):
            # httpx removes it on every hop and adds only the cookies of its own jar.
            if self._cookie is not None:
                hop.headers.setdefault("cookie", self._cookie)
            return hop
        for name in [name for name in hop.headers if is_secret_header(name)]:
            del hop.headers[name]
        return hop

    def auth(self, hop: httpx.Request) -> _Auth:
        """Return the auth of a hop: that of the client on the same server, else None."""
        return httpx.USE_CLIENT_DEFAULT if self._is_home(hop) else None

    def _is_home(self, hop: httpx.Request) -> bool:
        return _origin(hop.url) == self._home


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    # A URL with the default port is the same origin as one without.
    default = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, url.port if url.port is not None else default


def send(http: httpx.Client, request: httpx.Request) -> httpx.Response:
    """Send a request, follow its redirects and return the answer, unread.

    A redirect that cannot be followed is returned unchanged, with its 3xx status.
    """
    response = direct.send(http, request)
    if response.next_request is None:
        return response
    hops = _Hops(http, request)
    while (hop := hops.after(response)) is not None:
        response.close()
        response = http.send(hop, stream=True, follow_redirects=False, auth=hops.auth(hop))
    return response


async def asend(http: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Same as `send`, for asyncio."""
    response = await direct.asend(http, request)
    if response.next_request is None:
        return response
    hops = _Hops(http, request)
    while (hop := hops.after(response)) is not None:
        await response.aclose()
        response = await http.send(hop, stream=True, follow_redirects=False, auth=hops.auth(hop))
    return response


def advice(response: httpx.Response, path: str) -> str:
    """Return what to do about an error after a redirect; "" without a redirect.

    ``path`` is the path of the call, which is removed to get the base URL.
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
