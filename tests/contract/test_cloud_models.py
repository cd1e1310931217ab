"""A cloud model's answer that its schema did not hold: the error names the cause."""

from typing import Any

import httpx
import pytest
from faked import Network
from langchain_core.exceptions import OutputParserException
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama, StructuredOutputError


class City(BaseModel):
    name: str


def answer(model: str, text: str, **more: Any) -> httpx.Response:
    line = {"model": model, "created_at": "2026-01-01T00:00:00Z", "done": True, **more}
    said = {"role": "assistant", "content": text}
    return httpx.Response(200, json={**line, "done_reason": "stop", "message": said})


def asked(run: Run, kind: Any, model: str, network: Network) -> Any:
    settings: dict[str, Any] = {"base_url": "http://h", "client_kwargs": {"transport": network}}
    made = kind(model=model, max_retries=0, **settings)
    try:
        if kind is ChatOllama:
            chain = made.with_structured_output(City)
            return run(chain.ainvoke("Rome")) if run.is_async else chain.invoke("Rome")
        prompt = PromptTemplate("Rome")
        if run.is_async:
            return run(made.astructured_predict(City, prompt))
        return made.structured_predict(City, prompt)
    finally:
        run(made.aclose() if run.is_async else made.close())


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("gpt-oss:120b-cloud", {}),
        ("glm-4.6:cloud", {}),
        ("mine", {"remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"}),
    ],
)
@pytest.mark.parametrize("text", ["Rome is a city.", '{"town": "Rome"}'], ids=["prose", "other"])
@pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
def test_the_error_names_the_cloud(
    run: Run, kind: Any, text: str, model: str, more: dict[str, str]
) -> None:
    """A user of such a model looks for the fault in the schema otherwise."""
    network = Network(answer(model, text, **more))
    with pytest.raises(
        (OutputParserException, StructuredOutputError), match="cloud does not enforce"
    ):
        asked(run, kind, model, network)


@pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
def test_other_models_are_not_blamed_on_the_cloud(run: Run, kind: Any) -> None:
    """The name has to end in it."""
    network = Network(answer("cloud-poet:7b", "Rome is a city."))
    with pytest.raises((OutputParserException, StructuredOutputError)) as caught:
        asked(run, kind, "cloud-poet:7b", network)
    assert "cloud does not enforce" not in str(caught.value)
