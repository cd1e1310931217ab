"""Reduce an HTML page that a proxy sent in place of an answer to one line of text."""

from html.parser import HTMLParser

_READ_CHARACTERS = 8000
"""Characters of a page that are read: the text of an error is at its start."""
_UNSEEN = frozenset({"script", "style", "noscript", "template"})


def is_page(text: str) -> bool:
    """Return whether a text is HTML."""
    start = text[:100].lstrip().lower()
    return start.startswith(("<!doctype html", "<html", "<head", "<body", "<center", "<h1"))


def page_text(text: str) -> str:
    """Return the visible text of a page, on one line, each piece once."""
    words = _Words()
    words.feed(text[:_READ_CHARACTERS])
    words.close()
    # The title and the heading usually say the same.
    return " – ".join(dict.fromkeys(words.pieces))


class _Words(HTMLParser):
    """Collects the visible pieces of text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._unseen = 0

    def handle_starttag(
        self,
        tag: str,
        attrs: list[tuple[str, str | None]],  # noqa: ARG002 - the parser passes them
    ) -> None:
        """Count the start of an invisible element."""
        self._unseen += tag in _UNSEEN

    def handle_endtag(self, tag: str) -> None:
        """Count its end."""
        self._unseen -= tag in _UNSEEN and self._unseen > 0

    def handle_data(self, data: str) -> None:
        """Keep a visible piece of text."""
        piece = " ".join(data.split())
        if piece and not self._unseen:
            self.pieces.append(piece)


_ENGINE_ADVICE = " Start it with `--embeddings`"


def without_engine_advice(text: str, url: str) -> str:
    """Return a text without advice on how to start the engine: Ollama's users cannot start it."""
    return text.replace(_ENGINE_ADVICE, "") if "/api/" in url else text
