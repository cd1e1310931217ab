"""The server under test: our double by rules and with models of weights, or a real Ollama.

``OLLAMA_EXT_REAL_HOST`` points the conformance cases at a real Ollama; it takes any form of host
that ``OLLAMA_HOST`` takes. ``OLLAMA_EXT_REAL_MODELS`` is then a JSON object from the fixture models
of the wire reference (section 11) to models that server has; the default names the tiny models of
the recordings, which CONTRIBUTING.md says how to make. Cases whose fixture model is not mapped, and
cases that need a scripted failure, are skipped there.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import httpx
import pytest
from fixture_models import fixture_models
from weights import MODELS, NO_ENGINE

from ollama_ext.embedded import EmbeddedOllama, GgufModel
from ollama_transport.settings.host import parse_host

_TINY = {
    "native": "tiny-native",
    "plain": "tiny-plain",
    "gotmpl": "tiny-chat",
    "builtin": "tiny-think",
    "embed": "tiny-embed",
}
REAL_HOST = os.environ.get("OLLAMA_EXT_REAL_HOST", "")
REAL_MODELS: dict[str, str] = json.loads(
    os.environ.get("OLLAMA_EXT_REAL_MODELS", json.dumps(_TINY))
)


class Target:
    """A server that the conformance cases talk to."""

    def __init__(self, url: str, models: dict[str, str] | None = None) -> None:
        self.url = url
        # Where weights answer, nobody decides what they say.
        self.real = models is not None
        self._models = {} if models is None else models
        self.http = httpx.Client(base_url=url, timeout=300, trust_env=False)

    def model(self, name: str) -> str:
        """Return the name this server knows a fixture model by; skip when it has none."""
        if not self.real:
            return name
        if name not in self._models:
            pytest.skip(f"this server has no model for the fixture {name!r}")
        return self._models[name]

    def fit(self, value: Any) -> Any:
        """Replace ``@name`` by the model's name and ``@@name`` by its name with a tag."""
        if isinstance(value, dict):
            return {key: self.fit(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fit(item) for item in value]
        if not isinstance(value, str):
            return value
        for fixture in ("native", "plain", "gotmpl", "builtin", "embed", "img"):
            if f"@{fixture}" in value:
                known = self.model(fixture)
                tagged = known if ":" in known else f"{known}:latest"
                value = value.replace(f"@@{fixture}", tagged).replace(f"@{fixture}", known)
        return value

    def post(self, path: str, body: Any, **how: Any) -> httpx.Response:
        """Post JSON, model names put in."""
        return self.http.post(path, json=self.fit(body), **how)

    def lines(self, path: str, body: Any) -> list[dict[str, Any]]:
        """Post, and return the NDJSON lines of a stream that has to be 200."""
        response = self.post(path, body)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.content.endswith(b"\n")
        return [json.loads(line) for line in response.content.split(b"\n")[:-1]]

    def events(self, path: str, body: Any) -> list[Any]:
        """Post, and return the events of an SSE stream, ``[DONE]`` as a text."""
        response = self.post(path, body)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/event-stream"
        parts = [part for part in response.content.decode().split("\n\n") if part]
        data = [part.removeprefix("data: ") for part in parts]
        return [item if item == "[DONE]" else json.loads(item) for item in data]

    def needs(self, name: str, capability: str) -> None:
        """Skip unless the fixture's model has a capability."""
        shown = self.post("/api/show", {"model": f"@{name}"}).json()
        if capability not in shown["capabilities"]:
            pytest.skip(f"{self.model(name)} has no {capability}")

    def only_ours(self, why: str) -> None:
        """Skip where weights answer."""
        if self.real:
            pytest.skip(f"only on the double by rules: {why}")


def _weights() -> list[GgufModel]:
    # The native route alone: llama.cpp runs no Go templates, which the other fixtures are made of.
    greedy = {"temperature": 0, "num_ctx": 2048}
    return [
        GgufModel("native", MODELS / "tiny-think.gguf", greedy),
        GgufModel("plain", MODELS / "tiny-plain.gguf", greedy),
        GgufModel("embed", MODELS / "tiny-embed.gguf"),
    ]


@pytest.fixture(scope="module", params=["real"] if REAL_HOST else ["rules", "weights"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The server of the conformance cases."""
    with ExitStack() as stack:
        if request.param == "real":
            found = Target(parse_host(REAL_HOST).url, REAL_MODELS)
        elif request.param == "rules":
            found = Target(stack.enter_context(EmbeddedOllama(fixture_models())).url)
        else:
            if find_spec("xllamacpp") is None:
                pytest.skip(NO_ENGINE)
            weights = _weights()
            server = stack.enter_context(EmbeddedOllama(weights, demo=False))
            found = Target(server.url, {model.name: model.name for model in weights})
        yield found
        found.http.close()


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    """An embedded server of a test's own."""
    with EmbeddedOllama() as running:
        yield running


@pytest.fixture
def http(server: EmbeddedOllama) -> Iterator[httpx.Client]:
    """A client of the test's own embedded server."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        yield client


Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Ask the demo model: ``ask(text or messages, **fields)`` returns the answer's message."""
    with EmbeddedOllama() as server, httpx.Client(trust_env=False) as client:

        def asked(said: Any, **fields: Any) -> dict[str, Any]:
            messages = said if isinstance(said, list) else [{"role": "user", "content": said}]
            body = {"model": "demo", "messages": messages, "stream": False, "think": False}
            answer = client.post(f"{server.url}/api/chat", json=body | fields)
            assert answer.status_code == 200, answer.text
            message: dict[str, Any] = answer.json()["message"]
            return message

        yield asked
