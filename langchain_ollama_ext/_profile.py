"""Build langchain-core's profile of a model, with or without asking the server."""

from typing import TYPE_CHECKING, Any, cast

from langchain_core.language_models import ModelProfile

from langchain_ollama_ext._families import family_can

if TYPE_CHECKING:
    from ollama_transport import ShowAnswer

_LEVELS = ["low", "medium", "high", "max"]


def profile_of(
    answer: "ShowAnswer", *, name: str, num_ctx: int | None = None, fetches_images: bool = False
) -> ModelProfile:
    """Return the profile of a model from ``/api/show`` (wire reference 9).

    ``max_input_tokens`` is ``num_ctx``, else the Modelfile's, else what the model was trained
    for, of which the server may provide less (see `SamplingOptions.num_ctx`). Structured output is
    a feature of the engine, not of the model; engines for MLX do not have it (wire reference 3.6),
    and neither have cloud models (``remote_host``).
    """
    # From /api/show: the capabilities in the list of models are computed from less.
    talks, calls, sees = (answer.can(what) for what in ("completion", "tools", "vision"))
    facts: dict[str, Any] = {
        "name": name,
        "max_input_tokens": _context(answer, num_ctx),
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
    return _declared(facts)


def profile_unasked(name: str | None, *, num_ctx: int | None, fetches_images: bool) -> ModelProfile:
    """Return the profile of a model as far as it is known without asking the server.

    ``max_input_tokens`` is set only by ``num_ctx``: the server's default depends on its memory.
    Tools, reasoning and images are set for the models of `FAMILIES`. Structured output is a feature
    of the engine, available for any model (wire reference 3.6).
    """
    can = frozenset() if name is None else family_can(name)
    tools, sees, thinks = ("tools" in can, "vision" in can, "thinking" in can)
    facts: dict[str, Any] = {
        "name": name,
        "max_input_tokens": num_ctx,
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
    return _declared(facts)


def _declared(facts: dict[str, Any]) -> ModelProfile:
    # An older core knows fewer keys, and warns about the others.
    known = ModelProfile.__annotations__
    kept = {name: value for name, value in facts.items() if name in known and value is not None}
    return cast("ModelProfile", kept)


def _context(answer: "ShowAnswer", num_ctx: int | None) -> int | None:
    # The server clamps to the trained length as well.
    asked = num_ctx if num_ctx is not None else answer.num_ctx
    known = [length for length in (asked, answer.context_length) if length is not None]
    return min(known) if known else None


def _is_mlx(answer: "ShowAnswer") -> bool:
    return answer.details is not None and answer.details.format == "safetensors"
