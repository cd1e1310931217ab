"""One question to a chat of either framework, in all four ways, on either wire."""

import functools
from collections.abc import Callable
from typing import Any

import httpx
from both_ways import (
    Facts,
    Outcome,
    _awaited_list,
    _listed,
    langchain_message,
    llamaindex_response,
)
from llama_index.core.base.llms.types import ChatMessage
from running import Run
from wire_answers import WIRES, completed, replied

from langchain_ollama_ext import ChatOllama, OllamaLLM
from llamaindex_ollama_ext import Ollama

Chat = Callable[..., Outcome]

NAMES = {
    "LangChain": {},
    "LlamaIndex": {"reasoning": "thinking"},
}


class Chats:
    """Ask through one adapter, one way, on one wire, and return what a user gets.

    ``call`` are arguments of the call, under LangChain's names; other keywords go to the model.
    """

    def __init__(self, run: Run, adapter: str, wire: str, *, streams: bool) -> None:
        self.run = run
        self.adapter = adapter
        self.wire = wire
        self.streams = streams
        self.question = "hi"
        self.network: Facts | None = None

    def settings(self, answer: httpx.Response, more: dict[str, Any]) -> dict[str, Any]:
        self.network = Facts(answer)
        named = {NAMES[self.adapter].get(name, name): value for name, value in more.items()}
        return (
            {"model": "m", "client_kwargs": {"transport": self.network}} | WIRES[self.wire] | named
        )

    def chat(
        self,
        *messages: dict[str, Any],
        reason: str = "stop",
        call: dict[str, Any] | None = None,
        question: str = "hi",
        **more: Any,
    ) -> Outcome:
        self.question = question
        answer = replied(self.wire, messages, streams=self.streams, reason=reason)
        return self.played(answer, call=call, **more)

    def played(
        self, answer: httpx.Response, call: dict[str, Any] | None = None, **more: Any
    ) -> Outcome:
        """Return what a user gets of an answer that is played as it is."""
        settings = self.settings(answer, more)
        ask = self._langchain if self.adapter == "LangChain" else self._llamaindex
        return ask(settings, {} if call is None else call)

    def _langchain(self, settings: dict[str, Any], call: dict[str, Any]) -> Outcome:
        model, run, said = ChatOllama(**settings), self.run, self.question
        try:
            if not self.streams:
                whole = (
                    run(model.ainvoke(said, **call)) if run.is_async else model.invoke(said, **call)
                )
                return langchain_message(whole)
            chunks = (
                run(_listed(model.astream(said, **call)))
                if run.is_async
                else [*model.stream(said, **call)]
            )
            return langchain_message(functools.reduce(lambda a, b: a + b, chunks))
        finally:
            run(model.aclose() if run.is_async else model.close())

    def _llamaindex(self, settings: dict[str, Any], call: dict[str, Any]) -> Outcome:
        llm, run, asked = Ollama(**settings), self.run, [ChatMessage(self.question)]
        try:
            if not self.streams:
                whole = run(llm.achat(asked, **call)) if run.is_async else llm.chat(asked, **call)
                return llamaindex_response(whole)
            if run.is_async:
                return llamaindex_response(run(_awaited_list(llm.astream_chat(asked, **call)))[-1])
            return llamaindex_response([*llm.stream_chat(asked, **call)][-1])
        finally:
            run(llm.aclose() if run.is_async else llm.close())

    def complete(self, *pieces: str, **more: Any) -> tuple[str, str]:
        """Return text and thoughts of a completion whose text comes in these pieces."""
        settings = self.settings(completed(self.wire, pieces, streams=self.streams), more)
        ask = self._complete_langchain if self.adapter == "LangChain" else self._complete_llamaindex
        return ask(settings)

    def _complete_langchain(self, settings: dict[str, Any]) -> tuple[str, str]:
        model, run = OllamaLLM(**settings), self.run
        try:
            if self.streams:
                chunks = (
                    run(_listed(model._astream("hi"))) if run.is_async else [*model._stream("hi")]
                )
                found = functools.reduce(lambda a, b: a + b, chunks)
            else:
                whole = model.agenerate(["hi"]) if run.is_async else model.generate(["hi"])
                found = run(whole).generations[0][0]
        finally:
            run(model.aclose() if run.is_async else model.close())
        return found.text, (found.generation_info or {}).get("reasoning_content", "")

    def _complete_llamaindex(self, settings: dict[str, Any]) -> tuple[str, str]:
        llm, run = Ollama(**settings), self.run
        try:
            if not self.streams:
                found = [run(llm.acomplete("hi") if run.is_async else llm.complete("hi"))]
            elif run.is_async:
                found = run(_awaited_list(llm.astream_complete("hi")))
            else:
                found = [*llm.stream_complete("hi")]
        finally:
            run(llm.aclose() if run.is_async else llm.close())
        more = [one.additional_kwargs for one in found]
        thoughts = [m.get("thinking_delta") or m.get("thinking") or "" for m in more]
        return found[-1].text, "".join(thoughts)
