"""Answers of web search and web fetch."""

from ollama_transport.wire.values.base_answer import Answer


class SearchHit(Answer):
    """One page found on the web."""

    title: str = ""
    url: str = ""
    content: str = ""


class SearchAnswer(Answer):
    """The results of a web search, the best first.

    ```python
    from ollama_transport import Client, OllamaError

    try:
        for hit in Client().web_search("langchain").results:
            print(hit.title, hit.url)
    except OllamaError as error:
        print("the server is not signed in to ollama.com:", error)
    ```
    """

    results: list[SearchHit]


class FetchAnswer(Answer):
    """The text of a web page and the addresses it links to."""

    title: str = ""
    content: str = ""
    links: list[str] | None = None
