"""Recognise types of images and audio by their first bytes."""

_STARTS = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"ID3", "audio/mp3"),
    (b"\xff\xfb", "audio/mp3"),
    (b"\xff\xf3", "audio/mp3"),
    (b"\xff\xf2", "audio/mp3"),
)
_RIFF_KINDS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


def mime_of_bytes(head: bytes) -> str | None:
    """Return the type of an image or audio by its first 12 bytes or more; None if unknown."""
    if head.startswith(b"RIFF"):
        return _RIFF_KINDS.get(head[8:12])
    return next((mime for start, mime in _STARTS if head.startswith(start)), None)
