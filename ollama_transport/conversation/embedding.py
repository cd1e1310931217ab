"""Texts on their way to vectors: checked, in batches, and named when one of them is refused.

A server refuses a whole batch for one text and does not say which (wire reference 5.1). Without
its place a user would search thousands of texts by hand, so the batch is halved until the text is
found.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from ollama_transport.errors import (
    ConfigError,
    ContextOverflowError,
    OllamaError,
    RequestRejectedError,
    ServerError,
    UnsupportedCapabilityError,
)

_ABOUT_CONTENT = frozenset({400, 413, 422, 500})
"""Statuses of servers that fail for what is in a request."""

_Search = Generator[Sequence[int], bool, int | None]


@dataclass(frozen=True, slots=True)
class Batch:
    """The texts of one request; ``start`` is the place of the first of ``total`` texts."""

    start: int
    texts: Sequence[str]
    total: int


def batches(texts: Sequence[str], size: int) -> list[Batch]:
    """Return texts in batches of at most ``size``, in their order."""
    return [
        Batch(start, texts[start : start + size], len(texts))
        for start in range(0, len(texts), size)
    ]


def check_texts(texts: Sequence[str]) -> None:
    """Refuse what is not a list of texts.

    Raises:
        ConfigError: for a single text, and for an item that is not text, naming its place.
    """
    if isinstance(texts, str):
        raise ConfigError(
            "documents must be a list of texts, got a single text: put it into a list, or embed "
            "it as a query."
        )
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise ConfigError(f"texts[{place}] must be text, got {type(text).__name__}.")


def check_text(name: str, text: object) -> None:
    """Refuse a query or a document that is not text.

    Raises:
        ConfigError: naming the type that was given.
    """
    if not isinstance(text, str):
        raise ConfigError(f"{name} must be text, got {type(text).__name__}.")


class Failures:
    """Remembers which batch each failure of one call came from, until the call has ended."""

    def __init__(self) -> None:
        self._batches: dict[int, Batch] = {}

    @contextmanager
    def of(self, batch: Batch) -> Iterator[None]:
        """Remember the batch of an error that is raised inside."""
        try:
            yield
        except OllamaError as error:
            self._batches[id(error)] = batch
            raise

    def batch(self, error: OllamaError) -> Batch | None:
        """Return the batch that an error came from; None for an error of no batch."""
        return self._batches.get(id(error))


@contextmanager
def locating(embed: Callable[[Sequence[str]], object]) -> Iterator[Failures]:
    """Let an error of a batch say which text it is about, found by a few calls of ``embed``.

    The error's ``text_index`` is the place of the text in the whole list, and its message names
    that place. Where the text cannot be told, the message names the batch.
    """
    failures = Failures()
    try:
        yield failures
    except OllamaError as error:
        # Out here: by now the other batches have been stopped.
        if (batch := failures.batch(error)) is not None:
            search = _search(error, batch.texts)
            failed: bool | None = None
            while (places := _next(search, failed, error)) is not None:
                try:
                    embed([batch.texts[place] for place in places])
                    failed = False
                except OllamaError as other:
                    if not _is_about_texts(other):
                        break
                    failed = True
            _name(error, batch)
        raise


@asynccontextmanager
async def alocating(embed: Callable[[Sequence[str]], Awaitable[object]]) -> AsyncIterator[Failures]:
    """Same as `locating`, awaited."""
    failures = Failures()
    try:
        yield failures
    except OllamaError as error:
        if (batch := failures.batch(error)) is not None:
            search = _search(error, batch.texts)
            failed: bool | None = None
            while (places := _next(search, failed, error)) is not None:
                try:
                    await embed([batch.texts[place] for place in places])
                    failed = False
                except OllamaError as other:
                    if not _is_about_texts(other):
                        break
                    failed = True
            _name(error, batch)
        raise


def _next(search: _Search, failed: bool | None, error: OllamaError) -> Sequence[int] | None:
    """Return the places to try next; None at the end, when the error knows its text."""
    try:
        return next(search) if failed is None else search.send(failed)
    except StopIteration as end:
        error.text_index = end.value
        return None


def _search(error: OllamaError, texts: Sequence[str]) -> _Search:
    """Yield places to try together, take whether they failed, and return the place of the text.

    The number of tries grows with the logarithm of the number of texts.
    """
    if error.text_index is not None or not _is_about_texts(error):
        return error.text_index
    left = list(range(len(texts)))
    # The longest text is nearly always the one that does not fit.
    longest = max(left, key=lambda place: len(texts[place].encode(errors="replace")))
    if len(left) > 1 and isinstance(error, ContextOverflowError) and (yield [longest]):
        return longest
    while len(left) > 1:
        half = left[: len(left) // 2]
        left = half if (yield half) else left[len(half) :]
    if len(texts) == 1:
        return 0
    found = left[0]
    if not (yield [found]):
        return None
    # A server that fails for every text fails for another reason.
    other = found - 1 if found else found + 1
    return None if (yield [other]) else found


def _is_about_texts(error: OllamaError) -> bool:
    # What a model cannot do is about the model, whichever texts were in the batch; a redirect or a
    # wrong path is about the address.
    if not isinstance(error, RequestRejectedError | ServerError):
        return False
    return error.status in _ABOUT_CONTENT and not isinstance(error, UnsupportedCapabilityError)


@contextmanager
def placing(places: Sequence[int]) -> Iterator[None]:
    """Let an error about one of some texts tell its place among all of them."""
    try:
        yield
    except OllamaError as error:
        if error.text_index is not None and error.text_index < len(places):
            error.text_index = places[error.text_index]
        raise


def _name(error: OllamaError, batch: Batch) -> None:
    """Put the place of the text before an error's message, where that is news."""
    if error.text_index is not None:
        error.text_index += batch.start
        where = f"texts[{error.text_index}]"
    elif _is_about_texts(error) and len(batch.texts) < batch.total:
        where = f"in texts[{batch.start}] to texts[{batch.start + len(batch.texts) - 1}]"
    else:
        return
    # The error itself is changed: a new one would lose its class, status and body.
    if batch.total > 1:
        error.args = (f"{where} of {batch.total}: {error}", *error.args[1:])
