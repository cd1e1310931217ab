"""The single list of options: names, types, units and descriptions, for every model class."""

import difflib
import re
import warnings
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ollama_transport.errors import ConfigError

# Models may define more levels than the usual ones, such as "xhigh".
_LEVEL = re.compile(r"(?!(?:true|false)$)[a-zA-Z][\w.-]{0,63}", re.IGNORECASE)


def reasoning_level(value: object) -> str:
    """Return a text that can be the name of a reasoning level.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, str) and _LEVEL.fullmatch(value):
        return value
    raise ValueError(
        f"invalid reasoning level {value!r}: give True, False, None, or a level: low, medium, "
        "high, max, or another that the model defines."
    )


Think = bool | Annotated[str, AfterValidator(reasoning_level)]
"""On, off, or a level: low, medium, high, max (wire reference 3.3), or one of the model's own."""


class SamplingOptions(BaseModel):
    """The ``options`` of a request (wire reference 6).

    None, the default of each, sends nothing: the server then uses the model's own PARAMETER, or
    its default. Changing num_ctx, num_batch, num_gpu, main_gpu, use_mmap, num_thread or
    draft_num_predict between requests makes the server reload the model.

    ```python
    from langchain_ollama_ext import ChatOllama

    model = ChatOllama(model="llama3.2", temperature=0, num_ctx=8192, seed=1)
    print(model.invoke("Hello", temperature=0.5).content)
    ```
    """

    # The validator is built on first use, which makes every import some milliseconds faster.
    model_config = ConfigDict(defer_build=True)

    temperature: float | None = Field(
        default=None,
        ge=0,
        description="Randomness; 0 takes the likeliest token. Server's default 0.8.",
    )
    num_ctx: int | None = Field(
        default=None,
        ge=1,
        description="Size of the context for prompt and answer, in tokens. Default: the model's "
        "PARAMETER, else OLLAMA_CONTEXT_LENGTH of the server, else 4096 to 262144 by its VRAM.",
    )
    num_predict: int | None = Field(
        default=None,
        description="Maximum tokens to generate; negative is up to 10 times num_ctx. Default -1.",
    )
    seed: int | None = Field(
        default=None, description="Number that makes the sampling repeatable; -1 is random."
    )
    # A list, since the server refuses a plain string (wire reference 6).
    stop: list[str] | None = Field(
        default=None, description="Texts that end the answer; they are not part of it."
    )
    top_k: int | None = Field(
        default=None, ge=0, description="Sample from the k likeliest tokens; 0 is all. Default 40."
    )
    top_p: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Sample from the likeliest tokens that together have this probability. "
        "Default 0.9.",
    )
    min_p: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Leave out tokens less likely than this share of the likeliest. Default 0.",
    )
    typical_p: float | None = Field(
        default=None, ge=0, le=1, description="Locally typical sampling; 1 is off. Default 1."
    )
    repeat_last_n: int | None = Field(
        default=None,
        ge=-1,
        description="How many tokens back repetition counts; 0 is off, -1 is num_ctx. Default 64.",
    )
    repeat_penalty: float | None = Field(
        default=None, ge=0, description="Penalty on repeated tokens; 1 is off. Default 1."
    )
    presence_penalty: float | None = Field(
        default=None, description="Penalty on tokens that were used at all. Default 0."
    )
    frequency_penalty: float | None = Field(
        default=None, description="Penalty on tokens by how often they were used. Default 0."
    )
    num_keep: int | None = Field(
        default=None,
        ge=-1,
        description="Leading tokens of the prompt to keep when the context is shifted. Default 4.",
    )
    num_batch: int | None = Field(
        default=None, ge=1, description="Prompt tokens processed at a time. Default 512."
    )
    num_gpu: int | None = Field(
        default=None,
        ge=-1,
        description="Layers to put on the GPU; 0 is CPU only, -1 lets the server decide.",
    )
    main_gpu: int | None = Field(
        default=None, ge=0, description="Number of the GPU for data that is not split."
    )
    use_mmap: bool | None = Field(
        default=None, description="Map the model file into memory instead of reading it."
    )
    num_thread: int | None = Field(
        default=None, ge=0, description="CPU threads to use; 0 lets the server decide."
    )
    draft_num_predict: int | None = Field(
        default=None, ge=0, description="Tokens a draft model guesses ahead. Default 4."
    )


_IN_ORDER = tuple(SamplingOptions.model_fields)
_pick = itemgetter(*_IN_ORDER)
OPTION_NAMES = frozenset(_IN_ORDER)

OBSOLETE_OPTIONS = frozenset(
    (
        *("embedding_only", "f16_kv", "logits_all", "low_vram", "mirostat", "mirostat_eta"),
        *("mirostat_tau", "numa", "penalize_newline", "tfs_z", "use_mlock", "vocab_only"),
    )
)
"""Options of older servers, ignored by current ones (wire reference 6)."""


# The mixin leaves unknown names to its subclasses; plain options must not have any.
class _Strict(SamplingOptions):
    model_config = ConfigDict(extra="forbid", strict=False)


def set_options(model: SamplingOptions) -> dict[str, Any]:
    """Return the options that are set on a model, ready to be sent; {} if none is."""
    values = _in_order(model)
    # A shortcut: usually none is set, and each call asks several times.
    if values.count(None) == len(values):
        return {}
    return {n: value for n, value in zip(_IN_ORDER, values, strict=True) if value is not None}


def _in_order(model: SamplingOptions) -> tuple[Any, ...]:
    fields = model.__dict__
    try:
        values: tuple[Any, ...] = _pick(fields)
        return values
    except KeyError:  # made without pydantic's constructor
        return tuple(map(fields.get, _IN_ORDER))


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a call, checked; None values are not sent.

    Raises:
        ConfigError: for an unknown name (the message suggests the nearest), and for a value of
            the wrong type or out of range.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return {}
    for name in given:
        # The server would ignore it with a line in its log (wire reference 6).
        if name not in OPTION_NAMES:
            raise unknown_name("option", name, OPTION_NAMES)
    try:
        # The server would answer 500, after loading the model (wire reference 6).
        checked = _Strict.model_validate(given)
    except ValidationError as error:
        raise ConfigError(f"an option is out of range: {_first_fault(error)}") from error
    return {name: getattr(checked, name) for name in given}


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in fault["loc"])
    return f"{name}={fault['input']!r}: {fault['msg']}."


def warn_obsolete(name: str, *, stacklevel: int = 3) -> None:
    """Warn that an option has no effect any more and is not sent."""
    warnings.warn(
        f"{name} no longer exists in Ollama, which ignores it: it is not sent. Leave it out.",
        DeprecationWarning,
        stacklevel=stacklevel,
    )


def without_obsolete(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without obsolete ones, with a warning for each.

    The documentation of other packages still shows some of them, so refusing them would break
    working code.
    """
    for name in options.keys() & OBSOLETE_OPTIONS:
        warn_obsolete(name)
    return {name: value for name, value in options.items() if name not in OBSOLETE_OPTIONS}


# Names used by other packages, too different from ours to be found by similarity.
_OTHER_NAMES = {
    "api_base": ("base_url",),
    "context_window": ("num_ctx",),
    "host": ("base_url",),
    "json_mode": ("format",),
    "max_completion_tokens": ("num_predict",),
    "max_new_tokens": ("num_predict",),
    "max_tokens": ("num_predict",),
    "openai_api_base": ("base_url",),
    "openai_api_key": ("api_key",),
    "reasoning": ("thinking", "think"),
    "reasoning_effort": ("reasoning", "thinking", "think"),
    "request_timeout": ("timeout",),
    "response_format": ("format",),
    "thinking": ("reasoning", "think"),
}


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Return (not raise) the error for an unknown name, with the nearest known one."""
    names, (kind, _, owner) = sorted(known), kind.partition(" of ")
    what = f"{kind} {name!r} of {owner}" if owner else f"{kind} {name!r}"
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if name in OBSOLETE_OPTIONS:
        return ConfigError(f"the {what} no longer exists in Ollama: leave it out.")
    others = [other for other in _OTHER_NAMES.get(name, ()) if other in names]
    if others:
        return ConfigError(f"unknown {what}: here it is {others[0]!r}.")
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}."
    return ConfigError(f"unknown {what}: {hint}")
