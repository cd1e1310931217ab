"""Typed requests to a server; a dialect turns them into calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from ollama_transport.errors import ConfigError
from ollama_transport.settings.options import Think
from ollama_transport.settings.values import (
    MAPPINGS,
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
from ollama_transport.wire.values.messages import Message, one_system


@dataclass(frozen=True, slots=True)
class NamedTool:
    """A ``tool_choice`` that forces a call of this tool, and of no other.

    ```python
    from ollama_transport import ChatRequest, Client, Message, NamedTool

    function = {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}}
    tools = [{"type": "function", "function": function}]
    messages = [Message("user", "Rome")]
    request = ChatRequest("llama3.2", messages, tools=tools, tool_choice=NamedTool("weather"))
    with Client() as client:
        print(client.chat(request).tool_calls)
    ```
    """

    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool
"""Whether tools are called: as the model decides, never, at least one, or the named one."""


MissingCall = Literal["error", "warn", "pass"]
"""What an answer without a forced call is: an error, an answer with a warning, or an answer."""
OverflowPolicy = Literal["warn", "error", "truncate"]
"""When a prompt does not fit: warn and let the server cut it, raise, or cut in silence."""

UnsupportedOptions = Literal["error", "drop"]
"""When the wire in use cannot carry an option: raise UnsupportedOptionError, or leave it out."""

# `get_args` costs as much as all other checks of a request together.
_POLICIES, _UNSUPPORTED = get_args(OverflowPolicy), get_args(UnsupportedOptions)


# Requests are not frozen: each call makes one, and a frozen one costs five times as much. Nothing
# changes one after its construction.
@dataclass(slots=True, kw_only=True)
class ModelRequest:
    """The fields common to every request to a model; None and {} leave the choice to the server.

    ``options`` are those of wire reference 6; ``truncate=False`` refuses an input that does not
    fit instead of cutting it, which ``on_context_overflow`` "warn" and "error" ask for where
    ``truncate`` is None; ``keep_alive`` is in seconds or a Go duration such as "5m". ``extra``
    holds further top-level fields, sent unchanged; ``unsupported_options`` says what to do about
    options that an OpenAI-compatible server does not take.

    Raises:
        ConfigError: for a value that no server would accept.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    keep_alive: KeepAlive | None = None
    truncate: bool | None = None
    on_context_overflow: OverflowPolicy | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    unsupported_options: UnsupportedOptions = "error"

    def __post_init__(self) -> None:
        self.keep_alive = keep_alive(self.keep_alive)
        self.options = check_mapping("options", self.options)
        self.extra = check_mapping("extra", self.extra)
        checked_policy(self.on_context_overflow)
        _check_unsupported(self.unsupported_options)


@dataclass(slots=True, kw_only=True)
class WritingRequest(ModelRequest):
    """The fields common to every request for text; otherwise as ModelRequest.

    ``format`` is "json" or a JSON schema; with ``think`` None, models that can think do so (wire
    reference 3.3); ``shift=False`` ends an answer at the end of the context (3.8);
    ``top_logprobs`` is 0 to 20, and needs ``logprobs``. ``split_thinking`` moves thoughts that a
    server leaves in the text between tags: "tags" for the usual ones, or a pair of tags, an empty
    first one if the template opens the thoughts; None does so if ``think`` requests thoughts, False
    never.
    """

    format: str | Mapping[str, Any] | None = None
    think: Think | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    split_thinking: SplitThinking | None = None

    def __post_init__(self) -> None:
        # Not super(): slots=True replaces the class, and super() would still see the old one.
        ModelRequest.__post_init__(self)
        self.think = check_think(self.think)
        self.format = check_format(self.format)
        check_top_logprobs(self.top_logprobs)
        self.split_thinking = check_split_thinking(self.split_thinking)


@dataclass(slots=True)
class ChatRequest(WritingRequest):
    """A request for the next message of a chat (wire reference 3); otherwise as WritingRequest.

    ```python
    from ollama_transport import ChatRequest, Client, Message

    messages = [Message("system", "Be brief."), Message("user", "Why is the sky blue?")]
    request = ChatRequest("llama3.2", messages, options={"temperature": 0, "num_predict": 50})
    with Client() as client:
        print(client.chat(request).text)
        for line in client.chat_stream(request):
            print(line.text, end="")
    ```

    A ``model`` of None means the first in the server's list that can chat. Without messages the
    model is loaded, or unloaded with ``keep_alive=0``. ``tools`` are OpenAI-style function objects.
    Where the server supports neither a forcing ``tool_choice`` nor a ``format`` beside tools, they
    are emulated by constrained output; ``parallel_tool_calls=False`` keeps the first call.
    ``salvage_tool_calls`` parses calls that a server leaves in the text. ``on_missing_call`` says
    what an answer without a forced call is: an "error", an answer with a warning ("warn"), or an
    answer ("pass"). ``merge_system`` sends all system messages as one, at the start, for templates
    that take no other.

    Raises:
        ConfigError: for a value that no server would accept.
    """

    model: str | None
    messages: Sequence[Message] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    salvage_tool_calls: bool = False
    on_missing_call: MissingCall = "error"
    merge_system: bool = False

    def __post_init__(self) -> None:
        WritingRequest.__post_init__(self)
        check_items("messages", self.messages, Message, "Message(role, content)")
        check_items("tools", self.tools, MAPPINGS, "{'type': 'function', 'function': {…}}")
        _check_choice(self.tool_choice)
        _check_missing(self.on_missing_call)
        if self.merge_system:
            self.messages = one_system(self.messages)


@dataclass(slots=True)
class GenerateRequest(WritingRequest):
    """A request to complete a prompt (wire reference 4); otherwise as WritingRequest.

    ```python
    from ollama_transport import Client, GenerateRequest

    with Client() as client:
        print(client.generate(GenerateRequest("llama3.2", "Name a river.")).text)
    ```

    A ``model`` of None means the first in the server's list that can complete. ``suffix`` is the
    text after the gap to fill; ``raw`` sends the prompt without a template; ``context`` is that of
    an earlier answer. An empty prompt loads or unloads the model. ``by_chat`` True sends the prompt
    to an OpenAI-compatible server as a chat message, so that the template is applied; it is ignored
    with ``raw``, ``suffix``, ``template`` or ``context``, and on Ollama's own wire.

    Raises:
        ConfigError: for a value that no server would accept.
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


@dataclass(slots=True)
class EmbedRequest(ModelRequest):
    """A request for the vectors of texts, one for each, in their order (wire reference 5.1).

    ```python
    from ollama_transport import Client, EmbedRequest

    with Client() as client:
        answer = client.embed(EmbedRequest("nomic-embed-text", ["a cat", "a dog"]))
    print(len(answer.vectors), answer.usage.prompt_tokens)
    ```

    Otherwise as ModelRequest; a ``model`` of None means the first in the server's list that can
    embed. ``dimensions`` shortens the vectors and normalises them again; the server ignores it
    if the model has no more than that.

    Raises:
        ConfigError: for a value that no server would accept.
    """

    model: str | None
    input: Sequence[str]
    dimensions: int | None = None

    def __post_init__(self) -> None:
        ModelRequest.__post_init__(self)
        # A str is a sequence of str too: each letter would get a vector.
        check_items("input", self.input, object, "texts: [text] for one alone")
        if self.dimensions is not None and self.dimensions < 1:
            # The server would silently ignore it (wire reference 5.1).
            raise ConfigError(f"dimensions={self.dimensions}: give 1 or more, or None for all.")


def checked_policy(value: object) -> OverflowPolicy | None:
    """Return a value of ``on_context_overflow``, checked.

    Raises:
        ConfigError: for anything but "warn", "error", "truncate" and None.
    """
    if value is None or (isinstance(value, str) and value in _POLICIES):
        return cast("OverflowPolicy | None", value)
    raise ConfigError(
        f'on_context_overflow={value!r}: give "warn", "error" or "truncate" (see the README).'
    )


def _check_choice(value: object) -> None:
    if value in (None, "auto", "none", "required") or isinstance(value, NamedTool):
        return
    # Ollama ignores the field (wire reference 3.1), so a typo would go unnoticed.
    raise ConfigError(
        f'tool_choice={value!r}: give "auto", "none", "required", or NamedTool(name) for one tool.'
    )


def _check_missing(value: object) -> None:
    if value not in get_args(MissingCall):
        raise ConfigError(f'on_missing_call={value!r}: give "error", "warn" or "pass".')


def _check_unsupported(value: object) -> None:
    if value not in _UNSUPPORTED:
        raise ConfigError(f'unsupported_options={value!r}: give "error" or "drop".')


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A request to create a model (wire reference 5.5).

    ```python
    from ollama_transport import Client, CreateRequest

    with Client() as client:
        print(client.create(CreateRequest("brief", from_="llama3.2", system="Be brief.")).done)
    ```

    Give ``from_`` (another model), or ``files`` (name in the model: digest of an uploaded blob);
    ``Client.upload`` uploads one, ``Client.create_from_gguf`` does both. ``license`` is one or more
    texts; ``requires`` is the oldest Ollama that can run the model; ``extra`` holds further fields,
    sent unchanged. A missing model in ``from_`` is pulled.
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
