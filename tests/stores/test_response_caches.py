"""LangChain's caches of answers over our models: in memory, and in a SQLite file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState, StateGraph
from running import Run
from versions import needs

from langchain_ollama_ext import ChatOllama, OllamaLLM
from ollama_ext.embedded import EmbeddedOllama, Reply

pytestmark = [
    # langchain-community announces its end whenever it is imported.
    pytest.mark.filterwarnings("ignore:.*langchain-community.*:DeprecationWarning"),
    # SQLiteCache reads its own rows with a default that core will change.
    pytest.mark.filterwarnings("ignore:The default value of `allowed_objects`"),
]

QUESTION = "What is a lighthouse for?"
WEATHER = [("get_weather", {"city": "Oslo"})]
OTHERS: list[dict[str, Any]] = [
    {"model": "demo-rendered"},
    {"temperature": 0.5},
    {"seed": 7},
    {"num_ctx": 4096},
    {"num_predict": 9},
    {"stop": ["ship"]},
    {"keep_alive": 5},
    {"format": "json"},
    {"reasoning": True},
]
OF_CHATS = OTHERS
OF_COMPLETIONS = [other for other in OTHERS if "keep_alive" not in other]


class Caches:
    """Open caches of one kind; a SQLite one anew on the same file, as another process would."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._file = None if kind == "memory" else str(folder / "answers.db")
        self._open: list[Any] = [] if self._file else [InMemoryCache()]

    def again(self) -> BaseCache:
        if self._file is None:
            return self._open[0]
        from langchain_community.cache import SQLiteCache

        self._open.append(SQLiteCache(self._file))
        return self._open[-1]

    def close(self) -> None:
        for cache in self._open if self._file else []:
            cache.engine.dispose()


@pytest.fixture(params=["memory", "sqlite"])
def caches(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Caches]:
    opened = Caches(request.param, tmp_path)
    yield opened
    opened.close()


def asked(run: Run, model: ChatOllama | OllamaLLM, question: str = QUESTION) -> Any:
    """Ask a model once, blocking or not, and close it."""
    if run.is_async:
        answer = run(model.ainvoke(question))
        run(model.aclose())
    else:
        answer = model.invoke(question)
        model.close()
    return answer


def test_a_chat_is_answered_once(run: Run, caches: Caches, server: EmbeddedOllama) -> None:
    """An equal model takes the answer from the cache: no request, same words, same usage."""
    first, second = (
        asked(run, ChatOllama(model="demo", base_url=server.url, cache=caches.again()))
        for _ in range(2)
    )
    assert len(server.requests) == 1
    assert second.content == first.content
    assert second.response_metadata == first.response_metadata
    # Core notes that nothing was paid.
    assert second.usage_metadata == first.usage_metadata | {"total_cost": 0}


def test_tool_calls_and_thoughts_come_back_whole(
    run: Run, caches: Caches, server: EmbeddedOllama
) -> None:
    """What the cache gives is as good as the answer: calls, arguments, thoughts."""
    server.script([Reply.chat("", thinking="Oslo, then.", tool_calls=WEATHER)])
    first, second = (
        asked(run, ChatOllama(model="demo", base_url=server.url, cache=caches.again()))
        for _ in range(2)
    )
    assert isinstance(second, AIMessage)
    assert [(call["name"], call["args"]) for call in second.tool_calls] == [
        ("get_weather", {"city": "Oslo"})
    ]
    assert second.tool_calls == first.tool_calls
    assert second.additional_kwargs == first.additional_kwargs
    assert second.content_blocks == first.content_blocks


@pytest.mark.parametrize("other", OF_CHATS, ids=lambda other: next(iter(other)))
def test_chats_that_differ_never_share_an_answer(
    run: Run, caches: Caches, server: EmbeddedOllama, other: dict[str, Any]
) -> None:
    """Another model or option asks for itself, and the first still finds its own answer."""
    server.script([Reply.chat("first"), Reply.chat("second"), Reply.chat("third")])
    settings: dict[str, Any] = {"model": "demo", "base_url": server.url}
    answers = [
        asked(run, ChatOllama(**settings | more, cache=caches.again())).content
        for more in ({}, other, {}, other)
    ]
    assert answers == ["first", "second", "first", "second"]


@pytest.mark.parametrize("other", OF_COMPLETIONS, ids=lambda other: next(iter(other)))
def test_completions_that_differ_never_share_an_answer(
    run: Run, caches: Caches, server: EmbeddedOllama, other: dict[str, Any]
) -> None:
    """The same for completions, of whose settings core knows less."""
    server.script([Reply.chat("first"), Reply.chat("second"), Reply.chat("third")])
    settings: dict[str, Any] = {"model": "demo", "base_url": server.url}
    answers = [
        asked(run, OllamaLLM(**settings | more, cache=caches.again()))
        for more in ({}, other, {}, other)
    ]
    assert answers == ["first", "second", "first", "second"]


@pytest.mark.parametrize("kind", [ChatOllama, OllamaLLM])
def test_two_servers_never_share_an_answer(
    run: Run, caches: Caches, server: EmbeddedOllama, kind: type[ChatOllama | OllamaLLM]
) -> None:
    """The same name may be another model on another server."""
    with EmbeddedOllama() as other:
        for url in (server.url, other.url, server.url, other.url):
            asked(run, kind(model="demo", base_url=url, cache=caches.again()))
        assert (len(server.requests), len(other.requests)) == (1, 1)


def test_one_cache_keeps_chats_and_completions_apart(
    run: Run, caches: Caches, server: EmbeddedOllama
) -> None:
    """A chat's answer is never a completion's."""
    for kind in (ChatOllama, OllamaLLM, ChatOllama, OllamaLLM):
        asked(run, kind(model="demo", base_url=server.url, cache=caches.again()))
    assert [request.path for request in server.requests] == ["/api/chat", "/api/generate"]


def graph_of(model: ChatOllama) -> Any:
    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.set_entry_point("answer")
    return graph.compile()


def test_a_streamed_answer_is_replayed(caches: Caches, server: EmbeddedOllama) -> None:
    """A graph that streams its model's words streams them from the cache, without a request."""
    told = []
    for _ in range(2):
        with ChatOllama(model="demo", base_url=server.url, cache=caches.again()) as model:
            pieces = graph_of(model).stream(
                {"messages": [("user", QUESTION)]}, stream_mode="messages"
            )
            told.append([piece.text for piece, _ in pieces])
    assert len(told[0]) > 10, "the first time it comes in pieces"
    assert "".join(told[1]) == "".join(told[0])
    assert len(server.requests) == 1


@needs("langgraph", "1.2", "events of the third version")
# The events are new and announce it.
@pytest.mark.filterwarnings("ignore:The v3 streaming protocol on Pregel is experimental")
def test_streamed_events_are_replayed(caches: Caches, server: EmbeddedOllama) -> None:
    """The same with events of the third version, which core makes of a cached answer."""
    told = []
    for _ in range(2):
        with ChatOllama(model="demo", base_url=server.url, cache=caches.again()) as model:
            events = graph_of(model).stream_events({"messages": [("user", QUESTION)]}, version="v3")
            told.append(["".join(message.text) for message in events.messages])
    assert told[1] == told[0]
    assert len("".join(told[0])) > 10
    assert len(server.requests) == 1


def test_a_stream_asks_each_time(run: Run, caches: Caches, server: EmbeddedOllama) -> None:
    """`stream` itself is never taken from a cache, as core has it: the words come as they are."""
    for _ in range(2):
        with ChatOllama(model="demo", base_url=server.url, cache=caches.again()) as model:
            asked_now = model.astream(QUESTION) if run.is_async else model.stream(QUESTION)
            assert len(run.lines(asked_now)) > 10
            if run.is_async:
                run(model.aclose())
    assert len(server.requests) == 2


def test_failures_are_not_cached(run: Run, caches: Caches, server: EmbeddedOllama) -> None:
    """A call that failed is asked again."""
    server.script([Reply.error("out of memory")])
    model = ChatOllama(model="demo", base_url=server.url, cache=caches.again(), max_retries=0)
    with pytest.raises(Exception, match="out of memory"):
        asked(run, model)
    again = asked(run, ChatOllama(model="demo", base_url=server.url, cache=caches.again()))
    assert again.content
    assert len(server.requests) == 2
