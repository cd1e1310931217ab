"""Histories that a model's template refuses: sent otherwise, or refused with a way out."""

import json
from typing import Any

import httpx
import pytest
from faked import Network
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaLLM
from llamaindex_ollama_ext import Ollama
from ollama_transport import ModelNotFoundError, RequestRejectedError

both = pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
forms = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
wires = pytest.mark.parametrize("root", ["http://h", "http://h/v1"], ids=["native", "v1"])

FOREIGN = "call_3f2a-of-another-server"
# vLLM's tokenizer for Mistral's models, and their template in llama.cpp.
ID_REFUSALS = [
    (400, f"Tool call id was {FOREIGN} but must be a-z, A-Z, 0-9, with a length of 9."),
    (500, "Value is not callable: Tool call IDs should be alphanumeric strings with length 9!"),
    # Mistral's API, OpenAI's, and what gateways repeat of Bedrock
    (400, f"Function call id was {FOREIGN} but must be a-z, A-Z, 0-9, with a length of 9."),
    (
        400,
        "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum "
        "length 40, but got a string with length 64 instead.",
    ),
    (400, "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"),
]


def is_short(identity: str) -> bool:
    return len(identity) == 9 and identity.isascii() and identity.isalnum()


def ids_of(body: Any) -> list[str]:
    called = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
    return called + [m["tool_call_id"] for m in body["messages"] if "tool_call_id" in m]


class Templated(Network):
    """A server of /v1 whose template takes ids of nine letters and digits alone."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(httpx.Response(404))
        self.refusal = status, words

    @property
    def bodies(self) -> list[Any]:
        chats = [r for r in self.requests if r.url.path.endswith("/chat/completions")]
        return [json.loads(request.content) for request in chats]

    def _play(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/chat/completions"):
            return super()._play(request)
        self.requests.append(request)
        body = json.loads(request.content)
        if not all(map(is_short, ids_of(body))):
            status, words = self.refusal
            return httpx.Response(status, json={"error": {"message": words}})
        if body["stream"]:
            delta = {"choices": [{"index": 0, "delta": {"content": "It rains."}}]}
            last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            events = "".join(f"data: {json.dumps(event)}\n\n" for event in (delta, last))
            return httpx.Response(200, text=f"{events}data: [DONE]\n\n")
        choice = {"index": 0, "message": {"content": "It rains."}, "finish_reason": "stop"}
        return httpx.Response(200, json={"choices": [choice]})


def history_of(kind: Any) -> list[Any]:
    """Return a question, a call that another server made, and its result."""
    if kind is ChatOllama:
        call = {"name": "weather", "args": {"city": "Rome"}, "id": FOREIGN}
        return [
            HumanMessage("Weather?"),
            AIMessage("", tool_calls=[call]),
            ToolMessage("rain", tool_call_id=FOREIGN),
        ]
    block = ToolCallBlock(tool_call_id=FOREIGN, tool_name="weather", tool_kwargs={"city": "Rome"})
    result = {"tool_call_id": FOREIGN, "name": "weather"}
    return [
        ChatMessage("Weather?"),
        ChatMessage(role="assistant", blocks=[block]),
        ChatMessage("rain", role="tool", additional_kwargs=result),
    ]


async def _all(items: Any) -> list[Any]:
    return [item async for item in items]


async def _awaited(items: Any) -> list[Any]:
    return await _all(await items)


def answer(run: Run, model: Any, messages: list[Any], streams: bool) -> str:
    """Return the text of an answer, in any of the four ways."""
    if isinstance(model, ChatOllama):
        if streams:
            begun = model.astream(messages) if run.is_async else model.stream(messages)
            return "".join(str(c.content) for c in (run(_all(begun)) if run.is_async else begun))
        found = run(model.ainvoke(messages)) if run.is_async else model.invoke(messages)
        return str(found.content)
    if streams:
        if run.is_async:
            return str(run(_awaited(model.astream_chat(messages)))[-1].message.content)
        return str(list(model.stream_chat(messages))[-1].message.content)
    found = run(model.achat(messages)) if run.is_async else model.chat(messages)
    return str(found.message.content)


def made(closing: list[Any], kind: Any, root: str, network: Network, **more: Any) -> Any:
    settings = {"base_url": root, "client_kwargs": {"transport": network}, "count_tokens": False}
    model = kind(model="m", max_retries=0, **settings, **more)
    closing.append(model)
    return model


@both
@forms
@pytest.mark.parametrize(
    ("status", "words"), ID_REFUSALS, ids=["vLLM", "llama.cpp", "Mistral", "OpenAI", "Bedrock"]
)
def test_ids_of_another_server_are_sent_in_a_form_that_the_template_takes(
    run: Run, closing: list[Any], kind: Any, streams: bool, status: int, words: str
) -> None:
    """The refusal is met once; a call and its result keep one id."""
    network = Templated(status, words)
    model = made(closing, kind, "http://h/v1", network, api="openai")
    for _ in range(2):
        assert answer(run, model, history_of(kind), streams) == "It rains."
    first, *mended = map(ids_of, network.bodies)
    assert first == [FOREIGN] * 2
    assert len(mended) == 2
    assert mended[0] == mended[1]
    assert len(set(mended[0])) == 1


class Refusing(Network):
    def __init__(self, status: int, error: Any) -> None:
        super().__init__(httpx.Response(status, json={"error": error}))


def scattered(kind: Any) -> list[Any]:
    """Return a chat with system messages at its beginning and in its middle."""
    if kind is ChatOllama:
        return [SystemMessage("Be brief."), HumanMessage("Hi"), SystemMessage("In Latin.")]
    return [
        ChatMessage("Be brief.", role=MessageRole.SYSTEM),
        ChatMessage(blocks=[TextBlock(text="Hi")]),
        ChatMessage("In Latin.", role=MessageRole.SYSTEM),
    ]


@both
@wires
@pytest.mark.parametrize("merges", [False, True])
def test_system_messages_are_merged_where_that_is_wanted(
    run: Run, closing: list[Any], kind: Any, root: str, merges: bool
) -> None:
    """Not by default: most templates take them anywhere."""
    network = Refusing(400, "enough")
    model = made(closing, kind, root, network, api="openai" if "v1" in root else "auto")
    changed = model.model_copy(update={"merge_system": merges})
    closing.append(changed)
    with pytest.raises(RequestRejectedError):
        answer(run, changed, scattered(kind), streams=False)
    chats = [r for r in network.requests if r.url.path.endswith(("/chat", "/chat/completions"))]
    messages = json.loads(chats[0].content)["messages"]
    found = [(message["role"], message["content"]) for message in messages]
    merged = [("system", "Be brief.\n\nIn Latin."), ("user", "Hi")]
    apart = [("system", "Be brief."), ("user", "Hi"), ("system", "In Latin.")]
    assert found == (merged if merges else apart)


@both
@forms
@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [
        (
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding",
            "needs its result",
        ),
        (500, "Not the same number of function calls and responses", "needs its result"),
        (400, "Messages with role 'tool' must be a response to a preceding message", "its call"),
        *((*refusal, "nine letters and digits") for refusal in ID_REFUSALS),
    ],
)
def test_a_template_s_refusal_says_what_to_do_and_is_not_tried_again(
    run: Run, closing: list[Any], kind: Any, streams: bool, status: int, words: str, hint: str
) -> None:
    """The request is at fault, though many servers answer 500."""
    network = Refusing(status, {"message": words})
    model = made(closing, kind, "http://h/v1", network, api="openai")
    with pytest.raises(RequestRejectedError, match=hint) as caught:
        answer(run, model.model_copy(update={"max_retries": 3}), scattered(kind), streams)
    assert not getattr(caught.value, "is_retryable", False)
    assert network.paths == ["/v1/chat/completions"]


@both
@forms
@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (
            {
                "message": "No models loaded. Please load a model in the developer page or use "
                "the `lms load` command.",
                "code": "model_not_found",
            },
            "lms load MODEL",
        ),
        ({"message": "There is no such thing.", "code": "model_not_found"}, "Client.list"),
    ],
    ids=["LM Studio", "by its code"],
)
def test_a_model_that_is_not_loaded_is_a_missing_model(
    run: Run, closing: list[Any], kind: Any, streams: bool, error: Any, hint: str
) -> None:
    """With the server's own way to get it."""
    model = made(closing, kind, "http://h/v1", Refusing(404, error), api="openai")
    with pytest.raises(ModelNotFoundError, match=hint):
        answer(run, model, scattered(kind), streams)


class ChatAlone(Network):
    """A server of /v1 that has no ``/v1/completions``."""

    def __init__(self, refusal: httpx.Response) -> None:
        super().__init__(refusal)

    def _play(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/chat/completions"):
            return super()._play(request)
        self.requests.append(request)
        if json.loads(request.content)["stream"]:
            event = {"choices": [{"delta": {"content": "Rome"}, "finish_reason": "stop"}]}
            return httpx.Response(200, text=f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n")
        choice = {"index": 0, "message": {"content": "Rome"}, "finish_reason": "stop"}
        return httpx.Response(200, json={"choices": [choice]})


def completed(run: Run, llm: OllamaLLM, prompt: str, streams: bool) -> str:
    if streams:
        return "".join(run(_all(llm.astream(prompt))) if run.is_async else llm.stream(prompt))
    return str(run(llm.ainvoke(prompt)) if run.is_async else llm.invoke(prompt))


@forms
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"detail": "Not Found"}),
        (405, {"detail": "Method Not Allowed"}),
        (400, {"message": "The model does not support Completions API"}),
    ],
    ids=["404", "405", "vLLM"],
)
def test_completions_go_by_chat_without_a_completions_endpoint(
    run: Run, closing: list[Any], streams: bool, status: int, body: Any
) -> None:
    """LangChain's OllamaLLM as LlamaIndex's complete; the server is asked once."""
    network = ChatAlone(httpx.Response(status, json=body))
    llm = made(closing, OllamaLLM, "http://h/v1", network, api="openai", num_predict=9)
    for _ in range(2):
        assert completed(run, llm, "Where?", streams) == "Rome"
    chat = "/v1/chat/completions"
    assert network.paths == ["/v1/completions", chat, chat]
    sent = json.loads(network.requests[-1].content)
    assert sent["messages"] == [{"role": "user", "content": "Where?"}]
    assert sent["max_tokens"] == 9


@pytest.mark.parametrize("streams", [False, True])
def test_a_missing_model_is_not_a_missing_endpoint(
    run: Run, closing: list[Any], streams: bool
) -> None:
    """Both are a 404."""
    words = {"error": {"message": "The model `m` does not exist.", "code": 404}}
    llm = made(closing, OllamaLLM, "http://h/v1", ChatAlone(httpx.Response(404, json=words)))
    with pytest.raises(ModelNotFoundError):
        completed(run, llm, "Hi", streams)
