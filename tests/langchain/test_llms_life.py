"""OllamaLLM: errors, token counts, secrets, loops, threads and processes."""

import asyncio
import copy
import json
import pickle
from collections.abc import Iterator
from typing import Any

import core_family as core
import httpx
import pytest
from core_ways import call, fields_of, pieces
from faked import status
from langchain_core.load import dumps
from langchain_core.runnables import ConfigurableField
from llm_ways import Listener, bodies, played
from recorded import FOLDER, recording
from running import Run

from langchain_ollama_ext import OllamaLLM
from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import (
    ConfigError,
    ContextOverflowError,
    ContextTruncatedWarning,
    OllamaConnectionError,
    RequestRejectedError,
    ServerBusyError,
)


@pytest.fixture
def llm(server: EmbeddedOllama) -> Iterator[OllamaLLM]:
    with OllamaLLM(model="demo", base_url=server.url) as made:
        yield made


def test_too_long_a_prompt_is_cut_with_a_warning(
    server: EmbeddedOllama, llm: OllamaLLM, run: Run
) -> None:
    """The server refuses first, so that both counts can be told, and is asked again (c7)."""
    server.script(
        "POST", "/api/generate", Reply.recording(FOLDER / "errors/overflow-generate.json")
    )
    with pytest.warns(ContextTruncatedWarning, match=r"\d+ tokens long and the context \d+"):
        assert call(run, llm, "invoke", "Hello")
    assert [body.get("truncate") for body in bodies(server)] == [False, None]


def test_too_long_a_prompt_can_be_an_error(run: Run) -> None:
    """With "error" it raises both frameworks' class, with the counts, streaming or not (c6, c7)."""
    llm, _ = played("errors/overflow-generate", on_context_overflow="error")
    for ask in (lambda: call(run, llm, "invoke", "x"), lambda: pieces(run, llm, "x")):
        with pytest.raises(ContextOverflowError) as caught:
            ask()
        assert isinstance(caught.value, core.ContextOverflowError)
        assert caught.value.prompt_tokens is not None


@pytest.mark.parametrize(
    ("answer", "ours", "cores"),
    [
        ("errors/missing-model", RequestRejectedError, core.ModelNotFoundError),
        ("generate/raw-and-system", RequestRejectedError, core.ModelInvalidRequestError),
        (httpx.ConnectError("no"), OllamaConnectionError, core.ModelConnectionError),
        ("busy", ServerBusyError, core.ModelRateLimitError),
    ],
)
def test_errors_are_the_same_in_every_way(
    run: Run, answer: Any, ours: type[Exception], cores: type[Exception]
) -> None:
    """One failure is one class, of both families, for invoke, stream and batch (c6)."""
    llm, _ = played(status(503, "busy") if answer == "busy" else answer, max_retries=0)
    ways = (
        lambda: call(run, llm, "invoke", "x"),
        lambda: pieces(run, llm, "x"),
        lambda: call(run, llm, "batch", ["x", "y"]),
        lambda: call(run, llm, "generate", ["x", "y"]),
    )
    kinds = set()
    for ask in ways:
        with pytest.raises(cores) as caught:
            ask()
        kinds.add(type(caught.value))
    assert len(kinds) == 1
    assert ours is RequestRejectedError or issubclass(kinds.pop(), ours)


def test_tokens_are_counted_without_a_tokenizer() -> None:
    """The rule of thumb asks nobody; the server's own count is exact (c15)."""
    text = "The sky is blue because of Rayleigh scattering."
    assert OllamaLLM(model="demo").get_num_tokens(text) == 12
    exact, network = played("generate/raw", token_counter="server")
    assert exact.get_num_tokens(text) == recording("generate/raw").objects[0]["prompt_eval_count"]
    assert json.loads(network.requests[0].content)["options"] == {"num_predict": 1}
    own = OllamaLLM(model="demo", custom_get_token_ids=lambda text: [1, 2, 3])
    assert own.get_num_tokens(text) == 3
    assert own.get_token_ids(text) == [1, 2, 3]
    with pytest.raises(ConfigError, match="get_num_tokens"):
        exact.get_token_ids(text)


def test_two_loops_and_a_pickle(server: EmbeddedOllama) -> None:
    """One object works in two event loops, in its pickle and its deep copy (c10)."""
    llm = OllamaLLM(model="demo", base_url=server.url)
    first = asyncio.run(llm.ainvoke("Hello"))
    assert asyncio.run(llm.ainvoke("Hello")) == first
    for other in (pickle.loads(pickle.dumps(llm)), copy.deepcopy(llm), llm.model_copy()):
        assert other.invoke("Hello") == first


def test_configurable_fields_keep_the_connections(
    server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing a field per call shares the connections of the model it is made from (c18)."""
    made: list[httpx.Client] = []
    init = httpx.Client.__init__
    monkeypatch.setattr(
        httpx.Client, "__init__", lambda self, **how: (made.append(self), init(self, **how))[1]
    )
    # A timeout that no other test has: equal settings would share an earlier one's connections.
    llm = OllamaLLM(model="demo", base_url=server.url, timeout=77)
    flexible = llm.configurable_fields(temperature=ConfigurableField(id="heat"))
    for heat in (0.1, 0.2, 0.3):
        flexible.invoke("x", config={"configurable": {"heat": heat}})
    assert [body["options"] for body in bodies(server)] == [
        {"temperature": heat} for heat in (0.1, 0.2, 0.3)
    ]
    assert len(made) == 1


def test_dumps_show_no_secret() -> None:
    """Core cannot load models of other packages than its own, so what it writes is for reading."""
    llm = OllamaLLM(model="demo", api_key="hush", headers={"X-Team": "a"}, timeout=7)
    assert not llm.is_lc_serializable()
    assert "hush" not in dumps(llm)


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": "hush"},
        {"base_url": "http://me:hush@127.0.0.1"},
        {"headers": {"Authorization": "Bearer hush"}},
        {"client_kwargs": {"auth": ("me", "hush")}},
        {"sync_client_kwargs": {"headers": {"X-Api-Key": "hush"}}},
    ],
)
def test_no_secret_is_shown(given: dict[str, Any]) -> None:
    """repr, str, dumps and the cache's key hide what authenticates (c13)."""
    llm = OllamaLLM(model="m", **given)
    assert "hush" not in f"{llm!r} {llm} {dumps(llm)} {fields_of(llm)} {llm.model_dump_json()}"


def test_settings_of_the_server_per_call(server: EmbeddedOllama, llm: OllamaLLM, run: Run) -> None:
    """Headers, retries and timeouts of one call hold for that call alone (c4)."""
    server.script("POST", "/api/generate", Reply.error(503, "busy"))
    with pytest.raises(ServerBusyError):
        call(run, llm, "invoke", "x", max_retries=0, headers={"X-Team": "a"})
    assert call(run, llm, "invoke", "x")
    assert [r.headers.get("x-team") for r in server.requests] == ["a", None]


def test_events_of_a_stream_have_chunks(llm: OllamaLLM, run: Run) -> None:
    """Each token callback carries its chunk, and runs once for each."""
    listener = Listener()
    texts = pieces(run, llm, "Hello", config={"callbacks": [listener]})
    assert [chunk.text for chunk in listener.chunks] == texts
