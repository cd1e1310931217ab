"""Model names and their source suffixes (wire reference 8.1)."""

import re
from dataclasses import dataclass

from ollama_ext.embedded.protocol.failures import WireError

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,79}\Z")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-]{0,79}\Z")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-:]{0,349}\Z")


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's name in its four parts, defaults filled in."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def full(self) -> str:
        """The fully qualified name, as in ``… does not support tools``."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def short(self) -> str:
        """The name as ``/api/tags`` shows it: always a tag, no default host or namespace."""
        name = f"{self.model}:{self.tag}"
        if self.namespace != DEFAULT_NAMESPACE or self.host != DEFAULT_HOST:
            name = f"{self.namespace}/{name}"
        return name if self.host == DEFAULT_HOST else f"{self.host}/{name}"

    @property
    def key(self) -> str:
        """The key of look-ups: the full name in lower case."""
        return self.full.lower()

    @property
    def valid(self) -> bool:
        """Whether every part is made of allowed characters."""
        # A namespace must not contain a dot, or it could be taken for a host.
        parts = _PART.match(self.model) and _PART.match(self.tag)
        return bool(parts and _NAMESPACE.match(self.namespace) and _HOST.match(self.host))


def parse_name(text: str) -> ModelName:
    """Split a name into its parts; the result may be invalid."""
    # The scheme is dropped: there is only one registry protocol.
    bare = text.split("://", 1)[-1]
    head, slash, last = bare.rpartition("/")
    model, colon, tag = last.partition(":")
    # A single part before the name is a namespace, not a host.
    host, _, namespace = head.rpartition("/") if slash else ("", "", "")
    return ModelName(
        host=host if host else DEFAULT_HOST,
        namespace=namespace if namespace else DEFAULT_NAMESPACE,
        model=model,
        tag=tag if colon else DEFAULT_TAG,
    )


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A name as a request gave it, with the suffix that says where the model is."""

    asked: str  # the request's text, trimmed; answers echo it
    name: ModelName  # the parsed name, without the suffix
    source: str  # ``""``, ``"local"`` or ``"cloud"``


def parse_reference(text: str) -> ModelReference:
    """Parse a request's model name."""
    asked = text.strip()
    base, source = _cut_suffix(asked)
    if source and _cut_suffix(base)[1]:
        raise WireError(400, f'use either :local or :cloud, not both: "{asked}"')
    return ModelReference(asked, parse_name(base), source)


def _cut_suffix(text: str) -> tuple[str, str]:
    base, colon, last = text.rpartition(":")
    if not colon:
        return text, ""
    if last.lower() in ("cloud", "local"):
        return base, last.lower()
    # Only a tag can end in -cloud: foo-cloud without a colon is a local name.
    if last.lower().endswith("-cloud"):
        return f"{base}:{last[: -len('-cloud')]}", "cloud"
    return text, ""
