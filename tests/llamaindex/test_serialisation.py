"""Saved, pickled, copied: a model comes back the same, and no secret goes out; D16, D17."""

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.loading import load_llm
from llama_ways import Played, Way, answer

import llamaindex_ollama_ext
from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import AsyncClient, Client, ConfigError

Make = Callable[..., Ollama]
SECRETS = {
    "api_key": {"api_key": "s3cret"},
    "header": {"headers": {"Authorization": "Bearer s3cret", "X-Team": "a"}},
    "URL": {"base_url": "https://me:s3cret@x.test"},
    "another header": {"headers": {"X-Gateway-Key": "s3cret", "X-Team": "a"}},
    "client_kwargs": {"client_kwargs": {"headers": {"Authorization": "Bearer s3cret"}}},
}
SETTINGS: dict[str, Any] = {
    "base_url": "https://x.test/ollama",
    "temperature": 0.5,
    "context_window": 8192,
    "request_timeout": None,
    "json_mode": True,
    "additional_kwargs": {"top_k": 3},
    "is_function_calling_model": False,
    "keep_alive": "5m",
    "thinking": "low",
    "headers": {"X-Team": "a"},
    "stop": ["END"],
    "on_context_overflow": "error",
    "system_prompt": "Be brief.",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_no_secret_goes_out(secret: dict[str, Any]) -> None:
    """D16: no form of a model that somebody may see or keep has a secret in it."""
    llm = Ollama("m", **{"base_url": "https://x.test", **secret})
    for form in (
        str(llm.to_dict()),
        llm.to_json(),
        repr(llm),
        str(llm),
        str(llm.to_payload()),
        str(pickle.dumps(llm)),
    ):
        assert "s3cret" not in form


@pytest.mark.parametrize(
    "copied",
    [
        lambda llm: Ollama.from_dict(llm.to_dict()),
        lambda llm: Ollama.from_dict(json.loads(json.dumps(llm.to_dict()))),
        lambda llm: Ollama.from_json(llm.to_json()),
        lambda llm: load_llm(llm.to_dict()),
        lambda llm: pickle.loads(pickle.dumps(llm)),
        copy.copy,
        copy.deepcopy,
        lambda llm: llm.model_copy(),
    ],
    ids=["dict", "JSON", "from_json", "load_llm", "pickle", "copy", "deepcopy", "model_copy"],
)
def test_a_copy_is_the_same(copied: Callable[[Ollama], Ollama]) -> None:
    """D16: whatever way a model travels, its settings arrive."""
    llm = Ollama("m", **SETTINGS)
    twin = copied(llm)
    assert twin.to_dict() == llm.to_dict()
    assert twin.server_settings() == llm.server_settings()
    assert twin.metadata == llm.metadata


def test_copies_work_after_the_first_use(server: EmbeddedOllama) -> None:
    """D16: a model in use can be copied and pickled, and its copies know what it knew."""
    llm = Ollama("demo", server.url)
    llm.chat([ChatMessage("hello")])
    for twin in (copy.deepcopy(llm), pickle.loads(pickle.dumps(llm))):
        assert twin.metadata.context_window == llm.metadata.context_window == 32768
        assert twin.chat([ChatMessage("hello")]).message.content


def test_clients_given_go_along(server: EmbeddedOllama) -> None:
    """D16: a client that was given to the model is still the one after a pickle."""
    llm = Ollama("demo", client=Client(server.url), async_client=AsyncClient(server.url))
    twin = pickle.loads(pickle.dumps(llm))
    assert twin.chat([ChatMessage("hello")]).message.content
    llm.client.close()
    twin.client.close()


def test_a_client_that_cannot_travel_is_named() -> None:
    """D16: what would be lost on the way is an error, not a silent call to another server."""
    import httpx

    with httpx.Client() as http:
        llm = Ollama("m", client=Client(http_client=http))
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(llm)


def test_lost_secrets_are_missed(server: EmbeddedOllama) -> None:
    """D16: where a pickle arrives without its key, the error says where to put it."""
    twin = pickle.loads(pickle.dumps(Ollama("demo", server.url, api_key="s3cret")))
    with pytest.raises(ConfigError, match="OLLAMA_API_KEY"):
        twin.chat([ChatMessage("hello")])


def test_a_model_saved_by_the_peer_loads() -> None:
    """The fields of llama-index-llms-ollama, saved by it, make the same model here."""
    saved = {
        "callback_manager": None,
        "system_prompt": None,
        "pydantic_program_mode": "default",
        "base_url": "http://localhost:11434",
        "model": "llama3.2",
        "temperature": 0.1,
        "context_window": 4096,
        "request_timeout": 60.0,
        "prompt_key": "prompt",
        "json_mode": False,
        "additional_kwargs": {},
        "is_function_calling_model": True,
        "keep_alive": None,
        "thinking": None,
        "headers": None,
        "class_name": "Ollama_llm",
    }
    del saved["callback_manager"]
    llm = Ollama.from_dict(saved)
    assert (llm.request_timeout, llm.metadata.context_window) == (60.0, 4096)


def test_raw_is_json(ollama: Make, way: Way) -> None:
    """D17: raw can be written as JSON, so that events of agents can be kept."""
    call = {"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}
    message = {"content": "x", "thinking": "hm", "tool_calls": [call]}
    llm = ollama(Played(answer(message, streams=way.streams)))
    response = way.chat(llm, "hi")[-1]
    assert json.loads(json.dumps(response.raw))["message"]["tool_calls"] == [call]
    assert json.loads(response.model_dump_json())["message"]["blocks"]


def test_public_names_are_one_sorted_list() -> None:
    """The package exports what it lists."""
    names = llamaindex_ollama_ext.__all__
    assert names == sorted(names)
    assert all(hasattr(llamaindex_ollama_ext, name) for name in names)


def test_a_missing_framework_names_the_extra() -> None:
    """Without llama-index-core the import says what to install."""
    code = (
        "import sys; sys.modules['llama_index'] = None; sys.modules['llama_index.core'] = None\n"
        "try: import llamaindex_ollama_ext\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "ollama-ext[llamaindex]"' in done.stdout


def test_langchain_is_not_needed() -> None:
    """The package works where langchain is not installed."""
    code = (
        "import sys; sys.modules['langchain_core'] = None; sys.modules['langchain'] = None\n"
        "import llamaindex_ollama_ext; llamaindex_ollama_ext.Ollama('m')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
