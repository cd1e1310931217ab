"""Pages of HTML where an answer should be: what a proxy writes for people, as one line."""

from html.parser import HTMLParser

_READ_CHARACTERS = 8000
"""Characters of a page that are read: the words of an error stand at its start."""
_UNSEEN = frozenset({"script", "style", "noscript", "template"})


def is_page(text: str) -> bool:
    """Tell whether a text is HTML."""
    start = text[:100].lstrip().lower()
    return start.startswith(("<!doctype html", "<html", "<head", "<body", "<center", "<h1"))


def page_text(text: str) -> str:
    """Return what a reader of a page sees, on one line, each piece once."""
    words = _Words()
    words.feed(text[:_READ_CHARACTERS])
    words.close()
    # The title and the heading mostly say the same.
    return " – ".join(dict.fromkeys(words.pieces))


class _Words(HTMLParser):
    """Collect the pieces of text of a page that are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._unseen = 0

    def handle_starttag(
        self,
        tag: str,
        attrs: list[tuple[str, str | None]],  # noqa: ARG002 - the parser passes them
    ) -> None:
        """Take note of the start of what is not shown."""
        self._unseen += tag in _UNSEEN

    def handle_endtag(self, tag: str) -> None:
        """Take note of its end."""
        self._unseen -= tag in _UNSEEN and self._unseen > 0

    def handle_data(self, data: str) -> None:
        """Keep a piece of text."""
        piece = " ".join(data.split())
        if piece and not self._unseen:
            self.pieces.append(piece)


_ENGINE_ADVICE = " Start it with `--embeddings`"


def without_engine_advice(text: str, url: str) -> str:
    """Return a text without what Ollama's engine advises: nobody starts that engine by hand."""
    return text.replace(_ENGINE_ADVICE, "") if "/api/" in url else text
