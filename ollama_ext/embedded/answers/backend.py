"""What the endpoints of one server share, and the checks a chat or completion passes first."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from ollama_ext.embedded.models.declared import EmbeddedModel
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
    """One server's state, as its endpoints see it."""

    store: ModelStore
    loader: Loader
    vocabulary: "Vocabulary"
    token_delay_s: float = 0.0  # before each token, for each embedded text


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
    """Check that a model can chat, call tools, insert and think, as a request wants it to."""
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


def run_of(backend: Backend, fields: Fields, verb: str, asked: str, installed: Installed) -> Run:
    """Return the run of a checked request to ``"chat"`` or to ``"generate"``."""
    model = installed.model
    options = merge_options(model.parameters, fields["options"])
    window = _window(fields, options, model)
    completion = None
    if verb == "chat":
        messages = with_system(_messages(fields["messages"]), model.system)
    else:
        messages = _turns(backend, fields, model)
        completion = Completion(fields["raw"], tuple(fields["context"]))
    tools: Sequence[Mapping[str, object]] = fields.get("tools", ())
    fitted, refusal = _fitted(messages, tools, window, model, verb)
    # A bad format is found when inference begins, so it waits for the load too.
    try:
        wanted = check_format(fields["format"])
    except WireError as error:
        wanted, refusal = None, error
    if "vision" not in model.capabilities and any(one.images for one in fitted.messages):
        refusal = no_multimodal()
    prompt = Prompt(
        messages=fitted.messages,
        tools=tuple(tools),
        format=wanted,
        # By default, a model that can think does (wire reference 3.3).
        think="thinking" in model.capabilities if fields["think"] is None else fields["think"],
        options=options,
        suffix=fields.get("suffix", ""),
        capabilities=frozenset(model.capabilities),
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
        completion=completion,
    )


def _fitted(
    messages: tuple[Message, ...],
    tools: Sequence[Mapping[str, object]],
    window: Window,
    model: EmbeddedModel,
    verb: str,
) -> tuple[Fitted, WireError | None]:
    # Only the engine can count the tokens of weights, so the engine makes them fit.
    if model.weights is not None:
        return Fitted(messages, 0), None
    try:
        if verb == "chat":
            return fit_chat(messages, tools, window), None
        return fit_completion(messages, window), None
    except WireError as refusal:
        # The engine finds out after the load, so the refusal waits until then.
        return Fitted(messages, count_prompt(messages, tools)), refusal


def _num_ctx(options: Mapping[str, object], model: EmbeddedModel) -> int:
    return context_size(options, model.context_length, vision="vision" in model.capabilities)


def load_size(fields: Fields, model: EmbeddedModel) -> int:
    """Return the context in tokens that a load request asks for."""
    return _num_ctx(merge_options(model.parameters, fields["options"]), model)


def _window(fields: Fields, options: Mapping[str, object], model: EmbeddedModel) -> Window:
    return Window(
        num_ctx=_num_ctx(options, model),
        num_keep=whole(options, "num_keep", DEFAULT_NUM_KEEP),
        truncate=fields["truncate"] is not False,
        shift=fields["shift"] is not False,
        native=model.native_route,
    )


def with_system(messages: Sequence[Message], system: str) -> tuple[Message, ...]:
    """Put the Modelfile's system text first, unless the request brings its own."""
    if not system or (messages and messages[0].role == "system"):
        return tuple(messages)
    return (Message("system", system), *messages)


def _messages(given: Sequence[Fields]) -> list[Message]:
    same = ("content", "thinking", "tool_name")
    return [
        Message(
            role=item["role"].lower(),
            images=tuple(item["images"]),
            tool_calls=tuple(
                ToolCall(call["function"]["name"], call["function"]["arguments"])
                for call in item["tool_calls"]
            ),
            **{name: item[name] for name in same},
        )
        for item in given
    ]


def _turns(backend: Backend, fields: Fields, model: EmbeddedModel) -> tuple[Message, ...]:
    """Return the messages that a completion stands for; rules get the earlier turns as text."""
    prompt, earlier = fields["prompt"], ""
    if model.weights is None:
        prompt = plain_prompt(prompt)
        earlier = plain_prompt(backend.vocabulary.decode(fields["context"]))
    found = [Message("user", earlier)] if earlier else []
    found.append(Message("user", prompt, images=tuple(fields["images"])))
    system = fields["system"] if fields["system"] else model.system
    # A raw prompt is the whole prompt: no system text, no template.
    return tuple(found) if fields["raw"] or not system else (Message("system", system), *found)


def plain_prompt(text: str) -> str:
    """Take the ChatML markers out of a raw prompt or an earlier ``context``."""
    return _MARKER.sub("", text)
