"""A tool as an object, under the names of ollama-python, for programs written for it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    # Keys without a field are kept and sent: JSON Schema has many.
    model_config = ConfigDict(extra="allow", populate_by_name=True, defer_build=True)

    def __getitem__(self, key: str) -> Any:
        if key in type(self).model_fields or key in (self.model_extra or {}):
            return getattr(self, key)
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a part by its name, or the default if there is none."""
        return getattr(self, key, default)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None


class _Property(_Part):
    type: str | Sequence[str] | None = None
    items: Any = None
    description: str | None = None
    enum: Sequence[Any] | None = None


class _Parameters(_Part):
    Property: ClassVar = _Property

    type: str | None = "object"
    properties: Mapping[str, _Property] | None = None
    required: Sequence[str] | None = None


class _Function(_Part):
    Parameters: ClassVar = _Parameters

    name: str | None = None
    description: str | None = None
    parameters: _Parameters | None = None


class Tool(_Part):
    """A tool for ``tools``: ``Tool(type="function", function=Tool.Function(name=…, …))``.

    ```python
    import ollama_transport as ollama

    city = ollama.Tool.Function.Parameters.Property(type="string")
    parameters = ollama.Tool.Function.Parameters(properties={"city": city}, required=["city"])
    tool = ollama.Tool(function=ollama.Tool.Function(name="weather", parameters=parameters))
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]
    print(ollama.chat("llama3.2", messages, tools=[tool]).tool_calls)
    ```

    A dict or a Python function works as well. Every key of a schema is kept.
    """

    Function: ClassVar = _Function

    type: Literal["function"] | str | None = "function"
    function: _Function | None = None
