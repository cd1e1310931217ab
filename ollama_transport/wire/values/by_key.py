"""Access to answers by key: `line["message"]["content"]` beside `line.message.content`.

The keys are the server's own names, as programs for ollama-python write them. Where ours differ
(`text` for ``response``), the server's name is an attribute, too.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, overload

from ollama_transport.wire.values.dumped import Dumped

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ollama_transport.wire.values.usage import Usage


T = TypeVar("T", bound="BaseModel")


class _Measured(Protocol):
    @property
    def raw(self) -> Mapping[str, Any]: ...
    @property
    def usage(self) -> "Usage | None": ...


class _Texted(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def raw(self) -> Mapping[str, Any]: ...


class _Vectored(Protocol):
    @property
    def vectors(self) -> list[list[float]]: ...


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Call = TypeVar("_Call", bound=_Named)


class ByKey:
    """Gives access by key to the attributes, and to other fields that the server sent."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        """Return a part by the server's name for it.

        Raises:
            KeyError: when the answer has no such part.
        """
        if self._is_part(key):
            return getattr(self, key)
        # Newer servers send fields that have no attribute here.
        raw = getattr(self, "raw", None)
        if isinstance(raw, Mapping) and key in raw:
            return raw[key]
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a part by the server's name for it, or the default if there is none.

        An empty list, such as one of tool calls, counts as missing.
        """
        try:
            value = self[key]
        except KeyError:
            return default
        return default if value == () else value

    def __contains__(self, key: object) -> bool:
        # An empty part counts as absent: `"tool_calls" in message` asks whether there are calls.
        value = self.get(key) if isinstance(key, str) else None
        return value is not None and value != "" and value != ()

    def _is_part(self, key: object) -> bool:
        if not isinstance(key, str) or key.startswith("_"):
            return False
        # Slots and properties are data descriptors, methods are not; pydantic keeps a list.
        found = getattr(type(self), key, None)
        return hasattr(type(found), "__set__") or key in getattr(type(self), "model_fields", ())


def _metric(answer: _Measured, name: str, read: Callable[["Usage"], int | None]) -> int | None:
    value = answer.raw.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # /v1 has other names for the counts, and no durations.
    return None if answer.usage is None else read(answer.usage)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)


class Metrics(Dumped, ByKey):
    """The metrics under the server's names; None before the last line."""

    __slots__ = ()

    metric_keys: ClassVar[tuple[str, ...]] = (
        *("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration"),
        *("eval_count", "eval_duration"),
    )

    @property
    def prompt_eval_count(self: _Measured) -> int | None:
        """Return the tokens of the prompt; None if unknown."""
        return _metric(self, "prompt_eval_count", lambda usage: usage.prompt_tokens)

    @property
    def eval_count(self: _Measured) -> int | None:
        """Return the tokens of the answer; None if unknown."""
        return _metric(self, "eval_count", lambda usage: usage.completion_tokens)

    @property
    def total_duration(self: _Measured) -> int | None:
        """Return the total duration, in nanoseconds; None if unknown."""
        return _metric(self, "total_duration", lambda usage: _ns(usage.total_duration_s))

    @property
    def load_duration(self: _Measured) -> int | None:
        """Return how long the model took to load, in nanoseconds; None if unknown."""
        return _metric(self, "load_duration", lambda usage: _ns(usage.load_duration_s))

    @property
    def prompt_eval_duration(self: _Measured) -> int | None:
        """Return how long the prompt took, in nanoseconds; None if unknown."""
        return _metric(self, "prompt_eval_duration", lambda usage: _ns(usage.prompt_duration_s))

    @property
    def eval_duration(self: _Measured) -> int | None:
        """Return how long the answer took, in nanoseconds; None if unknown."""
        return _metric(self, "eval_duration", lambda usage: _ns(usage.completion_duration_s))


class ChatKeys(Metrics):
    """The names of ``/api/chat``."""

    __slots__ = ()

    dumped_keys: ClassVar[tuple[str, ...]] = (
        *("model", "created_at", "done", "done_reason", *Metrics.metric_keys),
        *("message", "logprobs"),
    )


class CompletionKeys(Metrics):
    """The names of ``/api/generate``."""

    __slots__ = ()

    own_names: ClassVar[Mapping[str, str]] = {"response": "text"}
    dumped_keys: ClassVar[tuple[str, ...]] = (
        *("model", "created_at", "done", "done_reason", *Metrics.metric_keys),
        *("response", "thinking", "context", "logprobs", "image"),
    )

    @property
    def response(self: _Texted) -> str:
        """Return the text that this line adds, under the server's name."""
        return self.text

    @property
    def image(self: _Texted) -> str | None:
        """Return the image that an image model made, as base64; None without one."""
        value = self.raw.get("image")
        return value if isinstance(value, str) else None


class VectorKeys(Metrics):
    """The names of ``/api/embed`` and ``/api/embeddings``."""

    __slots__ = ()

    own_names: ClassVar[Mapping[str, str]] = {"embeddings": "vectors"}
    dumped_keys: ClassVar[tuple[str, ...]] = ("model", *Metrics.metric_keys, "embeddings")

    @property
    def embeddings(self: _Vectored) -> list[list[float]]:
        """Return the vectors, under the server's name."""
        return self.vectors

    @property
    def embedding(self: _Vectored) -> list[float]:
        """Return the first vector, as the legacy endpoint names it; [] for none."""
        return self.vectors[0] if self.vectors else []


class CallKeys(Dumped, ByKey):
    """The names of a tool call on the wire, where name and arguments stand one level deeper."""

    __slots__ = ()

    dumped_keys: ClassVar[tuple[str, ...]] = ("name", "arguments")

    @property
    def function(self: _Call) -> _Call:
        """Return the call itself, which has ``name`` and ``arguments``."""
        return self


class Logprob(dict[str, Any]):
    """The log probability of one token, as the server sent it, read by attribute as well."""

    @property
    def token(self) -> str | None:
        """Return the token's text."""
        return self.get("token")

    @property
    def logprob(self) -> float | None:
        """Return the logarithm of its probability."""
        return self.get("logprob")

    @property
    def top_logprobs(self) -> list["Logprob"] | None:
        """Return the most likely tokens at this position; None if they were not requested."""
        others = self.get("top_logprobs")
        return None if others is None else [Logprob(other) for other in others]


class Listed(Sequence[T]):
    """The models of a list: a sequence, and under ``models`` by attribute and by key."""

    __slots__ = ("_items",)

    def __init__(self, items: Sequence[T] = ()) -> None:
        self._items = list(items)

    @property
    def models(self) -> list[T]:
        """Return the models as a list."""
        return self._items

    @overload
    def __getitem__(self, key: int) -> T: ...
    @overload
    def __getitem__(self, key: slice) -> list[T]: ...
    @overload
    def __getitem__(self, key: str) -> list[T]: ...
    def __getitem__(self, key: int | slice | str) -> T | list[T]:
        if isinstance(key, str):
            if key != "models":
                raise KeyError(key)
            return self._items
        return self._items[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the models for "models", else a default."""
        return self._items if key == "models" else default

    def keys(self) -> tuple[str, ...]:
        """Return the one key, for ``dict(answer)``."""
        return ("models",)

    def model_dump(self, *, mode: str = "python", **more: Any) -> dict[str, Any]:
        """Return the models as a dict; ``mode="json"`` makes times text, too.

        ``more`` are ``by_alias``, ``exclude_none``, ``exclude_unset`` and ``exclude_defaults``.
        """
        return {"models": [item.model_dump(mode=mode, **more) for item in self._items]}

    def model_dump_json(self, *, indent: int | None = None, **more: Any) -> str:
        """Return the models as JSON; ``more`` as in `model_dump`."""
        separators = (",", ":") if indent is None else None
        dumped = self.model_dump(mode="json", **more)
        return json.dumps(dumped, indent=indent, separators=separators, ensure_ascii=False)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: object) -> bool:
        return item == "models" or item in self._items

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Listed):
            return self._items == other._items
        return self._items == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # a list that may change has none

    def __repr__(self) -> str:
        return repr(self._items)
