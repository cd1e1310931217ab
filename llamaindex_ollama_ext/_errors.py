"""The errors that the transport does not have: answers that do not fit the requested class."""

from ollama_transport import OllamaError, ToolCallMissingError


class StructuredOutputError(OllamaError, ValueError):
    """Raised when the answer is not an object of the requested class.

    ```python
    from pydantic import BaseModel

    from llamaindex_ollama_ext import Ollama, StructuredOutputError

    class City(BaseModel):
        name: str

    llm = Ollama("llama3.2", num_predict=1)  # too few tokens for any object
    try:
        print(llm.as_structured_llm(City).complete("Name a city.").raw)
    except StructuredOutputError as error:
        print(error.done_reason, error.text)
    ```

    ``text`` is everything that the model wrote and ``thinking`` its reasoning, "" for none;
    ``done_reason`` is why the answer ended ("length" if it was cut), None if the server did not
    say. The ``__cause__`` is pydantic's error.
    """

    def __init__(
        self, message: str, *, text: str = "", thinking: str = "", done_reason: str | None = None
    ) -> None:
        super().__init__(message)
        self.text = text
        self.thinking = thinking
        self.done_reason = done_reason


class StructuredRefusalError(StructuredOutputError):
    """Raised when the model refused to answer; ``refusal`` is what it said instead."""

    def __init__(self, message: str, *, refusal: str = "", done_reason: str | None = None) -> None:
        super().__init__(message, done_reason=done_reason)
        self.refusal = refusal


class StructuredCallMissingError(StructuredOutputError, ToolCallMissingError):
    """Raised when an answer lacks the call of the class, which PydanticProgramMode.FUNCTION forces.

    A ToolCallMissingError as well: ``tools`` holds the name of the class.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        thinking: str = "",
        done_reason: str | None = None,
        tools: tuple[str, ...] = (),
    ) -> None:
        StructuredOutputError.__init__(
            self, message, text=text, thinking=thinking, done_reason=done_reason
        )
        self.tools = tools
        self.usage = None
        self.raw = {}
