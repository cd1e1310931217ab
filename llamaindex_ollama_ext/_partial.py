"""Build objects of a pydantic class from an incomplete answer."""

from typing import Any

from pydantic import BaseModel, RootModel

from llamaindex_ollama_ext._shapes import record_of, root_shape
from ollama_transport.conversation import PartialReader


class ObjectReader:
    """Turns the pieces of one answer into growing objects of a class; make one for each answer.

    `push` takes a piece and returns whether the object changed; `snapshot` returns the object as
    far as it has arrived: incomplete objects are instances of core's FlexibleModel, with None for
    what is missing, complete ones of their own class.
    """

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._output_cls = output_cls
        shape = root_shape(output_cls)
        self._reader = PartialReader(shape, "{" if shape.items is None else "[")
        self.push = self._reader.push

    @property
    def is_complete(self) -> bool:
        """Return whether the last bracket has arrived."""
        return self._reader.is_complete

    def snapshot(self) -> Any:
        """Return the object as far as it has arrived; an empty one before it begins."""
        value = self._reader.snapshot()
        if issubclass(self._output_cls, RootModel):
            return self._output_cls.model_construct(root=value)
        return record_of(self._output_cls).partial({}) if value is None else value
