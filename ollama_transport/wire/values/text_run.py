"""Lines of plain text that came together; each becomes an object when it is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.messages import Message


class TextRun(ChatLine):
    """Plain lines of one model that came together, as one line.

    Each adds its part of ``texts``, which may be empty: thoughts where ``is_thinking``, else text.

    ```python
    from ollama_transport import ChatRequest, Client, Message, TextRun

    request = ChatRequest(model="llama3.2", messages=[Message("user", "Hello")])
    with Client() as client:
        for line in client.chat_stream(request, in_runs=True):
            print(line.texts if isinstance(line, TextRun) else line.text)
    ```
    """

    created_at = ""
    done = False
    done_reason = usage = logprobs = None
    tool_call_deltas = ()

    def __init__(
        self, model: str, times: Sequence[str], texts: list[str], *, is_thinking: bool
    ) -> None:
        self.model = model
        self.times = times
        self.texts = texts
        self.is_thinking = is_thinking

    def lines(self) -> Iterator[ChatLine]:
        """Yield the lines themselves."""
        model, message = self.model, self._message
        for time, text, raw in zip(self.times, self.texts, self.raws(), strict=True):
            # Positional, as in `from_native`.
            yield ChatLine(message(text), model, time, False, None, None, None, (), raw)

    def raws(self) -> Iterator[dict[str, Any]]:
        """Yield the objects as the server sent them, new ones each time."""
        model, said = self.model, self._said
        for time, text in zip(self.times, self.texts, strict=True):
            yield {"model": model, "created_at": time, "message": said(text), "done": False}

    @property
    def message(self) -> Message:  # type: ignore[override]  # made when it is asked for
        """Return what all lines add."""
        return self._message("".join(self.texts))

    @property
    def raw(self) -> Mapping[str, Any]:  # type: ignore[override]  # made when it is asked for
        """Return the keys that joining reads, as one line would have them."""
        return {"message": self._said("".join(self.texts)), "done": False}

    def _message(self, text: str) -> Message:
        return Message("assistant", "", text) if self.is_thinking else Message("assistant", text)

    def _said(self, text: str) -> dict[str, str]:
        if self.is_thinking:
            return {"role": "assistant", "content": "", "thinking": text}
        return {"role": "assistant", "content": text}
