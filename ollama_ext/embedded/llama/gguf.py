"""GGUF files: the facts about a model in their header, read without an engine."""

import math
import mmap
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ollama_ext.embedded.protocol.encoding import float32

_MAGIC = b"GGUF"
# Older versions count in 32 bits and are no longer in use.
_VERSIONS = (2, 3)
_FLOAT32, _TEXT, _ARRAY = 6, 8, 9
_SCALARS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}


def _numbered(text: str) -> dict[int, str]:
    pairs = (pair.split("=") for pair in text.split())
    return {int(number): name for number, name in pairs}


# llama.cpp's numbers: most of them are other ones for a file than for a tensor.
_QUANTIZED = _numbered("0=F32 1=F16 2=Q4_0 3=Q4_1")
_FILE_TYPES = _QUANTIZED | _numbered(
    "7=Q8_0 8=Q5_0 9=Q5_1 10=Q2_K 11=Q3_K_S 12=Q3_K_M 13=Q3_K_L 14=Q4_K_S 15=Q4_K_M 16=Q5_K_S "
    "17=Q5_K_M 18=Q6_K 32=BF16"
)
_TENSOR_TYPES = _QUANTIZED | _numbered(
    "6=Q5_0 7=Q5_1 8=Q8_0 10=Q2_K 11=Q3_K 12=Q4_K 13=Q5_K 14=Q6_K 30=BF16"
)
# ``/api/show`` leaves these out of ``model_info`` (wire reference 9).
_HIDDEN = frozenset({"general.name", "tokenizer.chat_template"})


@dataclass(frozen=True, slots=True)
class Gguf:
    """A model file and its header."""

    path: Path
    size: int  # its size in bytes
    # The metadata of its header; arrays are None unless they were asked for.
    facts: Mapping[str, object] = field(repr=False)
    # Name, type and shape of each tensor.
    tensors: tuple[tuple[str, str, tuple[int, ...]], ...] = field(repr=False)

    @property
    def architecture(self) -> str:
        """The architecture, such as ``llama``; "" when the file does not say."""
        return self._text("general.architecture")

    @property
    def template(self) -> str:
        """The chat template in Jinja; "" for none."""
        return self._text("tokenizer.chat_template")

    @property
    def context_length(self) -> int:
        """The context the model was trained with, in tokens."""
        return self._whole("context_length", 2048)

    @property
    def dimensions(self) -> int:
        """The size of its vectors."""
        return self._whole("embedding_length", 1)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the model can do, read from the file as Ollama does (wire reference 5.3)."""
        if f"{self.architecture}.pooling_type" in self.facts:
            return ("embedding",)
        thinks = "<think>" in self.template or "enable_thinking" in self.template
        calls = ("tools",) if "tools" in self.template else ()
        return ("completion", *calls, *(("thinking",) if thinks else ()))

    @property
    def parameter_count(self) -> int:
        """The number of its weights."""
        return sum(math.prod(shape) for _, _, shape in self.tensors)

    @property
    def parameter_size(self) -> str:
        """The number of its weights as Ollama writes it, such as ``134.52M``."""
        count = self.parameter_count
        for scale, letter, digits in ((10**9, "B", 1), (10**6, "M", 2)):
            if count >= scale:
                return f"{count / scale:.{0 if count % scale == 0 else digits}f}{letter}"
        return f"{count / 1000:.0f}K" if count >= 1000 else str(count)

    @property
    def quantization(self) -> str:
        """The format of the weights, such as ``Q4_1``."""
        kind = self.facts.get("general.file_type")
        return _FILE_TYPES.get(kind, "unknown") if isinstance(kind, int) else "unknown"

    def info(self) -> dict[str, object]:
        """Return ``model_info`` of ``/api/show``."""
        shown = {name: value for name, value in self.facts.items() if name not in _HIDDEN}
        return dict(sorted({**shown, "general.parameter_count": self.parameter_count}.items()))

    def _text(self, name: str) -> str:
        value = self.facts.get(name)
        return value if isinstance(value, str) else ""

    def _whole(self, name: str, default: int) -> int:
        value = self.facts.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) and value > 0 else default


def read_gguf(path: str | Path, *, arrays: bool = False) -> Gguf:
    """Read the header of a GGUF file.

    Args:
        path: The file.
        arrays: True keeps the long arrays, such as the vocabulary.

    Raises:
        OSError: When the file cannot be opened.
        ValueError: When it is not a GGUF file, or a broken one.
    """
    path = Path(path).resolve()
    with path.open("rb") as file:
        # An empty file cannot be mapped.
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(f"{path} is not a GGUF file: it does not begin with GGUF")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                facts, tensors = _Reader(data, arrays=arrays).read()
            except struct.error as error:
                raise ValueError(f"{path} is a broken GGUF file: its header is cut") from error
            return Gguf(path, len(data), facts, tensors)


class _Reader:
    """A header, read from its start; struct.error when the file ends before it does."""

    def __init__(self, data: mmap.mmap, *, arrays: bool) -> None:
        self._data = data
        self._at = len(_MAGIC)
        self._arrays = arrays

    def read(self) -> tuple[dict[str, object], tuple[tuple[str, str, tuple[int, ...]], ...]]:
        version = self._take("I")
        if version not in _VERSIONS:
            raise ValueError(f"GGUF version {version} is not known: convert the file to version 3")
        tensors, facts = self._take("Q"), self._take("Q")
        read: dict[str, object] = {}
        for _ in range(facts):
            name = self._text()
            read[name] = self._value(self._take("I"))
        return read, tuple(self._tensor() for _ in range(tensors))

    def _take(self, letter: str) -> int:
        form = f"<{letter}"
        value: int = struct.unpack_from(form, self._data, self._at)[0]
        self._at += struct.calcsize(form)
        return value

    def _text(self) -> str:
        length = self._take("Q")
        start, self._at = self._at, self._at + length
        if self._at > len(self._data):
            raise struct.error("a text goes beyond the end")
        return self._data[start : self._at].decode("utf-8", "replace")

    def _value(self, kind: int) -> object:
        if kind == _FLOAT32:
            # As short as Go writes it.
            return float32(self._take("f"))
        if kind == _TEXT:
            return self._text()
        if kind == _ARRAY:
            return self._array(self._take("I"), self._take("Q"))
        return self._take(_letter(kind))

    def _array(self, kind: int, count: int) -> object:
        if kind == _TEXT:
            # One by one, because each begins with its length.
            texts = (self._text() for _ in range(count))
            # A queue of size 0 reads them without keeping any.
            read = list(texts) if self._arrays else deque(texts, 0)
            return read if self._arrays else None
        form = f"<{count}{_letter(kind)}"
        start, self._at = self._at, self._at + struct.calcsize(form)
        return list(struct.unpack_from(form, self._data, start)) if self._arrays else None

    def _tensor(self) -> tuple[str, str, tuple[int, ...]]:
        name = self._text()
        shape = tuple(self._take("Q") for _ in range(self._take("I")))
        kind = _TENSOR_TYPES.get(self._take("I"), "unknown")
        self._take("Q")
        return name, kind, shape


def _letter(kind: int) -> str:
    # llama.cpp does not read an array of arrays either.
    if kind not in _SCALARS:
        raise ValueError(f"a GGUF header has a value of the unknown type {kind}")
    return _SCALARS[kind]
