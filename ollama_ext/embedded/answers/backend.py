"""What the endpoints of one server share, and the checks a chat or completion passes first."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ollama_ext.embedded.answers.generation import check_format
from ollama_ext.embedded.answers.prompts import (
    Fitted,
    Window,
    count_prompt,
    fit_chat,
    fit_completion,
    tokens_of,
)
from ollama_ext.embedded.answers.run import Completion, Run
from ollama_ext.embedded.engine import Message, Prompt, ToolCall
from ollama_ext.embedded.models.loader import Loader
from ollama_ext.embedded.models.store import Installed, ModelStore
from ollama_ext.embedded.protocol.failures import WireError, no_multimodal
from ollama_ext.embedded.protocol.options import (
    DEFAULT_NUM_KEEP,
    context_size,
    merge_options,
    whole,
)

Fields = dict[str, Any]
# The server whose behaviour the wire reference describes.
VERSION = "0.33.0"
_NOT_FOUND = "model '{}' not found"
# Raw prompts contain the markers of the client's model, which the rules cannot read.
_MARKER = re.compile(r"<\|im_start\|>\w*\n?|<\|\w+\|>")


@dataclass(frozen=True, slots=True)
class Backend:
    """One server's state, as its endpoints see it.

    Attributes:
        store: The installed models.
        loader: The models in memory.
        vocabulary: Token ids of ``context`` on ``/api/generate``.
        token_delay_s: Pause before each token, in seconds.
    """

    store: ModelStore
    loader: Loader
    vocabulary: "Vocabulary"
    token_delay_s: float = 0.0


class Vocabulary:
    """Ids for tokens, assigned on first use, so that ``context`` can be decoded again."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._tokens: list[str] = []

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return [self._id(token) for token in tokens_of(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids; unknown ids are skipped."""
        known = range(len(self._tokens))
        return "".join(self._tokens[i] for i in ids if i in known)

    def _id(self, token: str) -> int:
        if token not in self._ids:
            self._ids[token] = len(self._tokens)
            self._tokens.append(token)
        return self._ids[token]


def find_to_run(backend: Backend, fields: Fields, verb: str) -> tuple[str, Installed]:
    """Return the asked name and its model, after checking that it supports ``verb``.

    Args:
        backend: The server.
        fields: The decoded request.
        verb: ``"chat"`` or ``"generate"``.

    Raises:
        WireError: 400 or 404, as wire reference 7.2 has it.
    """
    # Checked even when logprobs is off (wire reference 3.1).
    if not 0 <= fields["top_logprobs"] <= 20:
        raise WireError(400, "top_logprobs must be between 0 and 20")
    # Only chat says this; generate says that the model '' is not found.
    if verb == "chat" and not fields["model"].strip():
        raise WireError(400, "model is required")
    reference, installed = backend.store.resolve(fields["model"], _NOT_FOUND)
    if "image" in installed.model.capabilities:
        raise WireError(400, "image generation models are not currently supported")
    return reference.asked, installed


def check_capabilities(installed: Installed, asked: str, verb: str, fields: Fields) -> None:
    """Check that a model can chat, call tools, insert and think, as a request wants it to.

    Raises:
        WireError: 400, with Ollama's three ways to name the model.
    """
    able = installed.model.capabilities
    if "completion" not in able:
        raise WireError(400, f'"{asked}" does not support {verb}')
    wanted = [
        name for name, field in (("tools", "tools"), ("insert", "suffix")) if fields.get(field)
    ]
    missing = [name for name in wanted if name not in able]
    if missing:
        listed = "\n".join(missing)
        raise WireError(400, f"{installed.name.full} does not support {listed}")
    if fields["think"] not in (None, False) and "thinking" not in able:
        raise WireError(400, f'"{asked}" does not support thinking')


def chat_run(backend: Backend, fields: Fields, asked: str, installed: Installed) -> Run:
    """Return the run of a checked chat request.

    Raises:
        WireError: 500, for an option of a wrong type.
    """
    messages = with_system(_messages(fields["messages"]), installed.model.system)
    tools: Sequence[Mapping[str, object]] = fields["tools"]
    options = _options(fields, installed)
    window = _window(fields, options, installed)
    if installed.model.weights is not None:
        # Only the engine can count its tokens, so the engine makes them fit.
        whole_one = Fitted(messages, 0)
        return _run(backend, fields, asked, installed, options, window, whole_one, None, tools)
    fitted, refusal = _fit(lambda: fit_chat(messages, tools, window), messages, tools)
    return _run(backend, fields, asked, installed, options, window, fitted, refusal, tools)


def completion_run(backend: Backend, fields: Fields, asked: str, installed: Installed) -> Run:
    """Return the run of a checked generate request.

    Raises:
        WireError: 500, for an option of a wrong type.
    """
    options = _options(fields, installed)
    window = _window(fields, options, installed)
    if installed.model.weights is not None:
        turn = Fitted(_turn(fields, installed), 0)
        run = _run(backend, fields, asked, installed, options, window, turn, None, ())
        return replace(run, completion=Completion(fields["raw"], tuple(fields["context"])))
    messages = _completion_messages(backend, fields, installed)
    fitted, refusal = _fit(lambda: fit_completion(messages, window), messages, ())
    return _run(backend, fields, asked, installed, options, window, fitted, refusal, ())


def _fit(fit: Any, messages: Sequence[Message], tools: Any) -> tuple[Fitted, WireError | None]:
    # The engine finds out after the load, so the refusal waits until then.
    try:
        return fit(), None
    except WireError as refusal:
        return Fitted(tuple(messages), count_prompt(messages, tools)), refusal


def _run(
    backend: Backend,
    fields: Fields,
    asked: str,
    installed: Installed,
    options: dict[str, object],
    window: Window,
    fitted: Fitted,
    refusal: WireError | None,
    tools: Sequence[Mapping[str, object]],
) -> Run:
    capabilities = frozenset(installed.model.capabilities)
    # A bad format is found when inference begins, so it waits for the load too.
    try:
        wanted = check_format(fields["format"])
    except WireError as error:
        wanted, refusal = None, error
    if "vision" not in capabilities and any(message.images for message in fitted.messages):
        refusal = no_multimodal()
    # By default, a model that can think does (wire reference 3.3).
    think = "thinking" in capabilities if fields["think"] is None else fields["think"]
    prompt = Prompt(
        messages=fitted.messages,
        tools=tuple(tools),
        format=wanted,
        think=think,
        options=options,
        suffix=fields.get("suffix", ""),
        capabilities=capabilities,
    )
    return Run(
        asked=asked,
        installed=installed,
        prompt=prompt,
        prompt_tokens=fitted.tokens,
        window=window,
        keep_ns=fields["keep_alive"],
        top_logprobs=fields["top_logprobs"] if fields["logprobs"] else None,
        token_delay_s=backend.token_delay_s,
        refusal=refusal,
    )


def _options(fields: Fields, installed: Installed) -> dict[str, object]:
    return merge_options(installed.model.parameters, fields["options"])


def _num_ctx(options: Mapping[str, object], installed: Installed) -> int:
    model = installed.model
    return context_size(options, model.context_length, vision="vision" in model.capabilities)


def load_size(fields: Fields, installed: Installed) -> int:
    """Return the context in tokens that a load request asks for.

    Raises:
        WireError: 500, for an option of a wrong type.
    """
    return _num_ctx(_options(fields, installed), installed)


def _window(fields: Fields, options: Mapping[str, object], installed: Installed) -> Window:
    return Window(
        num_ctx=_num_ctx(options, installed),
        num_keep=whole(options, "num_keep", DEFAULT_NUM_KEEP),
        truncate=fields["truncate"] is not False,
        shift=fields["shift"] is not False,
        native=installed.model.native_route,
    )


def with_system(messages: Sequence[Message], system: str) -> tuple[Message, ...]:
    """Put the Modelfile's system text first, unless the request brings its own."""
    if not system or (messages and messages[0].role == "system"):
        return tuple(messages)
    return (Message("system", system), *messages)


def _messages(given: Sequence[Fields]) -> list[Message]:
    return [
        Message(
            role=item["role"].lower(),
            content=item["content"],
            thinking=item["thinking"],
            images=tuple(item["images"]),
            tool_calls=tuple(_call(call["function"]) for call in item["tool_calls"]),
            tool_name=item["tool_name"],
        )
        for item in given
    ]


def _call(function: Fields) -> ToolCall:
    return ToolCall(function["name"], function["arguments"])


def _completion_messages(
    backend: Backend, fields: Fields, installed: Installed
) -> tuple[Message, ...]:
    plain = {**fields, "prompt": plain_prompt(fields["prompt"])}
    *before, user = _turn(plain, installed)
    # Earlier turns come as token ids, and are read back into text.
    earlier = plain_prompt(backend.vocabulary.decode(fields["context"]))
    return (*before, *([Message("user", earlier)] if earlier else []), user)


def _turn(fields: Fields, installed: Installed) -> tuple[Message, ...]:
    user = Message("user", fields["prompt"], images=tuple(fields["images"]))
    system = fields["system"] if fields["system"] else installed.model.system
    # A raw prompt is the whole prompt: no system text, no template.
    return (user,) if fields["raw"] or not system else (Message("system", system), user)


def plain_prompt(text: str) -> str:
    """Take the ChatML markers out of a raw prompt or an earlier ``context``."""
    return _MARKER.sub("", text)
