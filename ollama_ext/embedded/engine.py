"""What a model of the embedded server is: a function from a prompt to an answer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model wants made.

    Attributes:
        name: The tool's name.
        arguments: Its arguments by name.
    """

    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation, as the server decoded it.

    Attributes:
        role: ``system``, ``user``, ``assistant``, ``tool`` or anything else, lower-cased.
        content: Its text, ``""`` when there is none.
        thinking: Earlier reasoning, on assistant messages.
        images: Decoded pictures, in order.
        tool_calls: Calls the assistant made earlier.
        tool_name: Which tool a ``tool`` message answers for; may be empty.
    """

    role: str
    content: str
    thinking: str = ""
    images: tuple[bytes, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an engine receives, after the server has cut the history to the context length.

    Attributes:
        messages: The conversation; ``/api/generate`` gives a system and a user message.
        tools: The tools as Ollama keeps them (wire reference 3.4).
        format: None, ``"json"`` or a JSON schema.
        think: False, True or a level; already resolved, never None.
        options: The merged options.
        suffix: The text that must follow the answer, with ``/api/generate`` and ``insert``.
        capabilities: What the requested model can do.
    """

    # Long histories have been cut by now: an engine never sees more than fits its context.
    messages: Sequence[Message]
    tools: Sequence[Mapping[str, object]] = ()
    format: object = None
    think: bool | str = False
    options: Mapping[str, object] = field(default_factory=dict)
    suffix: str = ""
    capabilities: frozenset[str] = frozenset()


# Failing is part of the answer: an exception would be a bug of the engine, not of its model.
@dataclass(frozen=True, slots=True)
class Answer:
    """An engine's answer, or its failure.

    ```python
    from langchain_ollama_ext import ChatOllama
    from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama, Prompt, ToolCall

    def engine(prompt: Prompt) -> Answer:
        if prompt.tools:
            return Answer(tool_calls=[ToolCall("weather", {"city": "Rome"})])
        return Answer(thinking="Easy.", content=prompt.messages[-1].content.upper())

    with EmbeddedOllama([EmbeddedModel("shout", engine=engine)]) as server:
        print(ChatOllama(model="shout", base_url=server.url).invoke("Hello").content)
    ```

    Attributes:
        content: The text; an iterable is streamed piece by piece, and may be endless.
        thinking: The reasoning, streamed before the text.
        tool_calls: Calls, placed in the stream as the model's route does.
        failure: An error message, with which the engine fails after sending everything above.
        failure_status: The HTTP status of that failure when nothing was sent before it.
        ends_early: True ends the stream without ``done:true`` (wire reference 3.2).
    """

    content: str | Iterable[str] = ""
    thinking: str = ""
    tool_calls: Sequence[ToolCall] = ()
    failure: str | None = None
    failure_status: int = 500
    ends_early: bool = False


Engine = Callable[[Prompt], Answer]
"""What answers. It runs on the server's event loop, so it must not wait for anything: a test that
wants a pause gives `EmbeddedOllama` a ``token_delay_s`` or scripts a `Reply` with a `Gate`."""
