"""Answers as plain data, with the pydantic methods of ollama-python's answers."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar, Self

from ollama_transport.errors import ProtocolError

# Dumped as "" or [] when empty, as by ollama-python; other empty parts are dumped as None.
_KEPT = frozenset({"content", "response", "embeddings", "arguments"})


class Dumped:
    """The parts of an answer as a dict, as JSON, and as pairs: ``dict(answer)``.

    The keys are the server's. Parts that the answer lacks are None, or left out with
    ``exclude_none``, ``exclude_unset`` or ``exclude_defaults``.
    """

    __slots__ = ()

    dumped_keys: ClassVar[tuple[str, ...]] = ()
    """The server's names of the dumped parts, each of them an attribute."""

    own_names: ClassVar[Mapping[str, str]] = {}
    """Our names of fields that differ from the server's."""

    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
    ) -> dict[str, Any]:
        """Return the parts as dicts, lists, texts and numbers; images are base64.

        ``mode`` and ``by_alias`` change nothing: the keys and values are JSON's in any case.
        """
        del mode, by_alias
        sparse = exclude_unset or exclude_defaults or exclude_none
        wanted = self.dumped_keys if include is None else tuple(include)
        left_out = frozenset(() if exclude is None else exclude)
        pairs = ((key, value) for key, value in self if key in wanted and key not in left_out)
        return {
            key: plain(value, sparse=sparse)
            for key, value in pairs
            if not (sparse and value is None)
        }

    def model_dump_json(self, *, indent: int | None = None, **more: Any) -> str:
        """Return the parts as JSON; ``more`` as in `model_dump`."""
        separators = (",", ":") if indent is None else None
        dumped = self.model_dump(**more)
        return json.dumps(dumped, indent=indent, separators=separators, ensure_ascii=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other parts, given under the server's names or ours."""
        source = deepcopy(self) if deep else self
        changes = {} if update is None else update
        named = {self.own_names.get(key, key): value for key, value in changes.items()}
        return replace(source, **named)  # type: ignore[type-var] # every answer is a dataclass

    @classmethod
    def model_validate(cls, obj: Any) -> Self:
        """Return an answer read from a dict under the server's names.

        Raises:
            ProtocolError: when it is no dict, or a part has another type than servers send.
        """
        if isinstance(obj, cls):
            return obj
        if not isinstance(obj, Mapping):
            raise ProtocolError(f"{cls.__name__} must be a dict, got {type(obj).__name__}.")
        return cls.from_native(obj)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes) -> Self:
        """Return an answer read from JSON; json.JSONDecodeError if it is not JSON."""
        return cls.from_native(json.loads(json_data))

    @classmethod
    def from_native(cls, raw: Mapping[str, Any]) -> Self:
        """Return the answer for an object of Ollama's own wire."""
        # Each class of answers has its own; only messages and answers are read this way.
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let pydantic (and FastAPI's `response_model`) read and write it as the server does."""
        from pydantic_core import core_schema

        def read(value: Any) -> Dumped:
            try:
                return cls.model_validate(value)
            except ProtocolError as error:
                raise ValueError(str(error)) from error

        written = core_schema.plain_serializer_function_ser_schema(cls.model_dump)
        return core_schema.no_info_plain_validator_function(read, serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "object", "title": cls.__name__}

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a part under the server's name for it.

        Raises:
            KeyError: when the answer has no such part, or the part is read-only.
        """
        try:
            setattr(self, self.own_names.get(key, key), value)
        except AttributeError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Yield the names and values, as ``dict(answer)`` takes them."""
        for key in self.dumped_keys:
            value = getattr(self, key)
            is_empty = isinstance(value, str | list | tuple) and not value
            yield key, None if is_empty and key not in _KEPT else value


def plain(value: Any, *, sparse: bool) -> Any:
    """Return a part of an answer as a value that JSON can express."""
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude_none=sparse)
    if isinstance(value, Mapping):
        return {key: plain(part, sparse=sparse) for key, part in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(part, sparse=sparse) for part in value]
    return value
