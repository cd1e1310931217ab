"""langchain-tests' own suites for chat models, every flag on that the adapter supports."""

import base64
from typing import Any

import httpx
import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from versions import is_older

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedOllama

_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
_WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(24)


class TestUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[ChatOllama]:
        return ChatOllama

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "demo"}

    @property
    def supports_json_mode(self) -> bool:
        return True


class _Integration(ChatModelIntegrationTests):
    """Every test against the embedded server; subclasses name the model."""

    model_name = "demo"

    @pytest.fixture(autouse=True)
    def _use_server(self, server: EmbeddedOllama, request: pytest.FixtureRequest) -> None:
        self.server = server
        if request.node.name.startswith(("test_stream[", "test_astream[")) and is_older(
            "langchain-tests", "1.1.9"
        ):
            pytest.skip("langchain-tests before 1.1.9 refuses an answer with its reasoning")
        self.plays_cassette = request.node.get_closest_marker("vcr") is not None

    @property
    def chat_model_class(self) -> type[ChatOllama]:
        return ChatOllama

    @property
    def chat_model_params(self) -> dict[str, Any]:
        if self.plays_cassette:
            return {"model": "tiny-chat", "base_url": "http://127.0.0.1:11434"}
        return {"model": self.model_name, "base_url": self.server.url}

    @property
    def has_tool_choice(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "demo-rendered"


class TestNativeRoute(_Integration):
    """A thinking model whose stream carries tool calls on its last line."""


class TestRenderedRoute(_Integration):
    """A thinking model whose stream carries each tool call on a line of its own."""

    model_name = "demo-rendered"

    @property
    def model_override_value(self) -> str:
        return "demo"

    @property
    def enable_vcr_tests(self) -> bool:
        return True


class TestSenses(_Integration):
    """A model that sees and hears, and does not think."""

    model_name = "demo-senses"

    @pytest.fixture(autouse=True)
    def _no_downloads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The suite downloads its pictures and sounds from the web: tests have no network, and
        # what is on them does not matter to a rule-based model.
        def download(url: str, **_: Any) -> httpx.Response:
            return httpx.Response(200, content=_WAV if url.endswith(".wav") else _PNG)

        monkeypatch.setattr(httpx, "get", download)
        monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "none: nothing is downloaded")

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True
