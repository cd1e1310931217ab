"""The fields that say how answers are read."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from ollama_transport.settings.values import SplitThinking, check_split_thinking


class SplitFields(BaseModel):
    """Fields of a model class that say how thoughts are told from the text."""

    split_thinking: Annotated[SplitThinking | None, BeforeValidator(check_split_thinking)] = Field(
        default=None,
        description="Move thoughts that a server leaves in the text to where thoughts belong: "
        '"tags" for the usual tags (<think>…</think>), or a pair of tags; an empty first one '
        "where the template opens the thoughts itself. None does so where reasoning is asked for, "
        "False never.",
    )


class SalvageFields(BaseModel):
    """Fields of a model class that say what happens to tool calls that come as text."""

    salvage_tool_calls: bool = Field(
        default=False,
        description="Read tool calls that a server leaves in the text or among the thoughts, in "
        "the forms of the common templates (<tool_call>, <function=…>, [TOOL_CALLS], bare JSON), "
        "of tools that were given. False warns, once for a model, where an answer holds one.",
    )
