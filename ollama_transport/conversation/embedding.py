"""Check the texts to embed, split them into batches, and find the text that the server refuses.

A server refuses a whole batch because of one text and does not say which (wire reference 5.1).
Users would have to search thousands of texts by hand, so the batch is halved until the text is
found.
"""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
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
from ollama_transport.wire.errors.words import is_batch_limit

_ABOUT_CONTENT = frozenset({400, 413, 422, 500})
"""Statuses of servers that fail because of the content of a request."""

_Search = Generator[Sequence[int], bool, int | None]


@dataclass(frozen=True, slots=True)
class Batch:
    """The texts of one request; ``start`` is the position of the first among ``total`` texts."""

    start: int
    texts: Sequence[str]
    total: int


def batches(texts: Sequence[str], size: int) -> list[Batch]:
    """Return texts in batches of at most ``size``, in their order."""
    return [
        Batch(start, texts[start : start + size], len(texts))
        for start in range(0, len(texts), size)
    ]


def checked_texts(texts: Iterable[str]) -> list[str]:
    """Return texts as a list, whatever holds them: a tuple, a column of a table, a generator.

    Raises:
        ConfigError: for a single text, for what holds nothing, and for an item that is not text;
            it names the position.
    """
    # A text is a sequence of texts too: each letter would get a vector.
    if isinstance(texts, str):
        raise ConfigError(
            "documents must be a list of texts, got a single text: put it into a list, or embed "
            "it as a query."
        )
    if not isinstance(texts, Iterable):
        raise ConfigError(f"documents must be a list of texts, got {type(texts).__name__}.")
    found = list(texts)
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise ConfigError(f"texts[{place}] must be text, got {type(text).__name__}.")
    return found


def check_text(name: str, text: object) -> None:
    """Check that a query or a document is text.

    Raises:
        ConfigError: if it is not; it names the type.
    """
    if not isinstance(text, str):
        raise ConfigError(f"{name} must be text, got {type(text).__name__}.")


class Failures:
    """Remembers which batch each error of one call came from, until the call has ended."""

    def __init__(self) -> None:
        self._batches: dict[int, Batch] = {}

    @contextmanager
    def of(self, batch: Batch) -> Iterator[None]:
        """Remember the batch of an error that is raised inside."""
        try:
            yield
        except OllamaError as error:
            # By id: errors of several batches may be equal.
            self._batches[id(error)] = batch
            raise

    def batch(self, error: OllamaError) -> Batch | None:
        """Return the batch that an error came from; None if it came from elsewhere."""
        return self._batches.get(id(error))


@contextmanager
def locating(embed: Callable[[list[str]], object]) -> Iterator[Failures]:
    """Make an error of a batch name the text that caused it, found by a few calls of ``embed``.

    The error's ``text_index`` is the position of the text in the whole list, and its message names
    that position. If the text cannot be found, the message names the batch.
    """
    failures = Failures()
    try:
        yield failures
    except OllamaError as error:
        # Searched here and not where the error occurs: by now the other batches have stopped.
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
async def alocating(embed: Callable[[list[str]], Awaitable[object]]) -> AsyncIterator[Failures]:
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
    """Return the positions to try next; None at the end, when the error has its text_index."""
    try:
        return next(search) if failed is None else search.send(failed)
    except StopIteration as end:
        error.text_index = end.value
        return None


def _search(error: OllamaError, texts: Sequence[str]) -> _Search:
    """Yield positions to try together, receive whether they failed, return that of the text.

    The number of tries grows with the logarithm of the number of texts.
    """
    if error.text_index is not None or not _is_about_texts(error):
        return error.text_index
    # Positions, not texts, since equal texts may occur several times.
    left = list(range(len(texts)))
    # Nearly always the longest text is the one that does not fit.
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
    # Cross-check: if another text fails too, the texts are not the cause.
    other = found - 1 if found else found + 1
    return None if (yield [other]) else found


def _is_about_texts(error: OllamaError) -> bool:
    # A missing capability is about the model, a redirect or a wrong path about the address, and a
    # limit of the server about the batch.
    if not isinstance(error, RequestRejectedError | ServerError) or is_batch_limit(error.error):
        return False
    return error.status in _ABOUT_CONTENT and not isinstance(error, UnsupportedCapabilityError)


@contextmanager
def placing(places: Sequence[int]) -> Iterator[None]:
    """Translate the ``text_index`` of an error by the positions of a subset of texts."""
    try:
        yield
    except OllamaError as error:
        if error.text_index is not None and error.text_index < len(places):
            error.text_index = places[error.text_index]
        raise


def _name(error: OllamaError, batch: Batch) -> None:
    """Prefix an error's message with the position of the text, if there are several texts."""
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
