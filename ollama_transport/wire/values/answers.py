"""What servers answer, typed; the object as it came is kept in ``raw``, so nothing is lost."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from pydantic import ByteSize, computed_field

from ollama_transport.errors import ProtocolError
from ollama_transport.wire.values.arguments import NOTHING_KNOWN, RequestFacts, parted, refined
from ollama_transport.wire.values.base_answer import Answer, NamedAnswer
from ollama_transport.wire.values.by_key import ChatKeys, CompletionKeys, Logprob, VectorKeys
from ollama_transport.wire.values.checks import check_context, check_logprobs, whole_number
from ollama_transport.wire.values.lengths import listed_length
from ollama_transport.wire.values.messages import (
    Message,
    ToolCall,
    ToolCallDelta,
    read_message,
    read_tool_calls,
    with_ids,
)
from ollama_transport.wire.values.usage import Usage


# Not frozen, like `Message`: creating a frozen one takes 28,000 instructions instead of 3,000, and
# each token creates both. Nothing here changes them; a caller may.
@dataclass(slots=True)
class ChatLine(ChatKeys):
    """One line of a streamed chat, or a whole answer; both have the same shape.

    ```python
    import ollama_transport as ollama

    messages = [{"role": "user", "content": "Hello"}]
    for line in ollama.chat("llama3.2", messages, stream=True):
        print(line.text, end="" if not line.done else f" ({line.done_reason}, {line.usage})")
    ```

    ``message`` holds what this line adds. ``done_reason`` (stop, length, load, unload, …) and
    ``usage`` come with the last line, ``done`` being True; that line may carry text and tool
    calls as well (wire reference 3.2). ``tool_call_deltas`` are pieces of calls still being
    written, on wires that send them so. ``raw`` is the object as the server sent it.
    """

    message: Message
    model: str = ""
    created_at: str = ""
    done: bool = False
    done_reason: str | None = None
    usage: Usage | None = None
    logprobs: Sequence[Logprob] | None = None
    tool_call_deltas: tuple[ToolCallDelta, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """Return the text that this line adds; "" for none."""
        return self.message.content

    @property
    def thinking(self) -> str:
        """Return the reasoning that this line adds; "" for none."""
        return self.message.thinking

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Return the tool calls that this line adds, in the server's order."""
        return self.message.tool_calls

    @classmethod
    def from_native(cls, raw: Mapping[str, Any], asked: RequestFacts = NOTHING_KNOWN) -> Self:
        """Read a line of ``/api/chat``; null and absent count alike."""
        done = raw.get("done") is True
        message, created_at = read_message(raw.get("message")), _text(raw, "created_at")
        if message.tool_calls:
            calls = refined(
                [*parted(message.tool_calls)], asked, is_cut=raw.get("done_reason") == "length"
            )
            # Servers before 0.12.10 send no ids (wire reference 12); frameworks need one.
            calls_with_ids = with_ids(calls, f"{created_at}|{asked.turn}")
            message = replace(message, tool_calls=calls_with_ids)
        # Positional: this runs for every token, and keyword arguments cost a quarter more.
        return cls(
            message,
            _text(raw, "model"),
            created_at,
            done,
            _reason(raw),
            # Metrics stand on the last line alone (wire reference 3.2).
            Usage.from_native(raw) if done else None,
            check_logprobs(raw.get("logprobs")),
            (),
            raw,
        )


# Not frozen: see `ChatLine`.
@dataclass(slots=True)
class GenerateLine(CompletionKeys):
    """One line of ``/api/generate``, or a whole answer; like `ChatLine`, with plain text.

    ```python
    import ollama_transport as ollama

    answer = ollama.generate("llama3.2", "Name a river.")
    print(answer.text, answer.usage.completion_tokens)
    ```

    ``context`` holds the token ids of prompt and answer, on the last line only.
    """

    text: str
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    model: str = ""
    created_at: str = ""
    done: bool = False
    done_reason: str | None = None
    context: Sequence[int] | None = None
    usage: Usage | None = None
    logprobs: Sequence[Logprob] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_native(cls, raw: Mapping[str, Any]) -> Self:
        """Read a line of ``/api/generate``; null and absent count alike."""
        done = raw.get("done") is True
        return cls(
            text=_text(raw, "response"),
            thinking=_text(raw, "thinking"),
            # Only those of the very last piece arrive on this endpoint (wire reference 4).
            tool_calls=tuple(refined(read_tool_calls(raw.get("tool_calls")), NOTHING_KNOWN)),
            model=_text(raw, "model"),
            created_at=_text(raw, "created_at"),
            done=done,
            done_reason=_reason(raw),
            context=check_context(raw.get("context")),
            usage=Usage.from_native(raw) if done else None,
            logprobs=check_logprobs(raw.get("logprobs")),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Embeddings(VectorKeys):
    """The vectors of a batch of texts, in the order of the texts.

    ```python
    import ollama_transport as ollama

    answer = ollama.embed("nomic-embed-text", ["a cat", "a dog"])
    print(len(answer.vectors), len(answer.vectors[0]))
    ```
    """

    vectors: list[list[float]]
    model: str = ""
    usage: Usage | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_native(cls, raw: Mapping[str, Any]) -> Self:
        """Read an answer of ``/api/embed``, or of the legacy ``/api/embeddings``.

        Raises:
            ProtocolError: when it holds no vectors.
        """
        # The legacy endpoint sends one vector, under the singular (wire reference 5.2).
        vectors = [raw["embedding"]] if "embedding" in raw else raw.get("embeddings")
        return cls(
            vectors=_vectors(vectors),
            model=_text(raw, "model"),
            usage=Usage.from_native(raw),
            raw=raw,
        )


def _vectors(value: object) -> list[list[float]]:
    if not isinstance(value, list) or not all(isinstance(vector, list) for vector in value):
        raise ProtocolError("the answer holds no list of vectors under `embeddings`")
    return value


def _reason(raw: Mapping[str, Any]) -> str | None:
    value = raw.get("done_reason")
    return value if isinstance(value, str) else None


def _text(raw: Mapping[str, Any], key: str) -> str:
    return value if isinstance(value := raw.get(key), str) else ""


class ModelDetails(Answer):
    """Facts about a model's weights; None if the server does not know them."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    # null where the GGUF names none (wire reference 5.3).
    families: list[str] | None = None
    parameter_size: str = ""
    quantization_level: str = ""
    context_length: int | None = None
    embedding_length: int | None = None


class ModelSummary(NamedAnswer):
    """A model that the server has, as ``/api/tags`` lists it (wire reference 5.3).

    ```python
    import ollama_transport as ollama

    for model in ollama.list():
        print(model.name, model.size, model.details.quantization_level)
    ```

    ``size`` is in bytes. ``capabilities`` are computed from less than those of `ShowAnswer`: rely
    on the latter.
    """

    name: str
    model: str = ""
    # In the server's own time zone, unlike created_at (wire reference 1.16).
    modified_at: datetime | None = None
    size: ByteSize = ByteSize(0)
    digest: str = ""
    details: ModelDetails | None = None
    capabilities: list[str] | None = None
    remote_model: str | None = None
    remote_host: str | None = None

    @classmethod
    def from_openai(cls, raw: Mapping[str, Any]) -> Self:
        """Read a model of ``/v1/models``, which may say its context (see `listed_length`)."""
        length, made = listed_length(raw), raw.get("created")
        # Keys of other servers with our names mean other things.
        rest = {key: value for key, value in raw.items() if key not in cls.model_fields}
        # Unix seconds, which pydantic reads as a time.
        own = {"name": raw.get("id"), "model": raw.get("id")}
        if isinstance(made, int | float):
            own["modified_at"] = made
        details = None if length is None else {"context_length": length}
        answer = cls.from_native({**rest, **own, "details": details})
        answer._raw = raw
        return answer


class ModelList(Answer):
    """The models of a server, in its order; Ollama lists the newest first."""

    models: list[ModelSummary]

    @classmethod
    def from_openai(cls, raw: Mapping[str, Any]) -> Self:
        """Read an answer of ``/v1/models``, whose ``data`` is null for none (wire reference 10.4).

        Raises:
            ProtocolError: when it holds no list of models.
        """
        entries = raw.get("data")
        entries = [] if entries is None else entries
        if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
            raise ProtocolError("the answer holds no list of models under `data`")
        answer = cls.from_native({"models": [ModelSummary.from_openai(e) for e in entries]})
        answer._raw = raw
        return answer


class RunningModel(NamedAnswer):
    """A model in memory; ``size`` and ``size_vram`` in bytes, ``context_length`` in tokens.

    ```python
    import ollama_transport as ollama

    ollama.generate("llama3.2", "Hello")
    for model in ollama.ps():
        print(model.name, model.context_length, model.expires_at)
    ```
    """

    name: str
    model: str = ""
    size: ByteSize = ByteSize(0)
    digest: str = ""
    details: ModelDetails | None = None
    # Some 292 years ahead for a model that is kept for ever (wire reference 3.7).
    expires_at: datetime | None = None
    size_vram: ByteSize = ByteSize(0)
    # What the model runs with, often less than it was trained for (wire reference 3.8).
    context_length: int | None = None


class RunningList(Answer):
    """The models in memory, the one that stays longest first (wire reference 5.3)."""

    models: list[RunningModel]


class ShowAnswer(Answer):
    """The answer of ``/api/show`` (wire reference 9).

    ```python
    import ollama_transport as ollama

    model = ollama.show("llama3.2")
    print(model.can("tools"), model.context_length, model.details.family)
    ```
    """

    capabilities: list[str] | None = None
    details: ModelDetails | None = None
    model_info: dict[str, Any] | None = None
    parameters: str | None = None
    template: str | None = None
    system: str | None = None
    modelfile: str | None = None
    license: str | None = None
    messages: list[dict[str, Any]] | None = None
    projector_info: dict[str, Any] | None = None
    # Sent without `verbose`, too: one answer can be large (wire reference 9).
    tensors: list[dict[str, Any]] | None = None
    modified_at: datetime | None = None
    remote_model: str | None = None
    remote_host: str | None = None
    requires: str | None = None

    @computed_field  # type: ignore[prop-decorator] # mypy knows no decorator above a property
    @property
    def modelinfo(self) -> dict[str, Any] | None:
        """Return ``model_info`` under ollama-python's name."""
        return self.model_info

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:
        yield from super().__iter__()
        yield "modelinfo", self.modelinfo  # for ``dict(answer)``

    def can(self, capability: str) -> bool:
        """Return whether the model has a capability: completion, tools, insert, vision, …."""
        return self.capabilities is not None and capability in self.capabilities

    @property
    def context_length(self) -> int | None:
        """Return the context that the model was trained for, in tokens; None when unknown."""
        return self._architecture_fact("context_length")

    @property
    def embedding_length(self) -> int | None:
        """Return the size of the model's vectors; None when unknown."""
        return self._architecture_fact("embedding_length")

    @property
    def num_ctx(self) -> int | None:
        """Return the context length set in the Modelfile, in tokens; None when it sets none."""
        # Text in columns, its lines in random order (wire reference 9).
        for line in (self.parameters or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "num_ctx" and (count := whole_number(value.strip())) is not None:
                return count
        return None

    def _architecture_fact(self, name: str) -> int | None:
        facts = self.model_info if self.model_info is not None else {}
        # The keys begin with the architecture, as in llama.context_length (wire reference 9).
        value = facts.get(f"{facts.get('general.architecture')}.{name}")
        return value if isinstance(value, int) and not isinstance(value, bool) else None


class Version(Answer):
    """The server's version."""

    version: str


class Progress(Answer):
    """One step of a pull, push or create.

    ```python
    import ollama_transport as ollama

    for step in ollama.create("brief", from_="llama3.2", system="Be brief.", stream=True):
        print(step.status, step.completed, step.total)
    ```

    ``total`` and ``completed`` are bytes of the layer ``digest``; ``status`` is "success" at the
    end (wire reference 5.5).
    """

    status: str = ""
    digest: str | None = None
    total: int | None = None
    # Left out while it is 0 (wire reference 5.5).
    completed: int | None = None

    @property
    def done(self) -> bool:
        """Return whether this is the last line of a successful transfer."""
        return self.status == "success"
