"""What a server refuses is left out, asked for once more, and remembered for that server."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fault_ways import RIGHT, WAYS, Way, results_of
from langchain_core.messages import AIMessage, HumanMessage
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ThinkingBlock
from raw_server import Asked, Play, RawServer, Step
from right_answers import framed, is_generation, otherwise, right, sized

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport.errors import RequestRejectedError

STREAMED = [way for way in WAYS if way.form == "streamed" and way.is_openai]
WHOLE = [way for way in WAYS if way.form == "whole" and way.is_openai]
EMBEDDED = [way for way in WAYS if way.form == "embedded" and way.is_openai]
CHATS = [*WHOLE, *STREAMED]


def ids(way: Way) -> str:
    return way.id


def strict(is_refused: Callable[[Any], bool], status: int, body: Any) -> Play:
    """Return what a server says that refuses some requests and answers the others rightly."""

    def play(asked: Asked) -> list[Step]:
        if not is_generation(asked):
            return otherwise(asked)
        if is_refused(asked.json):
            data = json.dumps(body).encode()
            kind = b"Content-Type: application/json"
            return [sized(data, kind, status=b"%d Refused" % status)]
        return framed(right(asked))

    return play


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(lambda asked: play_of[0](asked)) as found:
        yield found


play_of: list[Play] = [otherwise]


def generations(server: RawServer) -> list[Any]:
    return [asked.json for asked in server.requests if is_generation(asked)]


def extra_field(*names: str) -> dict[str, Any]:
    """Return FastAPI's refusal of fields that it does not know."""
    return {
        "detail": [
            {"type": "extra_forbidden", "loc": ["body", *name.split(".")], "msg": "Extra inputs"}
            for name in names
        ]
    }


@pytest.mark.parametrize("way", STREAMED, ids=ids)
@pytest.mark.parametrize("status", [400, 422])
def test_stream_options_are_left_out_after_a_refusal(
    way: Way, server: RawServer, status: int
) -> None:
    """The second stream is asked for without it at once; the usage is made by us then."""
    play_of[0] = strict(
        lambda body: "stream_options" in body, status, extra_field("stream_options")
    )
    results = results_of(way, way.model(server.url, count_tokens=False), 2)
    assert results == [(RIGHT["streamed"], None)] * 2
    assert ["stream_options" in body for body in generations(server)] == [True, False, False]


@pytest.mark.parametrize("way", EMBEDDED, ids=ids)
def test_vectors_come_as_numbers_where_base64_is_refused(way: Way, server: RawServer) -> None:
    """Older vLLM and gateways refuse the field or the value."""
    play_of[0] = strict(lambda body: "encoding_format" in body, 422, extra_field("encoding_format"))
    results = results_of(way, way.model(server.url, count_tokens=False), 2)
    assert results == [(RIGHT["embedded"], None)] * 2
    assert ["encoding_format" in body for body in generations(server)] == [True, False, False]


@pytest.mark.parametrize("way", CHATS, ids=ids)
def test_any_json_is_asked_for_by_schema_where_it_is_refused(way: Way, server: RawServer) -> None:
    """LM Studio takes a schema alone; JSON mode works there in both frameworks."""
    play_of[0] = strict(
        lambda body: body["response_format"]["type"] == "json_object",
        400,
        {"error": "'response_format.type' must be 'json_schema' or 'text'"},
    )
    mode = {"format": "json"} if way.framework == "langchain" else {"json_mode": True}
    results = results_of(way, way.model(server.url, **mode), 2)
    assert [error for _, error in results] == [None, None]
    kinds = [body["response_format"]["type"] for body in generations(server)]
    assert kinds == ["json_object", "json_schema", "json_schema"]


def ask_with_thoughts(way: Way, server: RawServer, **settings: Any) -> Any:
    """Ask twice with a history that holds reasoning."""
    thought = AIMessage("Rome", additional_kwargs={"reasoning_content": "Hm."})
    blocks = [ThinkingBlock(content="Hm."), TextBlock(text="Rome")]
    told = {"base_url": f"{server.url}/v1", "api": "openai", "max_retries": 0, **settings}
    if way.framework == "langchain":
        with ChatOllama(model="m", **told) as model:
            history = [HumanMessage("Where?"), thought, HumanMessage("Sure?")]
            return [model.invoke(history).content for _ in range(2)]
    with Ollama(model="m", **told) as llm:
        turns = [
            ChatMessage("Where?"),
            ChatMessage(role="assistant", blocks=blocks),
            ChatMessage("Sure?"),
        ]
        return [str(llm.chat(turns).message.content) for _ in range(2)]


def fields_sent(server: RawServer) -> list[set[str]]:
    return [set(body["messages"][1]) - {"role", "content"} for body in generations(server)]


BLOCKING = [way for way in WHOLE if not way.is_async]
BOTH = {"reasoning", "reasoning_content"}


@pytest.mark.parametrize("way", BLOCKING, ids=ids)
@pytest.mark.parametrize(
    ("refused", "sent"),
    [
        ({"reasoning"}, [BOTH, {"reasoning_content"}, {"reasoning_content"}]),
        ({"reasoning_content"}, [BOTH, {"reasoning"}, {"reasoning"}]),
        (BOTH, [BOTH, set(), set()]),
    ],
)
def test_reasoning_travels_back_as_far_as_the_server_takes_it(
    way: Way, server: RawServer, refused: set[str], sent: list[set[str]]
) -> None:
    """Strict gateways refuse an agent's second turn for a field that others want."""
    names = [f"messages.1.{name}" for name in sorted(refused)]
    play_of[0] = strict(
        lambda body: bool(refused & set(body["messages"][1])), 422, extra_field(*names)
    )
    assert ask_with_thoughts(way, server) == [RIGHT["whole"]] * 2
    assert fields_sent(server) == sent


@pytest.mark.parametrize("way", BLOCKING, ids=ids)
def test_thoughts_that_a_template_takes_not_beside_calls_are_left_out(
    way: Way, server: RawServer
) -> None:
    """The template of gpt-oss fails with 500, and names no field."""
    words = "Cannot pass both content and thinking in an assistant message with tool calls!"
    play_of[0] = strict(
        lambda body: bool(BOTH & set(body["messages"][1])), 500, {"error": {"message": words}}
    )
    assert ask_with_thoughts(way, server) == [RIGHT["whole"]] * 2
    assert fields_sent(server) == [BOTH, set(), set()]


@pytest.mark.parametrize("way", STREAMED, ids=ids)
def test_a_quoted_request_refuses_nothing(way: Way, server: RawServer) -> None:
    """VLLM quotes the whole request, whatever is wrong with it."""
    words = "[{'type': 'value_error', 'msg': 'model is missing', 'input': {'stream_options': 1}}]"
    play_of[0] = strict(lambda _: True, 400, {"message": words})
    ((_, error),) = results_of(way, way.model(server.url), 1)
    assert isinstance(error, RequestRejectedError)
    assert len(generations(server)) == 1


@pytest.mark.parametrize("way", BLOCKING, ids=ids)
def test_reasoning_never_travels_back_where_it_shall_not(way: Way, server: RawServer) -> None:
    """No server has to refuse it first."""
    play_of[0] = otherwise
    ask_with_thoughts(way, server, reasoning_history="never")
    assert fields_sent(server) == [set(), set()]


@pytest.mark.parametrize("way", BLOCKING, ids=ids)
def test_reasoning_always_travels_back_where_it_must(way: Way, server: RawServer) -> None:
    """A refusal is raised then."""
    play_of[0] = strict(
        lambda body: "reasoning" in body["messages"][1], 422, extra_field("messages.1.reasoning")
    )
    with pytest.raises(RequestRejectedError, match="reasoning"):
        ask_with_thoughts(way, server, reasoning_history="always")
    assert fields_sent(server) == [BOTH]
