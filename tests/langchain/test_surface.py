"""The surface of langchain-ollama 1.1.0, every name of which works here under its name."""

from typing import Any

import pytest
from chat_ways import body, model_on, whole
from surfaces import missing_parameters, surface_of

import langchain_ollama_ext as ours

_PEER = surface_of("langchain")
_CLASSES: dict[str, Any] = _PEER["classes"]


def test_exports() -> None:
    """The public names are sorted, exist, and no other can be imported."""
    assert ours.__all__ == sorted(ours.__all__)
    assert all(getattr(ours, name) for name in ours.__all__)
    assert dir(ours) == sorted(ours.__all__)
    with pytest.raises(AttributeError):
        ours.Nothing  # noqa: B018 # asking for it is the test


def test_every_export_of_the_peer_is_here() -> None:
    """Changing the import line is enough."""
    assert set(_PEER["exports"]["langchain_ollama"]) <= set(ours.__all__)


@pytest.mark.parametrize("name", _CLASSES)
def test_every_field_of_the_peer_is_here(name: str) -> None:
    """Each constructor argument exists."""
    fields = set(_CLASSES[name]["fields"])
    assert len(fields) > 15
    assert fields - set(getattr(ours, name).model_fields) == set()


@pytest.mark.parametrize("name", _CLASSES)
def test_every_public_method_of_the_peer_is_here(name: str) -> None:
    """Each public method exists and takes the arguments that the peer's takes."""
    for method, theirs in _CLASSES[name]["members"].items():
        mine = getattr(getattr(ours, name), method)
        assert missing_parameters(mine, theirs["parameters"]) == set(), method


_VALUES: dict[str, Any] = {
    "model": "x",
    "reasoning": True,
    "validate_model_on_init": False,
    "num_ctx": 4096,
    "num_gpu": 1,
    "num_thread": 2,
    "num_predict": 3,
    "repeat_last_n": 4,
    "repeat_penalty": 1.5,
    "temperature": 0.5,
    "seed": 5,
    "logprobs": True,
    "top_logprobs": 2,
    "stop": ["s"],
    "top_k": 6,
    "top_p": 0.5,
    "format": "json",
    "keep_alive": 60,
    "base_url": "http://127.0.0.1:11434",
    "client_kwargs": {},
    "async_client_kwargs": {},
    "sync_client_kwargs": {},
}
_OBSOLETE = {"mirostat", "mirostat_eta", "mirostat_tau", "tfs_z"}


def test_the_same_arguments_ask_for_the_same() -> None:
    """Every living argument of the peer's ChatOllama reaches the server as it does there."""
    assert set(_CLASSES["ChatOllama"]["fields"]) == {*_VALUES, *_OBSOLETE}
    model, network = model_on(whole(), **{k: v for k, v in _VALUES.items() if "kwargs" not in k})
    model.invoke("hi")
    asked = body(network)
    assert asked["options"] == {
        name: _VALUES[name]
        for name in (
            "num_ctx",
            "num_gpu",
            "num_thread",
            "num_predict",
            "repeat_last_n",
            "repeat_penalty",
            "temperature",
            "seed",
            "stop",
            "top_k",
            "top_p",
        )
    }
    assert {name: asked[name] for name in ("model", "think", "format", "keep_alive")} == {
        "model": "x",
        "think": True,
        "format": "json",
        "keep_alive": 60,
    }
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize(
    "how",
    [
        {"options": {"num_ctx": 9}},
        {"format": "json"},
        {"response_format": {"type": "json_object"}},
        {"stream": False},
        {"model": "y"},
        {"reasoning": False},
        {"logprobs": True, "top_logprobs": 1},
        {"keep_alive": 5},
        {"stop": ["x"]},
        {"strict": True},
    ],
)
def test_per_call_arguments_of_the_peer(how: dict[str, Any]) -> None:
    """What the peer takes per call is taken here."""
    model, network = model_on(whole("{}"))
    model.invoke("x", **how)
    assert len(network.requests) == 1


def test_metadata_keys_of_the_peer() -> None:
    """response_metadata has every key that the peer's has, with the same values."""
    said = {
        "model": "m",
        "created_at": "2026-11-20T22:52:56.331386163Z",
        "done": True,
        "done_reason": "stop",
        "total_duration": 4935886111,
        "load_duration": 5338350,
        "prompt_eval_count": 26,
        "prompt_eval_duration": 130079000,
        "eval_count": 29,
        "eval_duration": 4232710000,
        "model_name": "m",
        "model_provider": "ollama",
    }
    ours = {"finish_reason": "stop", "normalized_finish_reason": "stop"}
    model, _ = model_on(whole())
    assert model.invoke("x").response_metadata == {**said, **ours}
