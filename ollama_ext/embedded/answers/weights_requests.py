"""The requests to llama.cpp's server that Ollama's requests become (wire reference 3, 4, 6)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ollama_ext.embedded.answers.run import Run
from ollama_ext.embedded.engine import Message
from ollama_ext.embedded.llama.process import Fields
from ollama_ext.embedded.protocol.options import DEFAULT_NUM_KEEP, whole

# Ollama's defaults, which are not llama.cpp's (wire reference 6).
_SAMPLING: Mapping[str, object] = {
    "temperature": 0.8,
    "top_k": 40,
    "top_p": 0.9,
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_last_n": 64,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}


@dataclass(frozen=True, slots=True)
class LlamaRequest:
    """A request to llama.cpp."""

    path: str  # its path
    body: Fields = field(repr=False)  # its body
    text: str | None = None  # the prompt of a completion of text; None for a chat


def chat_request(run: Run, messages: Sequence[Message]) -> LlamaRequest:
    """Return the chat over messages, by the model's own template."""
    prompt = run.prompt
    body: Fields = {
        "messages": [_message(message) for message in messages],
        # Makes the last event contain the counts.
        "stream_options": {"include_usage": True},
        **_sampling(run),
    }
    if prompt.tools:
        body["tools"] = [_without_nothing(tool) for tool in prompt.tools]
    if prompt.format == "json":
        body["response_format"] = {"type": "json_object"}
    elif prompt.format is not None:
        schema = {"name": "format", "schema": prompt.format}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if "thinking" in prompt.capabilities:
        body["chat_template_kwargs"] = _thinking(prompt.think)
    if run.top_logprobs is not None:
        # Asked for no alternatives, llama.cpp sends no probabilities at all.
        body |= {"logprobs": True, "top_logprobs": max(run.top_logprobs, 1)}
    return LlamaRequest("/v1/chat/completions", body)


def text_request(run: Run, prompt: str | list[int]) -> LlamaRequest:
    """Return the completion of a text or of tokens, without a template."""
    body: Fields = {"prompt": prompt, **_sampling(run)}
    if run.prompt.format is not None:
        body["json_schema"] = (
            {"type": "object"} if run.prompt.format == "json" else run.prompt.format
        )
    if run.top_logprobs is not None:
        body["n_probs"] = max(run.top_logprobs, 1)
    return LlamaRequest("/completion", body, prompt if isinstance(prompt, str) else "")


def _sampling(run: Run) -> Fields:
    options = run.prompt.options
    limit = whole(options, "num_predict", -1)
    body: Fields = {name: options.get(name, default) for name, default in _SAMPLING.items()}
    # 0 means "unset" on chat (wire reference 14); an answer has an end in any case (6).
    body["n_predict"] = limit if limit > 0 else 10 * run.window.num_ctx
    body["n_keep"] = whole(options, "num_keep", DEFAULT_NUM_KEEP)
    body["stop"] = options.get("stop", [])
    if whole(options, "seed", -1) >= 0:
        body["seed"] = options["seed"]
    return body


def _thinking(think: bool | str) -> Fields:
    told: Fields = {"enable_thinking": bool(think)}
    # A level is a name; True and False are not levels (wire reference 3.3).
    return told | {"reasoning_effort": think} if isinstance(think, str) else told


def _message(message: Message) -> Fields:
    told: Fields = {"role": message.role, "content": message.content}
    # Earlier reasoning is left out on this route (wire reference 3.1).
    if message.tool_calls:
        told["tool_calls"] = [
            {
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.tool_calls
        ]
    if message.tool_name:
        told["name"] = message.tool_name
    return told


def _without_nothing(value: object) -> object:
    # Templates test whether a key exists, so nulls are left out.
    if isinstance(value, Mapping):
        kept = {name: _without_nothing(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item is not None}
    return value
