"""Bind tools and output schemas to a chat model: `bind_tools`, `with_structured_output`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from langchain_core.language_models import LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableBinding
from pydantic import ConfigDict

from langchain_ollama_ext._fields import canonical_names
from langchain_ollama_ext._params import known_arguments
from langchain_ollama_ext._tokens import TokenCounting
from langchain_ollama_ext._tools import check_choice, read_tools

T = TypeVar("T")
_Method = Literal["json_schema", "function_calling", "json_mode"]


# pydantic's mypy plugin takes the inherited field `kwargs` for a name of the generated __init__.
class ProfiledBinding(RunnableBinding[LanguageModelInput, AIMessage]):  # type: ignore[no-redef] # see above
    """A chat model with bound arguments, whose profile follows a bound model and context."""

    # Only what binds something needs its validator.
    model_config = ConfigDict(defer_build=True)

    @classmethod
    def lc_id(cls) -> list[str]:
        """Return langchain-core's own name for a binding, under which dumps are loaded."""
        return [*cls.get_lc_namespace(), "RunnableBinding"]

    @property
    def profile(self) -> ModelProfile | None:
        """Return the profile of the model as it is called with the bound arguments."""
        options = self.kwargs.get("options")
        given = {**options, **self.kwargs} if isinstance(options, dict) else self.kwargs
        named = canonical_names(given)
        changed = {name: named[name] for name in ("model", "num_ctx") if named.get(name)}
        model: Any = self.bound
        followed = model.model_copy(update=changed) if changed else model
        return cast("ModelProfile | None", followed.profile)


class ToolBinding(TokenCounting):
    """The methods of a chat model that bind tools, or a schema for its answers."""

    if not TYPE_CHECKING:  # for type checkers, core's own signature is more exact

        def bind(self, **kwargs: Any) -> ProfiledBinding:
            return ProfiledBinding(bound=self, kwargs=kwargs, config={})

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
            tool_choice: "auto" or None lets the model decide; "any", "required" or True forces at
                least one call; a tool's name, or OpenAI's and Anthropic's dicts, force that tool;
                "none" forbids calls.
            strict: True closes the schemas as in OpenAI's strict mode. Ollama has no such mode; a
                forced call follows its schema anyway.
            parallel_tool_calls: False keeps only the first call of an answer.
            response_format: The shape of the final answer, which the model may give instead of a
                call: "json", a JSON schema, OpenAI's envelopes, or a class.
            kwargs: Further arguments of a call, such as temperature.

        Raises:
            ConfigError: for a choice that these tools cannot satisfy, and unknown arguments.
        """
        formatted = read_tools(tools, strict=strict)
        # Checked here rather than at the call, so that the traceback shows the faulty line.
        check_choice(tool_choice, formatted)
        known_arguments(kwargs)
        given = {
            "tool_choice": tool_choice,
            "parallel_tool_calls": parallel_tool_calls,
            "response_format": response_format,
        }
        named = {name: value for name, value in given.items() if value is not None}
        return self.bind(tools=formatted, **named, **kwargs)

    # The overloads tell type checkers that a class as schema returns objects of that class.
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

    # With tools, the answer may be calls instead of an object.
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
                is allowed for "json_mode" only.
            method: "json_schema" constrains the answer (the default), "function_calling" forces a
                tool call, "json_mode" allows any JSON, whose shape the prompt must describe.
            include_raw: True returns ``{"raw", "parsed", "parsing_error"}`` and does not raise
                for an answer that cannot be parsed.
            strict: As in `bind_tools`.
            tools: Tools that the model may call before it answers.
            kwargs: Further arguments of a call, such as temperature.

        Raises:
            ConfigError: for a schema or arguments that cannot work.
        """
        # Imported here, so that only users of structured output load the parsers.
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
