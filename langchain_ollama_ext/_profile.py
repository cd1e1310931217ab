"""Build langchain-core's profile of a model, with or without asking the server."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from langchain_core.language_models import ModelProfile

from langchain_ollama_ext._families import family_can

if TYPE_CHECKING:
    from ollama_transport import ShowAnswer

_LEVELS = ["low", "medium", "high", "max"]


class KnownProfile(dict[str, Any]):
    """A profile computed from a model's fields, which therefore follows their changes.

    A profile that the caller provides is a plain dict and does not change. ``lengths`` are the
    context that the Modelfile asks for and the one that the model was trained for, in tokens; None
    for unknown. ``given`` is the part that the caller provided.
    """

    def __init__(
        self,
        facts: Mapping[str, Any],
        lengths: tuple[int | None, int | None] = (None, None),
        given: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__({**facts, **(given if given is not None else {})})
        self.lengths = lengths
        self.given = dict(given) if given is not None else {}

    def following(self, num_ctx: int | None) -> Self:
        """Return the profile of the same model with another ``num_ctx``."""
        facts = {name: value for name, value in self.items() if name != "max_input_tokens"}
        fits = tokens_that_fit(num_ctx, *self.lengths)
        if fits is not None:
            facts["max_input_tokens"] = fits
        # What the caller gave wins here as well.
        return type(self)(facts, self.lengths, self.given)


def tokens_that_fit(
    num_ctx: int | None, asked: int | None = None, trained: int | None = None
) -> int | None:
    """Return the size of the context in tokens; None for unknown."""
    # The server clamps to the trained length as well.
    wanted = num_ctx if num_ctx is not None else asked
    known = [length for length in (wanted, trained) if length is not None]
    return min(known) if known else None


def profile_of(
    answer: "ShowAnswer",
    *,
    name: str,
    num_ctx: int | None = None,
    fetches_images: bool = False,
    given: ModelProfile | None = None,
) -> ModelProfile:
    """Return the profile of a model from ``/api/show`` (wire reference 9).

    ``max_input_tokens`` is ``num_ctx``, else the Modelfile's, else what the model was trained
    for, of which the server may provide less (see `SamplingOptions.num_ctx`). Structured output is
    a feature of the engine, not of the model; engines for MLX do not have it (wire reference 3.6),
    and neither have cloud models (``remote_host``). What is ``given`` takes precedence.
    """
    # From /api/show: the capabilities in the list of models are computed from less.
    talks, calls, sees = (answer.can(what) for what in ("completion", "tools", "vision"))
    lengths = (answer.num_ctx, answer.context_length)
    facts: dict[str, Any] = {
        "name": name,
        "max_input_tokens": tokens_that_fit(num_ctx, *lengths),
        "text_inputs": True,
        "text_outputs": talks,
        "image_inputs": sees,
        "image_url_inputs": sees and fetches_images,
        "image_tool_message": sees,
        "audio_inputs": answer.can("audio"),
        "video_inputs": False,
        "pdf_inputs": False,
        "pdf_tool_message": False,
        "image_outputs": answer.can("image"),
        "audio_outputs": False,
        "video_outputs": False,
        "reasoning_output": answer.can("thinking"),
        "reasoning_effort_levels": list(_LEVELS) if answer.can("thinking") else None,
        "tool_calling": calls,
        "tool_choice": calls,
        "tool_call_streaming": calls,
        "mid_conversation_system_messages": True,
        "structured_output": talks and not _is_mlx(answer) and not answer.remote_host,
        "temperature": talks,
    }
    return _declared(facts, lengths, given)


def profile_unasked(
    name: str | None,
    *,
    num_ctx: int | None,
    fetches_images: bool,
    length: int | None = None,
    given: ModelProfile | None = None,
) -> ModelProfile:
    """Return the profile of a model as far as it is known without ``/api/show``.

    ``max_input_tokens`` is set by ``num_ctx`` and by ``length``, the context that an
    OpenAI-compatible server lists: Ollama's default depends on its memory. Tools, reasoning and
    images are set for the models of `FAMILIES`. Structured output is a feature of the engine,
    available for any model (wire reference 3.6).
    """
    can = frozenset() if name is None else family_can(name)
    tools, sees, thinks = ("tools" in can, "vision" in can, "thinking" in can)
    facts: dict[str, Any] = {
        "name": name,
        "max_input_tokens": tokens_that_fit(num_ctx, None, length),
        "text_inputs": True,
        "text_outputs": True,
        "structured_output": True,
        "mid_conversation_system_messages": True,
        "temperature": True,
        # None means unknown, and is left out.
        "tool_calling": tools or None,
        "tool_choice": tools or None,
        "tool_call_streaming": tools or None,
        "image_inputs": sees or None,
        "image_tool_message": sees or None,
        "image_url_inputs": (sees and fetches_images) or None,
        "reasoning_output": thinks or None,
        "reasoning_effort_levels": list(_LEVELS) if thinks else None,
    }
    return _declared(facts, (None, length), given)


def _declared(
    facts: Mapping[str, Any],
    lengths: tuple[int | None, int | None],
    given: ModelProfile | None,
) -> ModelProfile:
    # An older core knows fewer keys, and warns about the others.
    known = ModelProfile.__annotations__
    kept = {name: value for name, value in facts.items() if name in known and value is not None}
    own = cast("Mapping[str, Any] | None", given)
    return cast("ModelProfile", KnownProfile(kept, lengths, own))


def _is_mlx(answer: "ShowAnswer") -> bool:
    return answer.details is not None and answer.details.format == "safetensors"
