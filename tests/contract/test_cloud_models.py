"""A cloud model's answer that its schema did not hold: the error names the cause."""

import re
from typing import Any

import httpx
import pytest
from faked import Network
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import HumanMessage
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel
from running import Run
from strict_server import ask

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama, StructuredOutputError
from ollama_transport import OllamaError


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


REFUSED = [
    # ollama #15990, 2026-05-06
    (
        403,
        {"error": "this model requires a subscription, upgrade for access: https://ollama.com/x"},
        ("AuthenticationError", "plan does not have this model"),
    ),
    # continue #11444, 2026-03-15
    (
        429,
        {"error": "you (me) have reached your session usage limit, upgrade for higher limits"},
        ("ServerBusyError", "not retried: wait until the limit"),
    ),
    (
        401,
        {"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=x"},
        ("AuthenticationError", "Sign the server in at https://ollama.com/connect"),
    ),
    (402, {"error": "payment required"}, ("RequestRejectedError", "no credits")),
]


@pytest.mark.parametrize("form", ["status", "inside an answer"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("root", ["http://h", "http://h/v1"], ids=["native", "v1"])
@pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
@pytest.mark.parametrize(("status", "body", "told"), REFUSED, ids=[403, 429, 401, 402])
def test_a_refusal_of_the_cloud_says_what_to_do_and_is_not_tried_again(
    run: Run,
    kind: Any,
    root: str,
    streams: bool,
    form: str,
    status: int,
    body: dict[str, str],
    told: tuple[str, str],
) -> None:
    """It is asked once; a limit of hours is not waited for."""
    sent = httpx.Response(status, json=body)
    if form != "status":
        # As the cloud's errors come in a stream that has begun: the status is in the body.
        sent = httpx.Response(200, json={**body, "status": status})
    network = Network(sent)
    settings: dict[str, Any] = {"base_url": root, "client_kwargs": {"transport": network}}
    api = "openai" if root.endswith("v1") else "native"
    made = kind(model="glm-4.6:cloud", max_retries=2, api=api, count_tokens=False, **settings)
    asked = [HumanMessage("Hi")] if kind is ChatOllama else [ChatMessage("Hi")]
    try:
        with pytest.raises(OllamaError, match=re.escape(told[1])) as caught:
            ask(run, made, asked, streams)
    finally:
        run(made.aclose() if run.is_async else made.close())
    assert told[0] in [cls.__name__ for cls in type(caught.value).__mro__]
    assert getattr(caught.value, "is_retryable", False) is False
    assert len([path for path in network.paths if "chat" in path]) == 1
