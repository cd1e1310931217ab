"""Questions to a System One model and its answers, under ollama-python's names."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)

from ollama_transport.errors import ConfigError
from ollama_transport.wire.values.base_answer import Answer

SystemOneContent = str | dict[str, Any] | list[Any]
"""Text, or JSON that the server writes as text."""


class _Question(BaseModel):
    # An unknown key may be one of a newer server.
    model_config = ConfigDict(extra="allow", defer_build=True)

    instructions: SystemOneContent

    @model_serializer(mode="wrap")
    def _without_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # None describes a criterion, so that only whole fields are left out.
        return {name: value for name, value in handler(self).items() if value is not None}


class SystemOneChoiceQuestion(_Question):
    """Which of several criteria fits; a criterion of None is described by its name alone.

    ```python
    from ollama_transport import SystemOneChoiceQuestion

    criteria = {"spam": "Unwanted advertising.", "mail": None}
    print(SystemOneChoiceQuestion(instructions="What is this?", criteria=criteria).model_dump())
    ```
    """

    type: Literal["choice"] = "choice"
    criteria: dict[str, str | None]


class SystemOneNoulQuestion(_Question):
    """How probable it is that something is true; ``criteria`` describe "true" and "false"."""

    type: Literal["noul"] = "noul"
    criteria: dict[Literal["false", "true"], str] | None = None


class SystemOneScoreQuestion(_Question):
    """How much something is the case; ``criteria`` describe the scores, from the lowest."""

    type: Literal["score"] = "score"
    criteria: list[str]


SystemOneQuestion = Annotated[
    SystemOneChoiceQuestion | SystemOneNoulQuestion | SystemOneScoreQuestion,
    Field(discriminator="type"),
]
"""A question of any of the three kinds."""


class SystemOneChoiceAnswer(Answer):
    """The criterion that fits best, and the probability of each."""

    type: Literal["choice"]
    choice: str
    probabilities: dict[str, float]
    confidence: float


class SystemOneNoulAnswer(Answer):
    """The probability that it is true, from 0 to 1."""

    type: Literal["noul"]
    noul: float


class SystemOneScoreAnswer(Answer):
    """The expected score, which counts from 0 and may be fractional."""

    type: Literal["score"]
    score: float
    legend: dict[str, str]
    probabilities: dict[str, float]
    confidence: float


SystemOneAnswer = Annotated[
    SystemOneChoiceAnswer | SystemOneNoulAnswer | SystemOneScoreAnswer, Field(discriminator="type")
]
"""An answer of any of the three kinds."""


class SystemOneUsage(Answer):
    """Tokens of the questions and of the answers."""

    input_tokens: int
    output_tokens: int


class SystemOneResponse(Answer):
    """The answers, by the names of their questions.

    ```python
    from ollama_transport import SystemOneResponse

    # What `Client.systemone(model, state, questions)` returns.
    sent = {"is_spam": {"type": "noul", "noul": 0.93}}
    usage = {"input_tokens": 12, "output_tokens": 1}
    response = SystemOneResponse(model="judge", answers=sent, usage=usage)
    print(response.answers["is_spam"].noul)
    ```
    """

    model: str
    answers: dict[str, SystemOneAnswer]
    usage: SystemOneUsage


def question_fields(questions: object) -> dict[str, Any]:
    """Return questions as they are sent.

    Raises:
        ConfigError: for anything but a mapping of names to questions, and none at all.
    """
    if not isinstance(questions, Mapping) or not questions:
        raise ConfigError(f"questions must be a mapping with at least one, got {questions!r:.80}.")
    try:
        checked = TypeAdapter(dict[str, SystemOneQuestion]).validate_python(dict(questions))
    except ValidationError as error:
        found = error.errors()[0]
        place = ".".join(map(str, found["loc"]))
        raise ConfigError(f"invalid question {place}: {found['msg']}.") from error
    return {name: question.model_dump() for name, question in checked.items()}
