"""The one error that the transport does not know: an answer that is not what was asked for."""

from ollama_transport import OllamaError


class StructuredOutputError(OllamaError, ValueError):
    """The answer is not an object of the class that was asked for.

    ``text`` is all the model wrote and ``thinking`` what it thought before, "" for none;
    ``done_reason`` is why it ended ("length" when it was cut), None when the server did not say.
    What pydantic found is the ``__cause__``.
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
