"""Build requests from keywords, as programs for ollama-python write them; no I/O here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast

from pydantic import BaseModel, TypeAdapter

from ollama_transport.errors import ConfigError
from ollama_transport.schema.functions import function_tool
from ollama_transport.settings.options import Think, unknown_name
from ollama_transport.settings.values import KeepAlive, check_mapping
from ollama_transport.wire.values.images import Image, ImageLike
from ollama_transport.wire.values.messages import Message, ToolCall
from ollama_transport.wire.values.modelfile import read_modelfile
from ollama_transport.wire.values.requests import (
    ChatRequest,
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    OverflowPolicy,
    ToolChoice,
)

R = TypeVar("R")

OptionsLike = Mapping[str, Any] | BaseModel
"""Options of a request: a mapping, or `Options`."""

MessageLike = Mapping[str, Any] | Message | BaseModel
ToolLike = Mapping[str, Any] | Callable[..., Any] | BaseModel
FormatLike = str | Mapping[str, Any] | type
Files = Mapping[Path, bytes]


class ModelKeywords(TypedDict, total=False):
    """Keywords common to every request to a model; see `ChatRequest` for their meaning."""

    options: OptionsLike | None
    keep_alive: KeepAlive | None
    truncate: bool | None
    on_context_overflow: OverflowPolicy | None
    extra: Mapping[str, Any]


class WritingKeywords(ModelKeywords, total=False):
    """Keywords common to requests for text; ``format`` is "json", a JSON schema or a class."""

    format: FormatLike | None
    think: Think | None
    shift: bool | None
    logprobs: bool | None
    top_logprobs: int | None


class ChatKeywords(WritingKeywords, total=False):
    """Keywords of ``chat``; ``tools`` are functions, pydantic classes or OpenAI-style objects."""

    tools: Sequence[ToolLike] | None
    tool_choice: ToolChoice | None
    parallel_tool_calls: bool | None


class GenerateKeywords(WritingKeywords, total=False):
    """Keywords of ``generate``; ``width``, ``height`` and ``steps`` are for image models."""

    system: str | None
    template: str | None
    context: Sequence[int] | None
    raw: bool | None
    images: Sequence[ImageLike] | None
    width: int | None
    height: int | None
    steps: int | None


class EmbedKeywords(ModelKeywords, total=False):
    """Keywords of ``embed``."""

    dimensions: int | None


class CreateKeywords(TypedDict, total=False):
    """Keywords of ``create``; ``modelfile`` is the text of one, as older programs give it."""

    modelfile: str | None
    files: Mapping[str, str] | None
    adapters: Mapping[str, str] | None
    template: str | None
    license: str | Sequence[str] | None
    system: str | None
    parameters: OptionsLike | None
    messages: Sequence[MessageLike] | None
    renderer: str | None
    parser: str | None
    requires: str | None


def chat_request(
    model: ChatRequest | str | None,
    messages: Sequence[MessageLike] | None,
    more: Mapping[str, Any],
    files: Files,
) -> ChatRequest:
    """Return the request of ``chat(model=…, messages=[…], …)``; a request is returned unchanged.

    Raises:
        ConfigError: for an unknown keyword, and for a value that no server would accept.
    """
    if isinstance(model, ChatRequest):
        return _alone(model, messages, more)
    given = _written("chat", more, ChatKeywords)
    tools = given.pop("tools", None)
    return ChatRequest(
        model,
        [message_of(message, files) for message in _listed("messages", messages)],
        tools=[_tool(tool) for tool in _listed("tools", tools)],
        **given,
    )


def generate_request(
    model: GenerateRequest | str | None,
    prompt: str | None,
    suffix: str | None,
    more: Mapping[str, Any],
    files: Files,
) -> GenerateRequest:
    """Return the request of ``generate(model=…, prompt=…, …)``; a request is returned unchanged.

    Raises:
        ConfigError: under the same conditions as `chat_request`.
    """
    if isinstance(model, GenerateRequest):
        return _alone(model, prompt, more)
    given = _written("generate", more, GenerateKeywords)
    sizes = {name: given.pop(name) for name in ("width", "height", "steps") if name in given}
    if sizes:
        # Only image models read these, so GenerateRequest has no fields for them.
        given["extra"] = {**sizes, **given.get("extra", {})}
    images = _listed("images", given.pop("images", None))
    return GenerateRequest(
        model,
        "" if prompt is None else prompt,
        suffix=suffix,
        images=[_image(image, files) for image in images],
        **given,
    )


def embed_request(
    model: EmbedRequest | str | None, texts: str | Sequence[str], more: Mapping[str, Any]
) -> EmbedRequest:
    """Return the request of ``embed(model=…, input=…)``; a request is returned unchanged.

    Raises:
        ConfigError: under the same conditions as `chat_request`.
    """
    if isinstance(model, EmbedRequest):
        return _alone(model, None, more)
    given = _checked("embed", more, EmbedKeywords)
    # For a bare empty text the server returns no vector (wire reference 5.1).
    if isinstance(texts, str):
        texts = [texts] if texts else []
    return EmbedRequest(model, texts, **given)


def create_request(
    model: CreateRequest | str,
    quantize: str | None,
    from_: str | None,
    more: Mapping[str, Any],
    files: Files,
) -> CreateRequest:
    """Return the request of ``create(model=…, from_=…)``; a request is returned unchanged.

    Keywords override the Modelfile.

    Raises:
        ConfigError: under the same conditions as `chat_request`, and for an invalid Modelfile.
    """
    if isinstance(model, CreateRequest):
        return _alone(model, quantize if from_ is None else from_, more)
    named = {"quantize": quantize, "from_": from_, **_checked("create", more, CreateKeywords)}
    # None would override the Modelfile.
    given = {name: value for name, value in named.items() if value is not None}
    text = given.pop("modelfile", None)
    fields = {} if text is None else read_modelfile(text)
    if "parameters" in given:
        given["parameters"] = {**fields.get("parameters", {}), **options_of(given["parameters"])}
    if "messages" in given:
        given["messages"] = [message_of(m, files) for m in _listed("messages", given["messages"])]
    return CreateRequest(model, **{**fields, **given})


def options_of(given: OptionsLike | None) -> Mapping[str, Any]:
    """Return options as a mapping, without those that are None.

    Raises:
        ConfigError: for anything but a mapping of names and values.
    """
    return check_mapping("options", _dumped(given))


def message_of(given: MessageLike, files: Files) -> Message:
    """Return a caller's message, given as a dict, a `Message` or a pydantic model.

    Raises:
        ConfigError: for anything else, and for a tool call without a name.
    """
    if isinstance(given, Message):
        # Files and Image objects are replaced by their data here; the wire encodes the others.
        calls = tuple(_call(call) for call in given.tool_calls)
        if any(isinstance(image, Path | Image) for image in given.images):
            given = replace(given, images=[_image(image, files) for image in given.images])
        return given if calls == given.tool_calls else replace(given, tool_calls=calls)
    fields = _dumped(given)
    if not isinstance(fields, Mapping) or not isinstance(fields.get("role"), str):
        raise ConfigError(
            f"invalid message {given!r:.80}: give {{'role': 'user', 'content': '…'}} or a Message."
        )
    known = {name: fields.get(name) for name in ("content", "thinking")}
    return Message(
        fields["role"],
        **{name: value for name, value in known.items() if value is not None},
        images=[_image(image, files) for image in _listed("images", fields.get("images"))],
        tool_calls=tuple(_call(call) for call in _listed("tool_calls", fields.get("tool_calls"))),
        # OpenAI's messages have it as `name`.
        tool_name=fields.get("tool_name", fields.get("name")),
        tool_call_id=fields.get("tool_call_id"),
    )


def _call(given: object) -> ToolCall:
    if isinstance(given, ToolCall):
        return given
    fields = _dumped(given)
    function = _dumped(fields.get("function")) if isinstance(fields, Mapping) else None
    if isinstance(function, ToolCall):
        return function
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ConfigError(
            f"invalid tool call {given!r:.80}: give {{'function': {{'name': …, 'arguments': …}}}}."
        )
    arguments = function.get("arguments")
    return ToolCall(
        function["name"],
        {} if arguments is None else arguments,
        fields.get("id"),
        # Inside the function on Ollama's wire, beside it on the other.
        function.get("index", fields.get("index")),
    )


def _tool(given: ToolLike) -> Mapping[str, Any]:
    fields = _dumped(given)
    if isinstance(fields, Mapping):
        return fields
    if callable(fields):
        return function_tool(fields)
    raise ConfigError(
        f"invalid tool {given!r:.80}: give a function, a pydantic class, or "
        "{'type': 'function', 'function': {…}}."
    )


def _image(given: Any, files: Files) -> bytes | str:
    image = given if isinstance(given, Image) else Image(value=_dumped(given))
    if image.file is not None:
        return files[image.file]
    # Other types are refused where the image is encoded (`wire.body`).
    return cast("bytes | str", image.value)


def paths_of(messages: object = None, images: object = None) -> list[Path]:
    """Return the paths of a request's images that are given as files."""
    # Collected first, so that the client can read them: blocking, or in a thread.
    pictures = list(images) if isinstance(images, Sequence) and not isinstance(images, str) else []
    for message in messages if isinstance(messages, Sequence) else ():
        pictures += _images_of(message)
    return [path for picture in pictures if (path := _path(picture)) is not None]


def _images_of(message: object) -> Sequence[Any]:
    found = message.get("images") if isinstance(message, Mapping | Message) else None
    return found if isinstance(found, list | tuple) else ()


def _path(picture: object) -> Path | None:
    if isinstance(picture, Image):
        return picture.file
    return picture if isinstance(picture, Path) else None


def _format(given: object) -> Any:
    if isinstance(given, type) and issubclass(given, BaseModel):
        return given.model_json_schema()
    # Dataclasses and TypedDicts, which have no method for it.
    return TypeAdapter(given).json_schema() if isinstance(given, type) else given


def _written(
    method: str, more: Mapping[str, Any], keywords: type[ChatKeywords | GenerateKeywords]
) -> dict[str, Any]:
    given = _checked(method, more, keywords)
    if "format" in given:
        given["format"] = _format(given["format"])
    return given


def _checked(method: str, more: Mapping[str, Any], keywords: Any) -> dict[str, Any]:
    known = keywords.__annotations__
    # Python does not check names against a TypedDict, and servers ignore unknown fields.
    for name in more:
        if name not in known:
            raise unknown_name(f"argument of {method}", name, known)
    given = dict(more)
    if "options" in given:
        given["options"] = options_of(given["options"])
    return given


def _alone(request: R, second: object, more: Mapping[str, Any]) -> R:
    if second is not None or more:
        names = ", ".join(more) if more else "a second argument"
        raise ConfigError(
            f"a {type(request).__name__} is a whole request: put {names} into it instead."
        )
    return request


def whole_request(kind: type[R], given: object) -> R:
    """Return the request that a method takes instead of keywords.

    Raises:
        ConfigError: for anything else, such as the name of a model.
    """
    if isinstance(given, kind):
        return given
    name, method = kind.__name__, kind.__name__.removesuffix("Request").lower()
    raise ConfigError(
        f"{method}_stream takes a {name}, got {type(given).__name__}. For a model's name and "
        f"keywords use {method}(…, stream=True)."
    )


def _listed(name: str, given: object) -> Sequence[Any]:
    if given is None:
        return ()
    # A text is a sequence too, and would be sent letter by letter.
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        raise ConfigError(f"`{name}` must be a list, got {type(given).__name__}.")
    return given


def _dumped(given: Any) -> Any:
    # This includes ollama-python's classes: a program may migrate piece by piece.
    if isinstance(given, BaseModel):
        return given.model_dump(exclude_none=True)
    return given
