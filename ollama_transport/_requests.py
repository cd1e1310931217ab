"""What can be asked of a server, typed; a dialect turns it into bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from ollama_transport._errors import ConfigError
from ollama_transport._messages import Message
from ollama_transport._options import Think
from ollama_transport._values import (
    KeepAlive,
    check_format,
    check_think,
    check_top_logprobs,
    keep_alive,
)


@dataclass(frozen=True, slots=True)
class NamedTool:
    """Ask that this tool, and no other, is called."""

    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool
"""Whether tools are called: as the model likes, never, at least one, or that one."""


OverflowPolicy = Literal["warn", "error", "truncate"]
"""When a prompt does not fit: warn and let the server cut it, raise, or cut in silence."""

UnsupportedOptions = Literal["error", "drop"]
"""When the wire in use cannot carry an option: raise UnsupportedOptionError, or leave it out."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Ask for the next message of a chat (wire reference 3).

    A ``model`` of None is the first of the server's list that can chat. Else None and {} send
    nothing and leave the matter to the server. No message loads the model, or unloads it with
    ``keep_alive=0``. ``tools`` are OpenAI-style function objects; ``format`` is "json" or a JSON
    schema; ``truncate=False`` refuses a prompt that does not fit instead of cutting it (3.8),
    which ``on_context_overflow`` "warn" and "error" ask for where ``truncate`` is None. A
    ``tool_choice`` that forces, and a ``format`` beside tools, are brought about by constrained
    output where the server has no such thing. ``extra`` holds further top-level fields, sent as
    they are; ``unsupported_options`` says what to do with what an OpenAI-compatible server cannot
    be sent.

    Raises:
        ConfigError: for a value that no server would take.
    """

    model: str | None
    messages: Sequence[Message] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    format: str | Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    think: Think | None = None
    keep_alive: KeepAlive | None = None
    truncate: bool | None = None
    on_context_overflow: OverflowPolicy | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    unsupported_options: UnsupportedOptions = "error"

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Ask for a completion of a prompt (wire reference 4); as ChatRequest.

    ``suffix`` is the text after the gap to fill; ``raw`` sends the prompt without a template;
    ``context`` is what an earlier answer returned. An empty prompt loads or unloads the model.

    Raises:
        ConfigError: for a value that no server would take.
    """

    model: str | None
    prompt: str = ""
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: Sequence[int] | None = None
    raw: bool | None = None
    images: Sequence[bytes | str] = ()
    format: str | Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    think: Think | None = None
    keep_alive: KeepAlive | None = None
    truncate: bool | None = None
    on_context_overflow: OverflowPolicy | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    unsupported_options: UnsupportedOptions = "error"

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Ask for the vectors of texts, one for each, in their order (wire reference 5.1).

    ``dimensions`` cuts the vectors and normalises them again; ``truncate=False`` refuses a text
    that is too long instead of cutting it.

    Raises:
        ConfigError: for a value that no server would take.
    """

    model: str | None
    input: Sequence[str]
    dimensions: int | None = None
    truncate: bool | None = None
    on_context_overflow: OverflowPolicy | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    keep_alive: KeepAlive | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    unsupported_options: UnsupportedOptions = "error"

    def __post_init__(self) -> None:
        if isinstance(self.input, str):
            # A text is a sequence of texts, too: each letter would get a vector.
            raise ConfigError("`input` is a list of texts: give [text] for one alone.")
        object.__setattr__(self, "keep_alive", keep_alive(self.keep_alive))
        checked_policy(self.on_context_overflow)
        _check_unsupported(self.unsupported_options)


def checked_policy(value: object) -> OverflowPolicy | None:
    """Return what to do with a prompt that does not fit.

    Raises:
        ConfigError: for anything but "warn", "error", "truncate" and None.
    """
    if value is None or (isinstance(value, str) and value in get_args(OverflowPolicy)):
        return cast("OverflowPolicy | None", value)
    raise ConfigError(
        f'on_context_overflow={value!r}: give "warn", "error" or "truncate" (see the README).'
    )


def _check(request: ChatRequest | GenerateRequest) -> None:
    # Frozen dataclasses take their cleaned values this way only.
    object.__setattr__(request, "keep_alive", keep_alive(request.keep_alive))
    object.__setattr__(request, "think", check_think(request.think))
    object.__setattr__(request, "format", check_format(request.format))
    check_top_logprobs(request.top_logprobs)
    checked_policy(request.on_context_overflow)
    _check_unsupported(request.unsupported_options)


def _check_unsupported(value: object) -> None:
    if value not in get_args(UnsupportedOptions):
        raise ConfigError(f'unsupported_options={value!r}: give "error" or "drop".')


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """Ask for a new model (wire reference 5.5).

    Give ``from_`` (another model), or ``files`` (name in the model: digest of an uploaded blob);
    ``Client.upload`` uploads one, ``Client.create_from_gguf`` does both. ``license`` is one text or
    more.
    """

    model: str
    from_: str | None = None
    files: Mapping[str, str] | None = None
    adapters: Mapping[str, str] | None = None
    template: str | None = None
    system: str | None = None
    license: str | Sequence[str] | None = None
    parameters: Mapping[str, Any] | None = None
    messages: Sequence[Message] | None = None
    quantize: str | None = None
    renderer: str | None = None
    parser: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
