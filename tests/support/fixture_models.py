"""The models that the conformance cases of the wire reference are written for."""

from ollama_ext.embedded import EmbeddedModel


def fixture_models() -> tuple[EmbeddedModel, ...]:
    """Return the fixture models of wire reference 11, all but the remote ``stub``."""
    native = ("completion", "tools", "thinking")
    # The plain model is on the native route: it has no tools to place anyway.
    return (
        EmbeddedModel("native", native),
        EmbeddedModel("plain", ("completion",), family="llama"),
        EmbeddedModel(
            "gotmpl",
            ("completion", "tools", "insert"),
            tool_call_placement="own",
            template="{{ range .Messages }}{{ .Role }}: {{ .Content }}\n{{ end }}{{ .Suffix }}",
        ),
        EmbeddedModel("builtin", native, tool_call_placement="own"),
        EmbeddedModel("embed", ("embedding",), context_length=8, family="bert"),
        EmbeddedModel("img", ("image",)),
    )
