"""Detect models of Ollama's cloud, which does not enforce schemas."""

_NOTE = (
    " It is a cloud model, and Ollama's cloud does not enforce schemas: give it a tool to call, or "
    "use a local model."
)


def cloud_note(model: object, remote_host: object = None) -> str:
    """Return why an answer of a cloud model may not fit its schema; "" for other models.

    The tag of such a model ends in "cloud", or its answers name a ``remote_host``.
    """
    is_cloud = isinstance(model, str) and model.lower().endswith(("-cloud", ":cloud"))
    return _NOTE if is_cloud or remote_host else ""
