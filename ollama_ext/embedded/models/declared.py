"""The models an embedded server can have: their declaration and the ready-made sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from ollama_ext.embedded.engine import Engine
from ollama_ext.embedded.llama.gguf import Gguf, read_gguf
from ollama_ext.embedded.llama.process import MISSING, has_llama
from ollama_ext.embedded.protocol.names import parse_name

CAPABILITIES = frozenset(
    {"completion", "tools", "insert", "vision", "embedding", "thinking", "image", "audio"}
)
Placement = Literal["final", "own"]

_ABOUT_CHAT = (
    "A rule-based demo: it quotes its context, calls tools by their names and fills JSON schemas. "
    "There is no neural network behind it."
)
_ABOUT_EMBED = (
    "A rule-based demo: hashed words and word pairs, so that texts which share words are near "
    "each other. There is no neural network behind it."
)


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """Declare a model of an embedded server.

    ```python
    from langchain_ollama_ext import ChatOllama
    from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama

    parrot = EmbeddedModel("parrot", engine=lambda prompt: Answer(prompt.messages[-1].content))
    with EmbeddedOllama(models=[parrot]) as server:
        model = ChatOllama(model="parrot", base_url=server.url)
        print(model.invoke("Hello").content)
        model.close()
    ```

    Args:
        name: Its name; without a tag it is ``name:latest``.
        capabilities: What ``/api/show`` lists and requests are checked against: ``completion``,
            ``tools``, ``thinking``, ``insert``, ``vision``, ``embedding``, ``image``, ``audio``.
        context_length: The context it was "trained" with, in tokens; num_ctx is clamped to it.
        parameters: Modelfile parameters, such as ``{"num_ctx": 64, "stop": ["###"]}``.
        template: The Modelfile's template, for ``/api/show``; "" gives the default one.
        system: The Modelfile's system text; "" for none.
        tool_call_placement: Where a stream carries tool calls (wire reference 3.4): ``"final"``
            puts all on the ``done:true`` line, with ids of 32 characters, as Ollama's native
            route does; ``"own"`` puts each on its own line before, with ids of ``call_`` and 8
            characters, as its rendered route does.
        dimensions: Size of its vectors, for an embedding model.
        engine: What answers; None is the rule-based demo.
        family: The architecture that ``/api/show`` names.
        description: What ``/api/show`` says the model is; "" says it is the demo.
        weights: The file of a model that llama.cpp runs; None for a model of rules. `GgufModel`
            fills it in.

    Raises:
        TypeError: For an engine that cannot be called.
        ValueError: For a name no request could ask for, an unknown capability or placement, or a
            context of no tokens.
    """

    name: str
    capabilities: tuple[str, ...] = ("completion",)
    context_length: int = 4096
    parameters: Mapping[str, object] = field(default_factory=dict)
    template: str = ""
    system: str = ""
    tool_call_placement: Placement = "final"
    dimensions: int = 256
    engine: Engine | None = None
    family: str = "demo"
    description: str = ""
    weights: Gguf | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        # A single text would be taken letter by letter.
        given: object = self.capabilities
        if isinstance(given, str) or not CAPABILITIES.issuperset(self.capabilities):
            known = ", ".join(sorted(CAPABILITIES))
            raise ValueError(f"unknown capabilities {given!r}: give a tuple of {known}")
        if self.tool_call_placement not in get_args(Placement):
            raise ValueError(f'tool_call_placement={self.tool_call_placement!r}: "final" or "own"')
        if self.engine is not None and not callable(self.engine):
            raise TypeError("engine= takes a function from a Prompt to an Answer")
        if self.context_length < 1 or self.dimensions < 1:
            raise ValueError("context_length and dimensions must be at least 1")

    @property
    def about(self) -> str:
        """What ``/api/show`` says it is."""
        if self.description:
            return self.description
        return _ABOUT_EMBED if self.embeds_only else _ABOUT_CHAT

    # Weights are loaded either to embed or to answer: llama.cpp has one mode for each.
    @property
    def embeds_only(self) -> bool:
        """Whether it embeds and cannot answer."""
        return "embedding" in self.capabilities and "completion" not in self.capabilities

    @property
    def native_route(self) -> bool:
        """Whether it behaves as Ollama's native route, the one that places tool calls last."""
        return self.tool_call_placement == "final"


@dataclass(frozen=True, slots=True)
class GgufModel:
    """Declare a model of weights: any GGUF file that llama.cpp runs, for chat or for embedding.

    It needs the extra ``local``. The file is read when the server starts, and loaded by the first
    request, into a process of its own.

    ```python
    from langchain_ollama_ext import ChatOllama
    from ollama_ext.embedded import EmbeddedOllama, GgufModel

    weights = GgufModel("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", parameters={"num_ctx": 512})
    with EmbeddedOllama(models=[weights]) as server:
        model = ChatOllama(model="smollm2", base_url=server.url, temperature=0, num_predict=8)
        print(model.invoke("Name a colour.").content)
        model.close()
    ```

    Its capabilities are read from the file: its chat template shows tools and thinking, and a
    pooling type marks an embedding model.

    Args:
        name: Its name; without a tag it is ``name:latest``.
        path: The GGUF file.
        parameters: Modelfile parameters, such as ``{"num_ctx": 2048, "temperature": 0}``.
        system: The Modelfile's system text; "" for none.

    Raises:
        ValueError: For a name no request could ask for.
    """

    name: str
    path: str | Path
    parameters: Mapping[str, object] = field(default_factory=dict)
    system: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name)

    def open(self) -> EmbeddedModel:
        """Return the model that the file holds.

        Raises:
            ImportError: When llama.cpp is not installed.
            OSError: When the file cannot be opened.
            ValueError: When it is not a GGUF file.
        """
        if not has_llama():
            raise ImportError(MISSING, name="xllamacpp")
        return weights_model(self.name, read_gguf(self.path), self.parameters, self.system)


def weights_model(
    name: str, weights: Gguf, parameters: Mapping[str, object] | None = None, system: str = ""
) -> EmbeddedModel:
    """Return a model that llama.cpp runs.

    Raises:
        ValueError: For a name no request could ask for.
    """
    return EmbeddedModel(
        name,
        weights.capabilities,
        context_length=weights.context_length,
        parameters={} if parameters is None else parameters,
        template=weights.template,
        system=system,
        dimensions=weights.dimensions,
        family=weights.architecture,
        weights=weights,
    )


def _check_name(name: str) -> None:
    # A model under such a name could never be requested.
    if not parse_name(name).valid:
        raise ValueError(f'{name!r} is not a model name: write it like "tiny" or "tiny:1b"')


def demo_models() -> tuple[EmbeddedModel, ...]:
    """Return the models every embedded server starts with.

    ```python
    from ollama_ext.embedded import demo_models

    print([model.name for model in demo_models()])
    ```

    ``demo`` and ``demo-rendered`` answer, call tools and think, and differ in where a stream
    carries tool calls; ``demo-vision`` also takes pictures; ``demo-embed`` embeds.
    """
    # Long contexts, so that a demo over documents does not lose them.
    full = ("completion", "tools", "thinking", "insert")
    return (
        EmbeddedModel("demo", full, context_length=32768),
        EmbeddedModel("demo-rendered", full, context_length=32768, tool_call_placement="own"),
        EmbeddedModel("demo-vision", ("completion", "tools", "vision"), context_length=32768),
        EmbeddedModel("demo-embed", ("embedding",), context_length=8192, family="demo-bert"),
    )
