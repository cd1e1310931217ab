"""`OllamaEmbedding` sends what it should and returns what came, blocking and asynchronous."""

import json
import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from faked import Network
from llama_embeds import Embedder, Vectors, bodies_of, vector_of
from llama_index.core.base.embeddings.base import BaseEmbedding, SimilarityMode, mean_agg
from llama_index.core.embeddings.loading import load_embed_model
from recorded import recording
from running import Run

from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import (
    ConfigError,
    ContextOverflowError,
    ContextTruncatedWarning,
    ModelNotFoundError,
    ProtocolError,
    ServerError,
    StatusError,
    UsageLedger,
)

Make = Callable[..., Embedder]


@pytest.fixture
def embedder(run: Run) -> Iterator[Make]:
    """Make models on a network that is not there; they are closed at the end."""
    made: list[OllamaEmbedding] = []

    def make(network: httpx.MockTransport, model: str = "m", **settings: Any) -> Embedder:
        settings.setdefault("max_retries", 0)
        made.append(OllamaEmbedding(model, client_kwargs={"transport": network}, **settings))
        return Embedder(run, made[-1])

    yield make
    for model in made:
        run(model.aclose() if run.is_async else model.close())


def test_embeds_over_a_real_socket(server: EmbeddedOllama, run: Run) -> None:
    """Query, text and batch give unit vectors; texts that say alike are near."""
    with OllamaEmbedding("demo-embed", server.url) as model:
        embed = Embedder(run, model)
        query = embed.get_query_embedding("How high is the mountain?")
        texts = embed.get_text_embedding_batch(["The mountain is 3000 m high.", "Cats sleep."])
        assert embed.get_text_embedding("Cats sleep.") == pytest.approx(texts[1])
        assert math.hypot(*query) == pytest.approx(1)
        near, far = (model.similarity(query, text) for text in texts)
        assert near > far
        run(model.aclose())


@pytest.mark.parametrize("name", ["one", "three", "dimensions"])
def test_a_recorded_answer_gives_its_vectors(embedder: Make, name: str) -> None:
    """What a real server said comes back number by number, for the request it was asked."""
    recorded = recording(f"embed/{name}")
    asked = recorded.body
    texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    network = Network(recorded)
    embed = embedder(network, asked["model"], dimensions=asked.get("dimensions"))
    assert embed.get_text_embedding_batch(texts) == recorded.objects[0]["embeddings"]
    (body,) = bodies_of(network)
    assert (body["model"], body["input"]) == (asked["model"], texts)
    assert body.get("dimensions") == asked.get("dimensions")


@pytest.mark.parametrize(
    ("instruction", "text", "sent"),
    [
        (None, "What is it?", "What is it?"),
        (None, "  spaced  ", "spaced"),
        ("", "text", "text"),
        ("query:", "What is it?", "query: What is it?"),
        ("query: ", "What is it?", "query: What is it?"),
        ("  query:  ", "  What is it?  ", "query: What is it?"),
        ("query:\n", "\ttext\n", "query: text"),
        ("query:", "", "query:"),
        ("query:", "   ", "query:"),
        ("Represent this, please:", "a  b", "Represent this, please: a  b"),
    ],
)
def test_instructions_are_joined_as_the_peer_joins_them(
    embedder: Make, instruction: str | None, text: str, sent: str
) -> None:
    """Instruction and text are stripped and joined by one space, for queries and texts alike."""
    network = Vectors()
    embed = embedder(network, query_instruction=instruction, text_instruction=instruction)
    embed.get_query_embedding(text)
    embed.get_text_embedding(text)
    embed.get_text_embedding_batch([text, text])
    assert network.inputs == [[sent], [sent], [sent, sent]]


@pytest.mark.parametrize(
    ("settings", "query", "text"),
    [
        ({"query_prefix": "q> ", "document_prefix": "d>"}, "q> x", "d>x"),
        ({"query_prefix": "q> "}, "q> x", "x"),
        ({"prefixes": "auto"}, "search_query: x", "search_document: x"),
        ({"prefixes": "auto", "query_prefix": ""}, "x", "search_document: x"),
        ({"prefixes": "auto", "text_instruction": "my:"}, "search_query: x", "my: x"),
        ({}, "x", "x"),
    ],
)
def test_prefixes_stand_before_queries_and_texts(
    embedder: Make, settings: dict[str, Any], query: str, text: str
) -> None:
    """D15: a prefix is put as it stands; "auto" knows what the makers of a model published."""
    network = Vectors()
    embed = embedder(network, "nomic-embed-text", **settings)
    embed.get_query_embedding("x")
    embed.get_text_embedding("x")
    assert network.inputs == [[query], [text]]


def test_a_prefix_keeps_the_text_behind_it_as_it_is(embedder: Make) -> None:
    """D15: with a prefix nothing is stripped, so that any template can be written."""
    network = Vectors()
    embedder(network, document_prefix="title: none | text:\n").get_text_embedding("  a \n")
    assert network.inputs == [["title: none | text:\n  a \n"]]


@pytest.mark.parametrize(
    ("settings", "field", "sent"),
    [
        ({"dimensions": 64}, "dimensions", 64),
        ({"truncate": True}, "truncate", True),
        ({"truncate": False}, "truncate", False),
        ({"keep_alive": "10m"}, "keep_alive", "10m"),
        ({"keep_alive": "300"}, "keep_alive", 300),
        ({"keep_alive": -1}, "keep_alive", -1),
        ({"keep_alive": timedelta(minutes=2)}, "keep_alive", 120.0),
        ({"extra_body": {"x_trace": 1}}, "x_trace", 1),
        ({"num_ctx": 512}, "options", {"num_ctx": 512}),
        ({"ollama_additional_kwargs": {"num_ctx": 512}}, "options", {"num_ctx": 512}),
        (
            {"num_ctx": 512, "num_thread": 2, "ollama_additional_kwargs": {"num_ctx": 256}},
            "options",
            {"num_ctx": 256, "num_thread": 2},
        ),
    ],
)
def test_settings_reach_the_server(
    embedder: Make, settings: dict[str, Any], field: str, sent: object
) -> None:
    """D15: each setting is sent where the server looks for it."""
    network = Vectors()
    embedder(network, **settings).get_text_embedding("x")
    assert network.bodies[0][field] == sent


def test_nothing_is_sent_that_was_not_set(embedder: Make) -> None:
    """A model of defaults leaves options, dimensions and keep_alive to the server."""
    network = Vectors()
    embedder(network).get_text_embedding("x")
    assert network.bodies == [{"model": "m", "input": ["x"], "truncate": False}]


def test_a_text_too_long_is_cut_with_a_warning(embedder: Make) -> None:
    """D15: by default the caller learns that a text was cut, and gets the vector."""
    network = Network("embed/long-refused", "embed/long-truncated")
    embed = embedder(network)
    with pytest.warns(ContextTruncatedWarning):
        vector = embed.get_text_embedding("word " * 5000)
    assert vector == recording("embed/long-truncated").objects[0]["embeddings"][0]
    assert [body.get("truncate") for body in bodies_of(network)] == [False, None]


def test_a_long_text_is_refused_when_configured(embedder: Make) -> None:
    """D15: "error" raises before any vector is made, and asks once."""
    network = Network("embed/long-refused")
    with pytest.raises(ContextOverflowError):
        embedder(network, on_context_overflow="error").get_query_embedding("word " * 5000)
    assert len(network.requests) == 1


def test_a_long_text_is_cut_silently_when_configured(embedder: Make) -> None:
    """D15: "truncate" is what the peer does: the server cuts and nobody is told."""
    network = Network("embed/long-truncated")
    embedder(network, on_context_overflow="truncate").get_text_embedding("word " * 5000)
    assert "truncate" not in bodies_of(network)[0]


def test_texts_go_in_batches_and_come_back_in_order(embedder: Make) -> None:
    """A request holds embed_batch_size texts, and each vector belongs to its text."""
    network = Vectors()
    texts = [chr(97 + place) * (place + 1) for place in range(25)]
    vectors = embedder(network, embed_batch_size=10).get_text_embedding_batch(texts)
    assert vectors == [vector_of(text) for text in texts]
    assert sorted(len(batch) for batch in network.inputs) == [5, 10, 10]


def test_no_texts_send_no_request(embedder: Make) -> None:
    """An empty list gives an empty list without a request."""
    network = Vectors()
    embed = embedder(network)
    assert embed.get_text_embedding_batch([]) == []
    assert embed.get_general_text_embeddings([]) == []
    assert network.bodies == []


def test_an_empty_text_has_a_vector(embedder: Make) -> None:
    """D15: an empty text gives one vector, where the peer raised IndexError."""
    network = Vectors()
    assert embedder(network).get_text_embedding("") == [0.0, 0.0]
    assert network.inputs == [[""]]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_vectors_is_an_error(embedder: Make, count: int) -> None:
    """D15: too few or too many vectors are refused, where the peer lost nodes in silence."""
    network = Network(httpx.Response(200, json={"embeddings": [[0.5]] * count}))
    with pytest.raises(ProtocolError, match=f"{count} vectors for 2 texts"):
        embedder(network).get_text_embedding_batch(["a", "b"])


def test_general_methods_send_texts_as_they_stand(embedder: Make) -> None:
    """The peer's public extras neither instruct nor strip, and take several texts at once."""
    network = Vectors()
    embed = embedder(network, query_instruction="q", text_instruction="t", document_prefix=None)
    assert embed.get_general_text_embedding(" a ") == vector_of(" a ")
    assert embed.get_general_text_embeddings([" a ", "b"]) == [vector_of(" a "), vector_of("b")]
    assert network.inputs == [[" a "], [" a ", "b"]]


def test_hooks_of_core_instruct_too(embedder: Make) -> None:
    """The private methods that subclasses and mocks know work alike."""
    network = Vectors()
    embed = embedder(network, query_instruction="q:", text_instruction="t:")
    embed._get_query_embedding("a")
    embed._get_text_embedding("a")
    embed._get_text_embeddings(["a", "b"])
    assert network.inputs == [["q: a"], ["t: a"], ["t: a", "t: b"]]


def test_a_missing_model_says_how_to_get_it(embedder: Make) -> None:
    """The error names the command that brings the model."""
    with pytest.raises(ModelNotFoundError, match="ollama pull"):
        embedder(Network("embed/missing-model")).get_query_embedding("x")


def test_a_model_that_cannot_embed_is_reported(embedder: Make) -> None:
    """The server's refusal arrives as an error with its status, not as a broken vector."""
    with pytest.raises(StatusError) as caught:
        embedder(Network("embed/chat-model")).get_text_embedding("x")
    assert caught.value.status_code == 501


def test_a_failed_server_is_reported(embedder: Make) -> None:
    """A failure of the engine is a ServerError in both ways of calling."""
    with pytest.raises(ServerError, match="boom"):
        embedder(Network(httpx.Response(500, json={"error": "boom"}))).get_text_embedding("x")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dimension": 3}, "did you mean 'dimensions'"),
        ({"request_timeout": 3}, "here it is 'timeout'"),
        ({"dimensions": 0}, "dimensions"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"embed_batch_size": 0}, "embed_batch_size"),
        ({"num_workers": 0}, "num_workers"),
        ({"prefixes": "none"}, "prefixes"),
        ({"on_context_overflow": "cut"}, "on_context_overflow"),
        ({"ollama_additional_kwargs": {"num_ctxx": 1}}, "did you mean 'num_ctx'"),
        ({"query_instruction": "a", "query_prefix": "b"}, "give only one"),
        ({"text_instruction": "a", "document_prefix": "b"}, "give only one"),
        ({"base_url": "ftp://x"}, "base_url|http"),
    ],
)
def test_wrong_settings_are_refused_early(settings: dict[str, Any], said: str) -> None:
    """A setting that cannot work is a ConfigError when the model is made."""
    with pytest.raises(ConfigError, match=said):
        OllamaEmbedding("m", **settings)


def test_no_model_is_needed_to_make_one() -> None:
    """Which model is taken is looked up at the first call, not in the constructor."""
    assert OllamaEmbedding().model_name is None


def test_the_peers_positional_arguments() -> None:
    """The constructor takes the peer's arguments in the peer's order."""
    model = OllamaEmbedding(
        "m", "http://h:1", 7, {"num_ctx": 8}, "q", "t", None, {"headers": {"X-A": "1"}}, "3m"
    )
    assert (model.model_name, model.base_url, model.embed_batch_size) == ("m", "http://h:1", 7)
    assert (model.query_instruction, model.text_instruction) == ("q", "t")
    assert (model.ollama_additional_kwargs, model.keep_alive) == ({"num_ctx": 8}, "3m")
    assert model.headers == {"X-A": "1"}


def test_usage_adds_up(embedder: Make) -> None:
    """D15: the tokens of every answer are counted, also those of a batch."""
    ledger = UsageLedger()
    embed = embedder(Vectors(prompt_eval_count=5), embed_batch_size=2, ledger=ledger)
    assert embed.model.usage_total.prompt_tokens is None
    embed.get_query_embedding("a")
    embed.get_text_embedding_batch(["a", "b", "c"])
    assert embed.model.usage_total.prompt_tokens == 15
    assert ledger.snapshot().total.prompt_tokens == 15
    assert embed.model.reset_usage().prompt_tokens == 15
    assert embed.model.usage_total.prompt_tokens is None


def test_unknown_usage_stays_unknown(embedder: Make) -> None:
    """A server that counts nothing leaves the total unknown, which is not 0."""
    embed = embedder(Vectors())
    embed.get_text_embedding("a")
    assert embed.model.usage_total.prompt_tokens is None


def test_load_embed_model_finds_it() -> None:
    """A saved configuration comes back as this class, with its settings."""
    model = OllamaEmbedding("m", dimensions=3, prefixes="auto")
    loaded = load_embed_model(json.loads(json.dumps(model.to_dict())))
    assert isinstance(loaded, OllamaEmbedding)
    assert loaded.to_dict() == model.to_dict()


def test_configurations_of_the_peer_load() -> None:
    """The name is the peer's, by which stored configurations know it; our old one is read too."""
    assert OllamaEmbedding.class_name() == "OllamaEmbedding"
    for name in ("OllamaEmbedding", "OllamaExtEmbedding"):
        loaded = load_embed_model({"class_name": name, "model_name": "m"})
        assert isinstance(loaded, OllamaEmbedding)
    assert issubclass(OllamaEmbedding, BaseEmbedding)


@pytest.mark.parametrize("mode", list(SimilarityMode))
def test_similarity_has_every_mode(embedder: Make, mode: SimilarityMode) -> None:
    """A vector is at least as near to itself as to another of its length."""
    embed = embedder(Vectors())
    one, other = embed.get_text_embedding("ab"), embed.get_text_embedding("zb")
    unit = [value / math.hypot(*one) for value in one]
    far = [value / math.hypot(*other) for value in other]
    assert embed.model.similarity(unit, unit, mode) >= embed.model.similarity(unit, far, mode)


def test_several_queries_are_averaged(embedder: Make) -> None:
    """Core's mean over queries stands on the query embedding of this class."""
    embed = embedder(Vectors(), query_instruction="q:")
    expected = mean_agg([vector_of("q: a"), vector_of("q: bcd")])
    assert embed.get_agg_embedding_from_queries(["a", "bcd"]) == expected


def test_options_that_are_gone_warn_and_are_not_sent() -> None:
    """The peers' documentation shows mirostat=0: that goes on working, and tells to leave it."""
    with pytest.warns(DeprecationWarning, match="mirostat no longer exists"):
        model = OllamaEmbedding(
            model_name="m", ollama_additional_kwargs={"mirostat": 0, "num_ctx": 64}
        )
    assert model.ollama_additional_kwargs == {"num_ctx": 64}
    with pytest.warns(DeprecationWarning, match="mirostat no longer exists"):
        llm = Ollama(model="m", additional_kwargs={"mirostat": 0, "num_ctx": 64})
    assert llm.additional_kwargs == {"num_ctx": 64}
