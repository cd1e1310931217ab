"""Web search of ollama.com as Calls (wire reference 5.8)."""

from ollama_transport.wire.calls.body import without_none
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.values.web_answers import FetchAnswer, SearchAnswer


def search(query: str, *, max_results: int | None, cloud: bool) -> Call[SearchAnswer]:
    """Return the call of a web search, at ollama.com or through a signed-in server (5.8)."""
    # A local server signs the search for ollama.com itself and drops our key (5.8).
    path = "/api/web_search" if cloud else "/api/experimental/web_search"
    body = without_none({"query": query, "max_results": max_results})
    return Call("POST", path, SearchAnswer.from_native, body=body)


def fetch(url: str, *, cloud: bool) -> Call[FetchAnswer]:
    """Return the call that reads a web page, at ollama.com or through a signed-in server (5.8)."""
    path = "/api/web_fetch" if cloud else "/api/experimental/web_fetch"
    return Call("POST", path, FetchAnswer.from_native, body={"url": url})
