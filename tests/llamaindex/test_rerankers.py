"""The rerankers of LlamaIndex that take an LLM: the order of the texts is what the model said."""

import json
from typing import Any

import pytest
from engine_ways import ask, chats, opening
from llama_corpus import FACTS, SUNSET, index_at, model_at
from llama_index.core.postprocessor import LLMRerank, StructuredLLMRerank
from llama_index.core.postprocessor.rankGPT_rerank import RankGPTRerank
from llama_index.core.schema import NodeWithScore, TextNode
from llama_ways import chat_reply
from running import Run

from llamaindex_ollama_ext import StructuredOutputError
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import ServerError

pytestmark = [SUNSET, pytest.mark.usefixtures("main_loop")]

DEEP = "How deep is Lake Baikal?"
TOPICS = list(FACTS)
RANKERS = [LLMRerank, StructuredLLMRerank, RankGPTRerank]

RANKS = {"documents": [{"document_number": n, "relevance": r} for n, r in ((1, 4), (3, 9), (4, 7))]}
PAIR = json.dumps({"documents": [{"document_number": n, "relevance": 5 * n - 1} for n in (1, 2)]})
CALL = {"name": "DocumentRelevanceList", "arguments": RANKS}


def nodes() -> list[NodeWithScore]:
    return [
        NodeWithScore(node=TextNode(text=text, metadata={"topic": topic}), score=0.5)
        for topic, text in FACTS.items()
    ]


def topics(found: list[NodeWithScore]) -> list[str]:
    return [node.metadata["topic"] for node in found]


def rerank(run: Run, ranker: Any) -> list[NodeWithScore]:
    found: list[NodeWithScore] = ask(run, ranker, "postprocess_nodes", nodes(), query_str=DEEP)
    return found


@pytest.mark.parametrize("kind", RANKERS)
def test_rerankers_put_the_right_text_first(server: EmbeddedOllama, run: Run, kind: Any) -> None:
    """Rerankers that read text, an object or a permutation find the text that answers."""
    ranked = rerank(run, kind(llm=model_at(server.url), top_n=2))
    assert ranked[0].text == FACTS["Baikal"]
    assert len(ranked) <= 2


@pytest.mark.parametrize(
    ("kind", "mode", "said", "order"),
    [
        (LLMRerank, "default", "Doc: 1, Relevance: 4\nDoc: 3, Relevance: 9\n", [2, 0]),
        (LLMRerank, "default", "Doc: 4, Relevance: 2\n", [3]),
        (StructuredLLMRerank, "default", json.dumps(RANKS), [2, 3, 0]),
        (StructuredLLMRerank, "function", json.dumps(CALL), [2, 3, 0]),
        (StructuredLLMRerank, "llm", f"```json\n{json.dumps(RANKS)}\n```", [2, 3, 0]),
        (RankGPTRerank, "default", "[3] > [1] > [4] > [2]", [2, 0, 3, 1]),
        (RankGPTRerank, "default", "[4] > [4]", [3, 0, 1, 2]),
    ],
)
def test_the_order_is_the_models(
    server: EmbeddedOllama, run: Run, kind: Any, mode: Any, said: str, order: list[int]
) -> None:
    """What the model calls better stands before, what it leaves out is left to the reranker."""
    server.script("POST", "/api/chat", chat_reply({"content": said}))
    llm = model_at(server.url, pydantic_program_mode=mode)
    ranked = rerank(run, kind(llm=llm, top_n=4))
    assert topics(ranked) == [TOPICS[place] for place in order]
    (body,) = chats(server)
    shown = json.dumps(body["messages"])
    assert DEEP in shown
    assert all(text in shown for text in FACTS.values())


@pytest.mark.parametrize(
    ("kind", "said"),
    [(LLMRerank, "Doc: 1, Relevance: 4\nDoc: 2, Relevance: 9"), (StructuredLLMRerank, PAIR)],
)
def test_batches_are_ranked_together(
    server: EmbeddedOllama, run: Run, kind: Any, said: str
) -> None:
    """Texts shown in several requests are in one order, and async ones are asked about at once."""
    gate = Gate()
    server.script("POST", "/api/chat", chat_reply({"content": said}, gate=gate), repeat=True)
    at_once = run.is_async and "_apostprocess_nodes" in vars(kind)
    # What is known of the model is asked first, once.
    with opening(server, gate, 3 if at_once else 2) as came:
        ranked = rerank(run, kind(llm=model_at(server.url), choice_batch_size=2, top_n=3))
    assert came.result()
    assert topics(ranked) == ["Baikal", "Fondue", "Matterhorn"]
    assert [node.score for node in ranked] == [9, 9, 4]
    assert len(chats(server)) == 2


def test_no_ranking_is_an_error_that_shows_the_words(server: EmbeddedOllama, run: Run) -> None:
    """A model that gives no ranking where an object is asked for is an error with its text."""
    server.script("POST", "/api/chat", chat_reply({"content": "I like lakes."}), repeat=True)
    with pytest.raises(StructuredOutputError, match="I like lakes"):
        rerank(run, StructuredLLMRerank(llm=model_at(server.url)))


@pytest.mark.parametrize("kind", RANKERS)
def test_a_failure_of_the_server_is_raised(server: EmbeddedOllama, run: Run, kind: Any) -> None:
    """A reranker's caller gets the model's own error."""
    server.script("POST", "/api/chat", Reply.error(500, "boom"), repeat=True)
    with pytest.raises(ServerError, match="boom"):
        rerank(run, kind(llm=model_at(server.url, max_retries=0), top_n=2))


@pytest.mark.parametrize("kind", RANKERS)
def test_an_engine_answers_from_what_was_ranked_first(
    server: EmbeddedOllama, run: Run, kind: Any
) -> None:
    """In a query engine the reranker decides which text the model is shown, and names as source."""
    llm = model_at(server.url)
    engine = index_at(server.url).as_query_engine(
        llm=llm, similarity_top_k=4, node_postprocessors=[kind(llm=llm, top_n=1)]
    )
    response = ask(run, engine, "query", DEEP)
    assert "1642 metres deep" in str(response)
    assert topics(response.source_nodes) == ["Baikal"]
    last = json.dumps(chats(server)[-1]["messages"])
    assert FACTS["Baikal"] in last
    assert FACTS["Fondue"] not in last
