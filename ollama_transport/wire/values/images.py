"""Images as callers give them: bytes, base64, or a file given as such."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ollama_transport.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Image:
    """An image for `images`: ``Image(value=…)`` or ``Image(path="photo.png")``.

    ```python
    import ollama_transport as ollama

    gif = ollama.Image(value="R0lGODlhAQABAAAAACwAAAAAAQABAAA=")
    print(ollama.generate("llava", "What is this?", images=[gif]).text)
    ```

    ``value`` holds bytes, or text that is base64 or a data URI; a `pathlib.Path` there is read like
    ``path``. Text is never taken for a path: users of your program could then name any file.

    Raises:
        ConfigError: when not exactly one of the two is given.
    """

    value: bytes | str | Path | None = None
    path: Path | str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.path is None):
            raise ConfigError("an Image needs exactly one of `value` and `path`.")

    @property
    def file(self) -> Path | None:
        """Return the file to read; None if ``value`` holds the data."""
        if self.path is not None:
            return Path(self.path)
        return self.value if isinstance(self.value, Path) else None

    def model_dump(self) -> str:
        """Return the image as base64, as it is sent; a file is read now.

        Raises:
            OSError: the file cannot be read.
        """
        value = self.value if self.file is None else self.file.read_bytes()
        return value if isinstance(value, str) else base64.b64encode(cast("bytes", value)).decode()


ImageLike = bytes | str | Path | Image
"""What ``images`` takes; text is base64 or a data URI."""
