"""How a chat model is given tools and the shape of its answers: `bind_tools` and what follows."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, overload

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable

from langchain_ollama_ext._params import known_arguments
from langchain_ollama_ext._tokens import TokenCounting
from langchain_ollama_ext._tools import check_choice, read_tools

T = TypeVar("T")
_Method = Literal["json_schema", "function_calling", "json_mode"]


class ToolBinding(TokenCounting):
    """Return the model with tools, or with a schema for its answers."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: dict[str, Any] | type | str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model with tools it may call.

        Args:
            tools: Functions, pydantic classes, TypedDicts, BaseTools, JSON schemas, and the dicts
                of OpenAI and Anthropic.
            tool_choice: "auto" or None as the model likes, "any", "required" or True for at least
                one call, a tool's name or OpenAI's and Anthropic's dicts for that one, "none" for
                no call.
            strict: True closes the schemas as OpenAI's strict mode does; Ollama has no such mode,
                and a forced call follows its schema anyway.
            parallel_tool_calls: False keeps the first call of an answer.
            response_format: The shape of the final answer, which the model may give instead of a
                call: "json", a JSON schema, OpenAI's envelopes, a class.
            kwargs: Further arguments of a call, such as temperature.

        Raises:
            ConfigError: for a choice that these tools cannot fulfil, and unknown arguments.
        """
        formatted = read_tools(tools, strict=strict)
        # Here and not at the call: the line that is wrong is the one that binds.
        check_choice(tool_choice, formatted)
        known_arguments(kwargs)
        given = {
            "tool_choice": tool_choice,
            "parallel_tool_calls": parallel_tool_calls,
            "response_format": response_format,
        }
        named = {name: value for name, value in given.items() if value is not None}
        return self.bind(tools=formatted, **named, **kwargs)

    # What a class describes is what comes: type checkers know it in the lines after.
    @overload
    def with_structured_output(
        self,
        schema: type[T],
        *,
        method: _Method = ...,
        include_raw: Literal[False] = False,
        strict: bool | None = ...,
        tools: None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, T]: ...

    # With tools the answer may be their calls, and no object.
    @overload
    def with_structured_output(
        self,
        schema: type[T],
        *,
        method: _Method = ...,
        include_raw: Literal[False] = False,
        strict: bool | None = ...,
        tools: Sequence[Any],
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, T | None]: ...

    @overload
    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: _Method = ...,
        include_raw: Literal[True],
        strict: bool | None = ...,
        tools: Sequence[Any] | None = ...,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any]]: ...

    @overload
    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: _Method = ...,
        include_raw: bool = ...,
        strict: bool | None = ...,
        tools: Sequence[Any] | None = ...,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]: ...

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: _Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a chain whose output follows a schema.

        Args:
            schema: A pydantic class, a TypedDict, a JSON schema or an OpenAI function dict. None
                is for "json_mode" alone.
            method: "json_schema" constrains the answer (the default), "function_calling" forces a
                tool call, "json_mode" asks for any JSON, whose shape the prompt must describe.
            include_raw: True returns ``{"raw", "parsed", "parsing_error"}`` and raises nothing
                for an answer that does not parse.
            strict: As in `bind_tools`.
            tools: Tools that the model may call before it gives the answer.
            kwargs: Further arguments of a call, such as temperature.

        Raises:
            ConfigError: for a schema or arguments that cannot work.
        """
        # Here and not above: who wants no structured output need not load the parsers.
        from langchain_ollama_ext._structured import structured_output

        return structured_output(
            self,
            schema,
            method=method,
            include_raw=include_raw,
            strict=strict,
            tools=tools,
            **kwargs,
        )
