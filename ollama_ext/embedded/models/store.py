"""The models of one server: what is installed, what is loaded, and its blobs."""

import hashlib
import shutil
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

from ollama_ext.embedded.llama.process import Runner
from ollama_ext.embedded.models.declared import EmbeddedModel
from ollama_ext.embedded.protocol.encoding import FOREVER_NS, now_ns
from ollama_ext.embedded.protocol.failures import WireError
from ollama_ext.embedded.protocol.names import (
    ModelName,
    ModelReference,
    parse_name,
    parse_reference,
)

CLOUD_DISABLED = "ollama cloud is disabled: remote model is unavailable"


@dataclass(frozen=True, slots=True)
class Installed:
    """A model under a name, as ``/api/tags`` lists it."""

    name: ModelName
    model: EmbeddedModel  # what it is
    modified_ns: int  # when it was written, in nanoseconds since 1970
    parent: str = ""  # the ``from`` it was created with; "" for none

    @property
    def digest(self) -> str:
        """A stable sha256 in bare hex, different for different models."""
        model = self.model
        parts = (self.name.key, model.capabilities, model.template, model.system, self.layer)
        told = repr((*parts, sorted(model.parameters.items())))
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def layer(self) -> str:
        """The digest of its only layer: the weights, or their placeholder."""
        weights = self.model.weights
        told = self.model.about if weights is None else f"{weights.path} {weights.size}"
        return "sha256:" + hashlib.sha256(told.encode()).hexdigest()

    @property
    def size(self) -> int:
        """Its size in bytes; without weights the length of its description."""
        weights = self.model.weights
        return len(self.model.about) if weights is None else weights.size


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory."""

    installed: Installed
    num_ctx: int  # the context it was loaded with, in tokens
    keep_ns: int  # how long it stays after its last request, in nanoseconds
    expires_ns: int  # when it goes, in nanoseconds since 1970
    runner: Runner | None = None  # runs its weights; None for a rule-based model

    def touched(self, keep_ns: int | None) -> "Loaded":
        """Return it after a request, with its expiry restarted."""
        keep = self.keep_ns if keep_ns is None else keep_ns
        return replace(self, keep_ns=keep, expires_ns=expiry(keep))


def expiry(keep_ns: int) -> int:
    """Return the time at which a model goes that stays for ``keep_ns``."""
    return now_ns() + min(keep_ns, FOREVER_NS)


class ModelStore:
    """The installed models and the blobs of one server.

    While the server runs, its event loop alone changes it; only ``reset`` may come from elsewhere.

    Args:
        models: The models to begin with.
        pullable: Models a pull may add.
    """

    def __init__(self, models: Iterable[EmbeddedModel], pullable: Iterable[EmbeddedModel]) -> None:
        # Kept for reset(), which restores deleted models too.
        self._begin = tuple(models)
        self._pullable = {parse_name(model.name).key: model for model in pullable}
        self._installed: dict[str, Installed] = {}
        self.blobs: dict[str, bytes] = {}
        self._folder: Path | None = None
        self.reset()

    def begin_with(self, models: Iterable[EmbeddedModel]) -> None:
        """Add models to those it begins with, over those of the same name."""
        added = tuple(models)
        self._begin += added
        for model in added:
            self.add(parse_name(model.name), model)

    def reset(self) -> None:
        """Go back to the models it began with, and forget the blobs."""
        names = [parse_name(model.name) for model in self._begin]
        begun = zip(names, self._begin, strict=True)
        # New dicts, whole at once: the server's thread never sees a list half filled.
        self.blobs = {}
        self._installed = {name.key: Installed(name, model, now_ns()) for name, model in begun}

    def blob_file(self, digest: str) -> Path:
        """Return a file with a blob's bytes; it is there as long as this store."""
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="embedded-ollama-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / digest.replace(":", "-")
        if not path.exists():
            path.write_bytes(self.blobs[digest])
        return path

    def add(self, name: ModelName, model: EmbeddedModel, *, parent: str = "") -> Installed:
        """Install a model under a name, over what had that name."""
        entry = Installed(name, model, now_ns(), parent)
        self._installed[name.key] = entry
        return entry

    def remove(self, name: ModelName) -> None:
        """Remove a model if it is there."""
        self._installed.pop(name.key, None)

    def find(self, name: ModelName) -> Installed | None:
        """Return a model by its name, case ignored, or None."""
        return self._installed.get(name.key)

    # Newest first is the order of Ollama, and what "the latest model" means to clients.
    def listed(self) -> list[Installed]:
        """Return every model, newest first."""
        return sorted(self._installed.values(), key=lambda item: -item.modified_ns)

    def offered(self, name: ModelName) -> EmbeddedModel | None:
        """Return what a pull of this name would bring, or None."""
        installed = self.find(name)
        return installed.model if installed else self._pullable.get(name.key)

    def resolve(self, asked: str, not_found: str) -> tuple[ModelReference, Installed]:
        """Return the model a request asks for.

        Args:
            asked: The request's name.
            not_found: The 404 text, with ``{}`` for the asked name and ``{short}`` for the
                normalised one.
        """
        reference = parse_reference(asked)
        # Before the lookup: a cloud name needs no local model.
        if reference.source == "cloud":
            raise CloudDisabledError
        # Each endpoint of Ollama words it in its own way (wire reference 7.2).
        missing = not_found.format(reference.asked, short=reference.name.short)
        if not reference.asked:
            raise WireError(404, missing)
        if not reference.name.valid:
            raise WireError(400, "invalid model name")
        installed = self.find(reference.name)
        if installed is None:
            raise WireError(404, missing, early=True)
        return reference, installed


class CloudDisabledError(WireError):
    """The 403 for a cloud model, which even on ``/v1`` has the native envelope (8.2)."""

    def __init__(self) -> None:
        super().__init__(403, CLOUD_DISABLED)
