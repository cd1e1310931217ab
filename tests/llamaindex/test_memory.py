"""LlamaIndex's memories over this model: its context is their limit, it writes what they keep."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from engine_ways import ask, chats
from llama_corpus import OLD_ATTRIBUTES, SUNSET, embedding_at, index_at, memory_of, model_at
from llama_index.core import VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.memory import (
    ChatMemoryBuffer,
    ChatSummaryMemoryBuffer,
    FactExtractionMemoryBlock,
    Memory,
    StaticMemoryBlock,
    VectorMemory,
    VectorMemoryBlock,
)
from llama_ways import chat_reply
from running import Run
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama

pytestmark = [SUNSET, OLD_ATTRIBUTES, pytest.mark.usefixtures("main_loop")]

# What counts as a token in these tests is a word.
LONG = 40
TALK = [
    ("user", "The first question is a very" + " long" * LONG + " one."),
    ("assistant", "The first answer is long too."),
    ("user", "The second question."),
    ("assistant", "The second answer."),
]
RATIO = 0.75


@pytest.fixture
def llm(server: EmbeddedOllama) -> Ollama:
    return model_at(server.url)


def history() -> list[ChatMessage]:
    return [ChatMessage(text, role=MessageRole(role)) for role, text in TALK]


def said(messages: list[ChatMessage]) -> list[tuple[str, str | None]]:
    return [(message.role.value, message.content) for message in messages]


def sent(server: EmbeddedOllama) -> list[tuple[str, str]]:
    """Return what the last request to chat said."""
    return [(message["role"], message["content"]) for message in chats(server)[-1]["messages"]]


@pytest.mark.parametrize("kind", [ChatMemoryBuffer, ChatSummaryMemoryBuffer])
def test_a_memory_holds_what_the_context_allows(server: EmbeddedOllama, kind: Any) -> None:
    """D1, D7: the limit follows num_ctx, else what the server told; before that nobody is asked."""
    unknown = kind.from_defaults(llm=model_at(server.url))
    asked = kind.from_defaults(llm=model_at(server.url, context_window=1000))
    assert server.requests == []
    told = Ollama.from_server("demo", base_url=server.url)
    assert told.metadata.context_window not in (DEFAULT_CONTEXT_WINDOW, 1000)
    assert [memory.token_limit for memory in (unknown, asked, kind.from_defaults(llm=told))] == [
        int(window * RATIO)
        for window in (DEFAULT_CONTEXT_WINDOW, 1000, told.metadata.context_window)
    ]


def test_messages_beyond_the_memorys_limit_are_not_sent(server: EmbeddedOllama, run: Run) -> None:
    """With a small context the server gets the end of the conversation, and the rest is kept."""
    llm = model_at(server.url, context_window=60)
    memory = ChatMemoryBuffer.from_defaults(history(), llm=llm, tokenizer_fn=str.split)
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    ask(run, engine, "chat", "The third question.")
    assert sent(server) == [*TALK[2:], ("user", "The third question.")]
    assert len(memory.get_all()) == len(TALK) + 2
    assert chats(server)[-1]["options"] == {"num_ctx": 60}


def test_old_messages_are_summed_up(server: EmbeddedOllama, run: Run, llm: Ollama) -> None:
    """What no longer fits is put by the model into a summary, which stands before the rest."""
    server.script("POST", "/api/chat", chat_reply({"content": "They spoke of a first thing."}))
    memory = ChatSummaryMemoryBuffer.from_defaults(
        history(), llm=llm, token_limit=8, tokenizer_fn=str.split
    )
    kept = said(ask(run, memory, "get"))
    assert kept == [("system", "They spoke of a first thing."), *TALK[2:]]
    (system, user) = sent(server)
    assert system == ("system", memory.summarize_prompt)
    assert all(f"{role}: {text}" in user[1] for role, text in TALK[:2])
    assert not any(text in user[1] for _, text in TALK[2:])
    assert said(memory.get_all()) == kept


def test_a_memorys_dump_has_no_secret(server: EmbeddedOllama) -> None:
    """D16: the dump of a memory has its model in it and no key, and is read again with a model."""
    llm = model_at(server.url, api_key="s3cret")
    # Empty: with messages in it core's own store cannot be dumped under pydantic 2.14.
    memory = ChatSummaryMemoryBuffer.from_defaults(llm=llm, token_limit=100)
    text = memory.to_string()
    assert llm.class_name() in text
    assert "s3cret" not in text
    assert "s3cret" not in repr(memory)
    assert ChatSummaryMemoryBuffer.from_string(text, llm=llm).token_limit == 100


@pytest.fixture
async def database() -> AsyncIterator[AsyncEngine]:
    """Give a memory a database that is closed at the end; its own nobody can close."""
    engine = create_async_engine("sqlite+aiosqlite:///:memory:")
    yield engine
    await engine.dispose()


FACTS_TAUGHT = "<facts><fact>The cat is called Minka.</fact><fact>It is black.</fact></facts>"


def small_memory(database: AsyncEngine, *blocks: Any) -> Memory:
    """Return a memory that keeps about one exchange, and gives older ones to its blocks."""
    return Memory.from_defaults(
        token_limit=20,
        chat_history_token_ratio=0.5,
        token_flush_size=8,
        memory_blocks=list(blocks),
        tokenizer_fn=str.split,
        async_engine=database,
    )


async def test_a_memory_extracts_facts(server: EmbeddedOllama, database: AsyncEngine) -> None:
    """What leaves a memory is read by the model, whose facts are in what is sent from then on."""
    async with model_at(server.url) as llm:
        memory = small_memory(
            database,
            StaticMemoryBlock(name="rules", static_content="Be kind.", priority=0),
            FactExtractionMemoryBlock(name="facts", llm=llm, priority=0),
        )
        server.script("POST", "/api/chat", chat_reply({"content": FACTS_TAUGHT}))
        await memory.aput_messages(history())
        engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
        await engine.achat("And my cat?")
    # The last request is for the facts of what left the memory with the answer.
    taught, asked, *_ = [
        [(message["role"], message["content"]) for message in body["messages"]]
        for body in chats(server)
    ]
    assert taught[:2] == TALK[:2]
    (role, system), *rest = asked
    assert role == "system"
    assert "Be kind." in system
    assert "<fact>The cat is called Minka.</fact>\n<fact>It is black.</fact>" in system
    assert rest == [*TALK[2:], ("user", "And my cat?")]


async def test_a_memory_finds_old_messages(
    server: EmbeddedOllama, database: AsyncEngine, tmp_path: Path
) -> None:
    """A block of vectors keeps what left the memory, and finds the exchange that is asked about."""
    chroma = pytest.importorskip("llama_index.vector_stores.chroma")
    async with embedding_at(server.url) as model:
        block = VectorMemoryBlock(
            name="past",
            vector_store=chroma.ChromaVectorStore.from_params("memory", persist_dir=str(tmp_path)),
            embed_model=model,
            similarity_top_k=1,
            priority=0,
        )
        memory = small_memory(database, block)
        for subject in ("cat is called Minka", "car has a flat tyre", "house stands in Bern"):
            await memory.aput(ChatMessage(f"Please note that my {subject} since last year."))
            await memory.aput(ChatMessage("I have noted it.", role=MessageRole.ASSISTANT))
        found = await memory.aget(input="What is my cat called?")
    assert found[0].role == MessageRole.SYSTEM
    assert "Minka" in str(found[0].content)
    assert "tyre" not in str(found[0].content)
    inputs = [request.json["input"] for request in server.requests]  # type: ignore[index,call-overload] # JSON objects all
    assert any("<message role='user'>" in text for texts in inputs for text in texts)


async def test_an_agent_works_with_a_memory_of_blocks(
    server: EmbeddedOllama, database: AsyncEngine
) -> None:
    """Calls and their results go into a database and come back as they were, ids and all."""

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    async with model_at(server.url) as llm:
        memory = Memory.from_defaults(async_engine=database, token_limit=2000)
        agent = FunctionAgent(tools=[add], llm=llm)
        assert "5" in str(await agent.run("Add 2 and 3.", memory=memory))
        await agent.run("Thank you.", memory=memory)
    messages = chats(server)[-1]["messages"]
    roles = [message["role"] for message in messages]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    (call,) = messages[1]["tool_calls"]
    assert call["function"]["arguments"] == {"a": 2, "b": 3}
    assert (messages[2]["tool_call_id"], messages[2]["tool_name"]) == (call["id"], "add")


def test_a_memory_of_vectors_finds_the_exchange(server: EmbeddedOllama, run: Run) -> None:
    """VectorMemory embeds each exchange, and brings back the whole one that the words are about."""
    memory = VectorMemory.from_defaults(
        embed_model=embedding_at(server.url), retriever_kwargs={"similarity_top_k": 1}
    )
    for question, answer in [
        ("My car has a flat tyre.", "Have the tyre mended."),
        ("My cat is called Minka.", "A fine name for a cat."),
    ]:
        ask(run, memory, "put", ChatMessage(question))
        ask(run, memory, "put", ChatMessage(answer, role=MessageRole.ASSISTANT))
    found = ask(run, memory, "get", "What is the name of my cat?")
    assert said(found) == [
        ("user", "My cat is called Minka."),
        ("assistant", "A fine name for a cat."),
    ]


@pytest.fixture
def index(server: EmbeddedOllama) -> VectorStoreIndex:
    return index_at(server.url)


@pytest.mark.parametrize("mode", ["context", "condense_plus_context", "condense_question"])
async def test_an_awaited_chat_remembers(
    index: VectorStoreIndex, server: EmbeddedOllama, mode: Any
) -> None:
    """`achat` understands the second question through the first; both stand in the memory."""
    async with model_at(server.url) as llm:
        memory = memory_of(llm)
        engine = index.as_chat_engine(chat_mode=mode, llm=llm, memory=memory, similarity_top_k=1)
        assert "4478" in str(await engine.achat("How high is the Matterhorn?"))
        second = await engine.achat("And when was it first climbed?")
    assert "1865" in str(second)
    assert [node.metadata["topic"] for node in second.source_nodes] == ["Matterhorn"]
    assert [message.role.value for message in memory.get_all()] == ["user", "assistant"] * 2


def test_a_simple_chat_remembers(server: EmbeddedOllama, run: Run, llm: Ollama) -> None:
    """A chat without documents sends all that was said, after its own system prompt."""
    engine = SimpleChatEngine.from_defaults(
        llm=llm, memory=memory_of(llm), system_prompt="Be brief."
    )
    first = str(ask(run, engine, "chat", "Say 'one'."))
    ask(run, engine, "chat", "Say 'two'.")
    assert first == "one"
    assert sent(server) == [
        ("system", "Be brief."),
        ("user", "Say 'one'."),
        ("assistant", "one"),
        ("user", "Say 'two'."),
    ]
