"""What can be asked of a server, typed; a dialect turns it into bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from ollama_transport.errors import ConfigError
from ollama_transport.settings.options import Think
from ollama_transport.settings.values import (
    KeepAlive,
    SplitThinking,
    check_format,
    check_items,
    check_mapping,
    check_split_thinking,
    check_think,
    check_top_logprobs,
    keep_alive,
)
from ollama_transport.wire.messages import Message


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """Hold what every request to a model may carry; None and {} leave the matter to the server.

    ``options`` are those of wire reference 6; ``truncate=False`` refuses an input that does not
    fit instead of cutting it, which ``on_context_overflow`` "warn" and "error" ask for where
    ``truncate`` is None; ``keep_alive`` is in seconds or a Go duration such as "5m". ``extra``
    holds further top-level fields, sent as they are; ``unsupported_options`` says what to do with
    what an OpenAI-compatible server cannot be sent.

    Raises:
        ConfigError: for a value that no server would take.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    keep_alive: KeepAlive | None = None
    truncate: bool | None = None
    on_context_overflow: OverflowPolicy | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    unsupported_options: UnsupportedOptions = "error"

    def __post_init__(self) -> None:
        # Frozen dataclasses take their cleaned values this way only.
        object.__setattr__(self, "keep_alive", keep_alive(self.keep_alive))
        object.__setattr__(self, "options", check_mapping("options", self.options))
        object.__setattr__(self, "extra", check_mapping("extra", self.extra))
        checked_policy(self.on_context_overflow)
        _check_unsupported(self.unsupported_options)


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingRequest(ModelRequest):
    """Hold what every request for text may carry; as ModelRequest.

    ``format`` is "json" or a JSON schema; ``think`` None lets a model think that can (wire
    reference 3.3); ``shift=False`` ends an answer at the end of the context (3.8);
    ``top_logprobs`` is 0 to 20, and needs ``logprobs``. ``split_thinking`` moves thoughts that a
    server leaves in the text between tags: "tags" for the usual ones, or a pair of tags, an empty
    first one where the template opens the thoughts; None does so where ``think`` asks for
    thoughts, False never.
    """

    format: str | Mapping[str, Any] | None = None
    think: Think | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    split_thinking: SplitThinking | None = None

    def __post_init__(self) -> None:
        ModelRequest.__post_init__(self)  # with slots the class is made anew: super() finds the old
        object.__setattr__(self, "think", check_think(self.think))
        object.__setattr__(self, "format", check_format(self.format))
        check_top_logprobs(self.top_logprobs)
        object.__setattr__(self, "split_thinking", check_split_thinking(self.split_thinking))


@dataclass(frozen=True, slots=True)
class ChatRequest(WritingRequest):
    """Ask for the next message of a chat (wire reference 3); as WritingRequest.

    A ``model`` of None is the first of the server's list that can chat. No message loads the
    model, or unloads it with ``keep_alive=0``. ``tools`` are OpenAI-style function objects. A
    ``tool_choice`` that forces, and a ``format`` beside tools, are brought about by constrained
    output where the server has no such thing; ``parallel_tool_calls=False`` keeps the first call.
    ``salvage_tool_calls`` reads calls that a server leaves in the text.

    Raises:
        ConfigError: for a value that no server would take.
    """

    model: str | None
    messages: Sequence[Message] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    salvage_tool_calls: bool = False

    def __post_init__(self) -> None:
        WritingRequest.__post_init__(self)
        check_items("messages", self.messages, Message, "Message(role, content)")
        check_items("tools", self.tools, Mapping, "{'type': 'function', 'function': {…}}")
        _check_choice(self.tool_choice)


@dataclass(frozen=True, slots=True)
class GenerateRequest(WritingRequest):
    """Ask for a completion of a prompt (wire reference 4); as WritingRequest.

    A ``model`` of None is the first of the server's list that can complete. ``suffix`` is the text
    after the gap to fill; ``raw`` sends the prompt without a template; ``context`` is what an
    earlier answer returned. An empty prompt loads or unloads the model. ``by_chat`` True has an
    OpenAI-compatible server take the prompt as a message, whose template it applies; it has no
    meaning with ``raw``, ``suffix``, ``template`` or ``context``, nor on Ollama's own wire.

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
    by_chat: bool | None = None


@dataclass(frozen=True, slots=True)
class EmbedRequest(ModelRequest):
    """Ask for the vectors of texts, one for each, in their order (wire reference 5.1).

    As ModelRequest; a ``model`` of None is the first of the server's list that can embed.
    ``dimensions`` cuts the vectors and normalises them again; the server leaves them as they are
    where the model has no more than that.

    Raises:
        ConfigError: for a value that no server would take.
    """

    model: str | None
    input: Sequence[str]
    dimensions: int | None = None

    def __post_init__(self) -> None:
        ModelRequest.__post_init__(self)
        # A text is a sequence of texts, too: each letter would get a vector.
        check_items("input", self.input, object, "texts: [text] for one alone")
        if self.dimensions is not None and self.dimensions < 1:
            # The server would pass over it without a word (wire reference 5.1).
            raise ConfigError(f"dimensions={self.dimensions}: give 1 or more, or None for all.")


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


def _check_choice(value: object) -> None:
    if value in (None, "auto", "none", "required") or isinstance(value, NamedTool):
        return
    # Ollama ignores the field (wire reference 3.1), so a wrong one would go unseen.
    raise ConfigError(
        f'tool_choice={value!r}: give "auto", "none", "required", or NamedTool(name) for one tool.'
    )


def _check_unsupported(value: object) -> None:
    if value not in get_args(UnsupportedOptions):
        raise ConfigError(f'unsupported_options={value!r}: give "error" or "drop".')


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """Ask for a new model (wire reference 5.5).

    Give ``from_`` (another model), or ``files`` (name in the model: digest of an uploaded blob);
    ``Client.upload`` uploads one, ``Client.create_from_gguf`` does both. ``license`` is one text or
    more; ``requires`` the oldest Ollama that can run the model; ``extra`` further fields, sent as
    they are. A model in ``from_`` that the server does not have is pulled.
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
    requires: str | None = None
    info: Mapping[str, Any] | None = None
    remote_host: str | None = None
    draft_files: Mapping[str, str] | None = None
    draft_quantize: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
