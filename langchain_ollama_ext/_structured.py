"""Structured output: bind a schema to a chat model and parse its answers."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Literal, cast, get_args

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import BaseMessage, BaseMessageChunk
from langchain_core.runnables import Runnable, RunnableGenerator
from langchain_core.runnables.utils import AddableDict
from typing_extensions import is_typeddict

from langchain_ollama_ext._schemas import ANYTHING, Shape, understood
from langchain_ollama_ext._structured_parser import (
    Answer,
    StructuredOutputError,
    StructuredOutputParser,
    as_message,
)
from langchain_ollama_ext._typed_dicts import readable
from ollama_transport import ConfigError

Method = Literal["json_schema", "function_calling", "json_mode"]


def structured_output(
    model: BaseChatModel,
    schema: Any = None,
    *,
    method: Method = "json_schema",
    include_raw: bool = False,
    strict: bool | None = None,
    tools: Sequence[Any] | None = None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, Any]:
    """Return a runnable that calls a chat model and returns objects of a schema.

    Args:
        model: The chat model to ask.
        schema: A pydantic class (v1 or v2), whose objects are returned, or a TypedDict class or a
            dict (a JSON schema, bare or in an OpenAI envelope), for which dicts are returned. None
            is allowed for "json_mode" only, and means any JSON.
        method: "json_schema" constrains the text of the answer by the schema; "function_calling"
            forces a call of a tool with that schema; "json_mode" constrains to any JSON, so that
            the prompt has to describe the shape.
        include_raw: True returns {"raw": message, "parsed": object or None, "parsing_error": the
            error or None} instead of the object, and does not raise for an answer of a wrong
            shape. Streaming yields one of the keys at a time; "parsed" grows.
        strict: Passed to the tools, and with the schema on ``/v1``, where None means True for a
            schema that is strict by OpenAI's rules. Ollama's grammar enforces every schema,
            whatever is given here; True with "json_mode", which has no schema, is refused.
        tools: Tools that the model may call instead of answering; the result is None then, and
            the calls are in "raw".
        kwargs: Further arguments of each call, as `bind` takes them.

    Raises:
        ConfigError: for an unknown method, and for an invalid or missing schema.

    The runnable raises the errors of the model, and:
        StructuredOutputError: an OutputParserException, for an answer that is cut, empty, or of
            another shape, with its ``llm_output`` and ``done_reason``; also at the end of a stream.
            It names the fields that do not fit the given schema, dicts included: some schemas are
            only partly enforced by a grammar.
        StructuredCallMissingError: one of them, where the call of "function_calling" is missing.
    """
    shape = _checked_shape(schema, method, strict)
    bound = {**kwargs, "ls_structured_output_format": _traced(schema, shape, method)}
    if method == "function_calling":
        llm = _forced(model, shape, strict, tools, bound)
    else:
        # JSON mode is the server's grammar for any JSON (wire reference 3.6).
        wanted = "json" if method == "json_mode" else {**shape.json_schema, **_strictness(strict)}
        llm = _formatted(model, wanted, strict, tools, bound)
    called = method == "function_calling"
    parser = StructuredOutputParser(shape=shape, called=called, beside_tools=bool(tools))
    return llm | (_with_raw(parser) if include_raw else parser)


def _checked_shape(schema: Any, method: str, strict: bool | None) -> Shape:
    if method not in get_args(Method):
        raise ConfigError(f"method={method!r}: give one of {', '.join(get_args(Method))}.")
    if method == "json_mode" and strict:
        raise ConfigError('method="json_mode" has no schema to be strict about: leave strict out.')
    if schema is not None:
        return understood(schema)
    if method == "json_mode":
        return ANYTHING
    raise ConfigError(f'method={method!r} needs a schema; only "json_mode" works without one.')


def _traced(schema: Any, shape: Shape, method: str) -> dict[str, Any]:
    """Return the schema for langchain-core's tracers, in a form that core can read."""
    if is_typeddict(schema) and not readable(schema):
        schema = dict(shape.json_schema)
    return {"kwargs": {"method": method}, "schema": schema}


def _forced(
    model: BaseChatModel,
    shape: Shape,
    strict: bool | None,
    tools: Sequence[Any] | None,
    bound: Mapping[str, Any],
) -> Runnable[LanguageModelInput, Any]:
    others = list(tools) if tools is not None else []
    # With other tools, the answer may be a call of one of those.
    choice = "any" if others else shape.name
    arguments = {**bound, **_strictness(strict)}
    # The parser tells of a missing call itself, since "raw" and "parsing_error" need the answer.
    arguments = {"on_missing_call": "pass", **arguments}
    return model.bind_tools([shape.as_tool(), *others], tool_choice=choice, **arguments)


def _formatted(
    model: BaseChatModel,
    wanted: str | Mapping[str, Any],
    strict: bool | None,
    tools: Sequence[Any] | None,
    bound: Mapping[str, Any],
) -> Runnable[LanguageModelInput, Any]:
    # Beside tools, a format constrains the final answer only: the transport merges the two.
    if tools:
        arguments = {**bound, **_strictness(strict), "format": wanted}
        return model.bind_tools(list(tools), **arguments)
    return cast("Runnable[LanguageModelInput, Any]", model.bind(format=wanted, **bound))


def _strictness(strict: bool | None) -> dict[str, bool]:
    return {} if strict is None else {"strict": strict}


def _with_raw(parser: StructuredOutputParser) -> Runnable[Any, dict[str, Any]]:
    """Return a runnable that yields {"raw", "parsed", "parsing_error"}, also piece by piece.

    langchain-core's own solution, a fallback, only guards the first piece of a stream, and would
    raise an error at its end.
    """

    def transform(pieces: Iterator[BaseMessage]) -> Iterator[AddableDict]:
        answer = parser.answer()
        for piece in pieces:
            answer.take(as_message(piece))
            yield AddableDict(raw=piece)
            yield from (AddableDict(parsed=made) for made in _news(answer, piece))
        yield _ending(answer)

    async def atransform(pieces: AsyncIterator[BaseMessage]) -> AsyncIterator[AddableDict]:
        answer = parser.answer()
        async for piece in pieces:
            answer.take(as_message(piece))
            yield AddableDict(raw=piece)
            for made in _news(answer, piece):
                yield AddableDict(parsed=made)
        yield _ending(answer)

    return RunnableGenerator(transform, atransform, name="StructuredOutputWithRaw")


def _news(answer: Answer, piece: BaseMessage) -> list[Any]:
    # Only for chunks: a whole message has no partial result, so "parsed" is None if it is invalid.
    return answer.news() if isinstance(piece, BaseMessageChunk) else []


def _ending(answer: Answer) -> AddableDict:
    try:
        made = answer.ending()
    except StructuredOutputError as error:
        return AddableDict(parsed=None, parsing_error=error)
    # AddableDict keeps the earlier value when None is added.
    return AddableDict(parsed=made[0] if made else None, parsing_error=None)
