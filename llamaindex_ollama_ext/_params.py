"""Resolve one call: its arguments, checked, override the model's own settings."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ImageBlock

from llamaindex_ollama_ext._tools import tool_choice, tool_spec
from ollama_transport import ConfigError, KeepAlive, OverflowPolicy, Think, UnsupportedOptions
from ollama_transport.settings import OPTION_NAMES, SplitThinking, check_options, unknown_name

_SHARED = frozenset(
    {
        "extra",
        "extra_body",
        "format",
        "keep_alive",
        "logprobs",
        "model",
        "on_context_overflow",
        "options",
        "shift",
        "split_thinking",
        "think",
        "thinking",
        "top_logprobs",
        "truncate",
    }
)
_CHAT = _SHARED | {
    "allow_parallel_tool_calls",
    "merge_system",
    "on_missing_call",
    "parallel_tool_calls",
    "salvage_tool_calls",
    "tool_choice",
    "tools",
}
OTHER_LIMITS = ("max_completion_tokens", "max_tokens")
"""OpenAI's names for ``num_predict``, as programs for LlamaIndex's OpenAI class give them."""

_COMPLETE = _SHARED | {"context", "images", "raw", "suffix", "system", "system_prompt", "template"}
_AS_GIVEN = ("keep_alive", "logprobs", "model", "on_context_overflow", "shift", "truncate")


@dataclass(slots=True)  # not frozen: each call makes one, for a fifth of the cost
class Defaults:
    """What a model sends if a call does not override it."""

    model: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    format: str | None = None
    think: Think | None = None
    split_thinking: SplitThinking | None = None
    merge_system: bool = False
    salvage_tool_calls: bool = False
    keep_alive: KeepAlive | None = None
    truncate: bool | None = None
    on_context_overflow: OverflowPolicy | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    unsupported_options: UnsupportedOptions = "error"


def chat_fields(defaults: Defaults, call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a ChatRequest, except its messages.

    None counts as not given, except that ``format=None`` turns JSON mode off.

    Raises:
        ConfigError: for an unknown argument (it suggests a similar one), and for a value out of
            range.
    """
    _check_names("chat", call, _CHAT)
    # parallel_tool_calls is OpenAI's name, allow_parallel_tool_calls that of LlamaIndex's agents.
    given = call.get("tools")
    tools = [] if given is None else [tool_spec(tool) for tool in given]
    choice = tool_choice(call.get("tool_choice"))
    parallel = _first(call.get("parallel_tool_calls"), call.get("allow_parallel_tool_calls"))
    # Servers on /v1 refuse a tool_choice without tools. A forced call without tools is a mistake,
    # and stays in the request, which reports it.
    idle = not tools and choice in (None, "auto", "none")
    return {
        **_shared(defaults, call),
        "tools": tools,
        "tool_choice": None if idle else choice,
        "parallel_tool_calls": parallel if tools else None,
        "on_missing_call": _first(call.get("on_missing_call"), "error"),
        "merge_system": _first(call.get("merge_system"), defaults.merge_system),
        "salvage_tool_calls": _first(call.get("salvage_tool_calls"), defaults.salvage_tool_calls),
    }


def completion_fields(defaults: Defaults, call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a GenerateRequest, except its prompt.

    Raises:
        ConfigError: under the same conditions as `chat_fields`.
    """
    _check_names("complete", call, _COMPLETE)
    system, images = call.get("system"), call.get("images")
    return {
        **_shared(defaults, call),
        "context": call.get("context"),
        "images": [] if images is None else list(images),
        "raw": call.get("raw"),
        "suffix": call.get("suffix"),
        "system": call.get("system_prompt") if system is None else system,
        "template": call.get("template"),
        # LlamaIndex's prompts are written for chat models; raw=True sends them unchanged.
        "by_chat": True,
    }


def with_prompt(
    fields: Mapping[str, Any],
    prompt: object,
    *,
    formatted: bool,
    system: str | None,
    to_prompt: Callable[[str], str] | None,
) -> dict[str, Any]:
    """Return the arguments of a GenerateRequest with its prompt.

    ``system`` and ``to_prompt`` are the model's own; a ``formatted`` prompt ignores both.

    Raises:
        ConfigError: for a prompt that is not a str.
    """
    # The server takes null as a request to load the model, and returns an empty answer.
    if not isinstance(prompt, str):
        raise ConfigError(f"the prompt must be a str, got {type(prompt).__name__}: {prompt!r:.80}.")
    # Not sent raw: LlamaIndex's formatting is plain text, not the model's own template.
    if formatted:
        return {**fields, "prompt": prompt}
    whole = {**fields, "prompt": prompt if to_prompt is None else to_prompt(prompt)}
    # The server refuses raw prompts with a system text (wire reference 4).
    if whole["system"] is None and not whole["raw"]:
        whole["system"] = system
    return whole


def image_blocks(images: Iterable[object]) -> list[ImageBlock]:
    """Return the images of a completion, given as blocks, bytes or base64 text, as blocks.

    Raises:
        ConfigError: for anything else.
    """
    return [_image_block(image) for image in images]


def _image_block(image: object) -> ImageBlock:
    if isinstance(image, ImageBlock):
        return image
    if isinstance(image, bytes | str):
        return ImageBlock(image=image.encode() if isinstance(image, str) else image)
    raise ConfigError(f"an image must be bytes, base64 text or an ImageBlock, got {image!r:.80}.")


def _shared(defaults: Defaults, call: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: call[name] for name in _AS_GIVEN if call.get(name) is not None}
    top = call.get("top_logprobs")
    extra = _first(call.get("extra_body"), call.get("extra"))
    own = {name: getattr(defaults, name) for name in _AS_GIVEN}
    return {
        **own,
        **given,
        "options": {**defaults.options, **_options(call)},
        # None counts as given here: it is the only way to leave JSON mode for one call.
        "format": call.get("format", defaults.format),
        "think": _first(call.get("think"), call.get("thinking"), defaults.think),
        "split_thinking": _first(call.get("split_thinking"), defaults.split_thinking),
        "top_logprobs": defaults.top_logprobs if top is None else top,
        "extra": {**defaults.extra, **({} if extra is None else extra)},
        "unsupported_options": defaults.unsupported_options,
    }


def _first(*values: Any) -> Any:
    # `or` would skip False and 0.
    for value in values:
        if value is not None:
            return value
    return None


def _options(call: Mapping[str, Any]) -> dict[str, Any]:
    call = with_own_names(call)
    named = {name: value for name, value in call.items() if name in OPTION_NAMES}
    # LlamaIndex's own callers give one stop text or several.
    if isinstance(named.get("stop"), str):
        named["stop"] = [named["stop"]]
    given = call.get("options")
    return check_options({**(given if given is not None else {}), **_not_none(named)})


def with_own_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with ``num_predict`` in place of OpenAI's names for it, which it overrides."""
    named = {name: value for name, value in options.items() if name not in OTHER_LIMITS}
    limits = [options[name] for name in OTHER_LIMITS if options.get(name) is not None]
    if limits and named.get("num_predict") is None:
        named["num_predict"] = limits[0]
    return named


def _not_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _check_names(method: str, call: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in call:
        if name in known or name in OPTION_NAMES or name in OTHER_LIMITS:
            continue
        raise unknown_name(f"argument of {method}", name, known | OPTION_NAMES)
