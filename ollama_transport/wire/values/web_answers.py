"""Answers of web search and web fetch."""

from ollama_transport.wire.values.answers import Answer


class SearchHit(Answer):
    """One page found on the web."""

    title: str = ""
    url: str = ""
    content: str = ""


class SearchAnswer(Answer):
    """The results of a web search, the best first."""

    results: list[SearchHit]


class FetchAnswer(Answer):
    """The text of a web page and the addresses it links to."""

    title: str = ""
    content: str = ""
    links: list[str] | None = None
