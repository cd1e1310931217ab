"""Fields for reading answers and arranging messages."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from ollama_transport.settings.values import SplitThinking, check_split_thinking


# Separate classes, since a completion class has only the first of these fields.
class SplitFields(BaseModel):
    """The field for separating thoughts from the text."""

    split_thinking: Annotated[SplitThinking | None, BeforeValidator(check_split_thinking)] = Field(
        default=None,
        description="Separate thoughts that a server leaves in the text: "
        '"tags" for the usual tags (<think>…</think>), or a pair of tags, the first empty if '
        "the template itself opens the thoughts. None separates them if reasoning is requested, "
        "False never.",
    )


class SalvageFields(BaseModel):
    """The field for tool calls that arrive as text."""

    salvage_tool_calls: bool = Field(
        default=False,
        description="Parse calls of the given tools that a server leaves in the text or among the "
        "thoughts, in the forms of the common templates (<tool_call>, <function=…>, [TOOL_CALLS], "
        "bare JSON). False warns, once per model, of such a call.",
    )


class SystemFields(BaseModel):
    """The field for sending system messages."""

    merge_system: bool = Field(
        default=False,
        description="Send all system messages as one, at the start, for models whose template "
        'takes no other ("System message must be at the beginning").',
    )
