"""Questions to a System One model as a Call (wire reference 5.10)."""

from ollama_transport.settings.values import KeepAlive, keep_alive
from ollama_transport.wire.calls.body import without_none
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.values.systemone import (
    SystemOneContent,
    SystemOneResponse,
    question_fields,
)


def systemone(
    model: str, state: SystemOneContent, questions: object, kept: KeepAlive | None
) -> Call[SystemOneResponse]:
    """Return the call of ``/v1/systemone``.

    Raises:
        ConfigError: for questions of another shape.
    """
    fields = {"model": model, "state": state, "questions": question_fields(questions)}
    body = without_none({**fields, "keep_alive": keep_alive(kept)})
    return Call("POST", "/v1/systemone", SystemOneResponse.from_native, body=body, model=model)
