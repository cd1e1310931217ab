"""LlamaIndex's engines over both models and a real socket: questions, chats, routes, ranks."""

import asyncio
import json
from typing import Any

import pytest
from engine_ways import ask, chats, opening
from llama_corpus import FACTS, SUNSET, documents, embedding_at, index_at, memory_of, model_at
from llama_index.core import Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.query_engine import (
    RetrieverQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.selectors import (
    LLMMultiSelector,
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.tools import QueryEngineTool
from llama_ways import chat_lines, chat_reply
from pydantic import BaseModel
from running import Run

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply

pytestmark = [SUNSET, pytest.mark.usefixtures("main_loop")]

DEEP, DEPTH = "How deep is Lake Baikal?", "1642 metres deep"


@pytest.fixture
def index(server: EmbeddedOllama) -> VectorStoreIndex:
    return index_at(server.url)


@pytest.fixture
def llm(server: EmbeddedOllama) -> Ollama:
    return model_at(server.url)


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
def test_a_question_is_answered_from_the_documents(
    index: VectorStoreIndex, llm: Ollama, run: Run, mode: Any, streaming: bool
) -> None:
    """Each synthesizer answers from the right document and names it as a source."""
    engine = index.as_query_engine(
        llm=llm, response_mode=mode, similarity_top_k=2, streaming=streaming
    )
    text, sources, pieces = answered(run, engine)
    assert DEPTH in text
    assert sources[0] == "Baikal"
    assert len(pieces) > 5 if streaming else pieces == []


def answered(run: Run, engine: Any) -> tuple[str, list[str], list[str]]:
    """Return the text, the topics of its sources, and the pieces it came in."""
    response = ask(run, engine, "query", DEEP)
    stream = getattr(response, "response_gen", None)
    if stream is None:
        pieces = []
    elif run.is_async:
        pieces = run(gathered(stream))
    else:
        pieces = list(stream)
    return "".join(pieces) or str(response), topics(response), pieces


async def gathered(stream: Any) -> list[str]:
    return [piece async for piece in stream]


def topics(response: Any) -> list[str]:
    """Return the topics of the sources; what a sub-question came to has none."""
    found = [node.metadata.get("topic") for node in response.source_nodes]
    return [topic for topic in found if topic is not None]


def test_a_long_text_is_refined(server: EmbeddedOllama, llm: Ollama) -> None:
    """Several chunks are answered one after the other, each with what is known by then."""
    synthesizer = get_response_synthesizer(response_mode="refine", llm=llm)  # type: ignore[arg-type] # the enum's value is taken too
    nodes = [NodeWithScore(node=TextNode(text=text), score=1.0) for text in FACTS.values()]
    assert DEPTH in str(synthesizer.synthesize(DEEP, nodes))
    chats = [request for request in server.requests if request.path == "/api/chat"]
    assert len(chats) == len(FACTS)


def test_a_summary_index_reads_everything(llm: Ollama) -> None:
    """An index without vectors works over the model alone."""
    engine = SummaryIndex.from_documents(documents()).as_query_engine(
        llm=llm, response_mode="tree_summarize", use_async=True
    )
    assert DEPTH in str(engine.query(DEEP))


def test_real_counts_reach_the_counter(
    index: VectorStoreIndex, llm: Ollama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D12: a question counts the server's tokens once, not an estimate."""
    counter = TokenCountingHandler(tokenizer=str.split)
    monkeypatch.setattr(Settings, "_callback_manager", CallbackManager([counter]))
    index.as_query_engine(llm=llm, similarity_top_k=1).query(DEEP)
    (count,) = counter.llm_token_counts
    assert count.prompt_token_count > 20
    assert count.completion_token_count > 5


@pytest.mark.parametrize("mode", ["context", "condense_plus_context", "condense_question"])
def test_a_chat_remembers(index: VectorStoreIndex, llm: Ollama, mode: Any) -> None:
    """The second question is understood through the first; both stand in the memory."""
    memory = memory_of(llm)
    engine = index.as_chat_engine(chat_mode=mode, llm=llm, memory=memory, similarity_top_k=1)
    assert "4478" in str(engine.chat("How high is the Matterhorn?"))
    assert "1865" in str(engine.chat("And when was it first climbed?"))
    assert [message.role.value for message in memory.get_all()] == ["user", "assistant"] * 2
    engine.reset()
    assert memory.get_all() == []


@pytest.mark.parametrize("mode", ["context", "condense_plus_context"])
def test_a_chat_streams(index: VectorStoreIndex, llm: Ollama, mode: Any) -> None:
    """A streamed chat brings its answer in pieces, blocking and asynchronous."""
    engine = index.as_chat_engine(
        chat_mode=mode, llm=llm, memory=memory_of(llm), similarity_top_k=1
    )
    pieces = list(engine.stream_chat(DEEP).response_gen)
    assert DEPTH in "".join(pieces)
    assert len(pieces) > 5

    async def talk() -> list[str]:
        response = await engine.astream_chat("How high is the Matterhorn?")
        return [piece async for piece in response.async_response_gen()]

    assert "4478" in "".join(asyncio.run(talk()))


def tools_over(index: VectorStoreIndex, llm: Ollama) -> list[QueryEngineTool]:
    about = {
        "nature": "Answers questions about mountains, lakes and rivers.",
        "food": "Answers questions about food and cheese.",
    }
    engine = index.as_query_engine(llm=llm, similarity_top_k=2)
    return [
        QueryEngineTool.from_defaults(engine, name=name, description=text)
        for name, text in about.items()
    ]


@pytest.mark.parametrize(
    "selector",
    [LLMSingleSelector, LLMMultiSelector, PydanticSingleSelector, PydanticMultiSelector],
)
def test_a_router_picks_the_right_engine(
    index: VectorStoreIndex, llm: Ollama, selector: Any
) -> None:
    """Selectors that read text and those that read objects choose the tool that fits."""
    engine = RouterQueryEngine.from_defaults(
        tools_over(index, llm), llm=llm, selector=selector.from_defaults(llm=llm)
    )
    response = engine.query("Which food is cheese fondue, and what is it made of?")
    assert "Gruyere" in str(response)
    assert response.metadata is not None
    assert response.metadata["selector_result"].selections[0].index == 1


def sub_questions(index: VectorStoreIndex, llm: Ollama, **how: Any) -> SubQuestionQueryEngine:
    return SubQuestionQueryEngine.from_defaults(
        tools_over(index, llm),
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        response_synthesizer=get_response_synthesizer(llm=llm),
        verbose=False,
        **how,
    )


TWO_PARTS = "How high is the Matterhorn, and what is cheese fondue made of?"


@pytest.mark.parametrize("use_async", [False, True], ids=["one by one", "at once"])
def test_sub_questions_are_answered_and_joined(
    index: VectorStoreIndex, llm: Ollama, run: Run, use_async: bool
) -> None:
    """A question of two parts becomes two questions, and one answer of both."""
    response = ask(run, sub_questions(index, llm, use_async=use_async), "query", TWO_PARTS)
    assert "4478" in str(response)
    assert "Gruyere" in str(response)
    assert {"Matterhorn", "Fondue"} <= set(topics(response))


def test_sub_questions_are_asked_at_once(
    server: EmbeddedOllama, index: VectorStoreIndex, llm: Ollama, run: Run
) -> None:
    """With use_async all parts are at the server before the first is answered, in `query` too."""
    engine = sub_questions(index, llm, use_async=True)
    parts = [{"sub_question": DEEP, "tool_name": "nature"}] * 3
    gate = Gate()
    server.script(
        "POST",
        "/api/chat",
        chat_reply({"content": json.dumps({"items": parts})}),
        *[chat_reply({"content": f"Part {part}."}, gate=gate) for part in range(3)],
    )
    # The model's facts, what to ask, and for each part its vector and its chat.
    with opening(server, gate, len(server.requests) + 2 + 3 * 2) as came:
        response = ask(run, engine, "query", TWO_PARTS)
    assert came.result()
    shown = json.dumps(chats(server)[-1]["messages"])
    assert all(f"Part {part}." in shown for part in range(3))
    assert topics(response).count("Baikal") == 3


class Depth(BaseModel):
    """How deep a lake is."""

    lake: str
    metres: int


@pytest.mark.parametrize("mode", ["compact", "tree_summarize"])
def test_an_engine_answers_with_an_object(
    server: EmbeddedOllama, index: VectorStoreIndex, llm: Ollama, run: Run, mode: Any
) -> None:
    """A structured model in a query engine gives its object as the response."""
    said = Depth(lake="Baikal", metres=1642)
    lines = chat_lines({"content": said.model_dump_json()})
    server.script("POST", "/api/chat", Reply.lines(lines), repeat=True)
    engine = index.as_query_engine(
        llm=llm.as_structured_llm(Depth), response_mode=mode, similarity_top_k=1
    )
    response = ask(run, engine, "query", DEEP)
    assert response.response == said
    body: Any = server.requests[-1].json
    assert body["format"] == Depth.model_json_schema()
    assert FACTS["Baikal"] in str(body["messages"])


def test_an_engine_takes_an_output_class(
    server: EmbeddedOllama, index: VectorStoreIndex, llm: Ollama
) -> None:
    """An output class given to the synthesizer is asked for as a schema too."""
    said = Depth(lake="Baikal", metres=1642)
    lines = chat_lines({"content": said.model_dump_json()})
    server.script("POST", "/api/chat", Reply.lines(lines), repeat=True)
    engine = index.as_query_engine(
        llm=llm, output_cls=Depth, response_mode="tree_summarize", similarity_top_k=1
    )
    assert engine.query(DEEP).response == said


def test_settings_serve_as_well(
    server: EmbeddedOllama, index: VectorStoreIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models put into Settings are found by engines that are given none."""
    monkeypatch.setattr(Settings, "_llm", model_at(server.url))
    monkeypatch.setattr(Settings, "_embed_model", embedding_at(server.url))
    engine = RetrieverQueryEngine.from_args(
        VectorStoreIndex.from_documents(documents()).as_retriever()
    )
    assert DEPTH in str(engine.query(DEEP))
