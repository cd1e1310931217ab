"""Split a read of a chunked body into its whole chunks at once."""

import re
from functools import lru_cache
from itertools import takewhile

_CRLF = b"\r\n"
_PLAIN_SIZE = re.compile(rb"[0-9A-Fa-f]{1,20}")


def cut_whole_chunks(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the contents of the whole chunks that data begins with, and the rest of it.

    A chunk is a line of a stream (wire reference 1.15), and a read has one or more. Reading step by
    step, which cut or unusual chunks need, takes ten times as long.
    """
    # Size, content, size, content, …: a line of JSON holds no line end, and so no chunk does.
    parts = data.split(_CRLF)
    end = len(parts) - 1 & ~1
    sizes, contents = list(map(_plain_size, parts[0:end:2])), parts[1:end:2]
    if 0 in sizes:  # the last chunk, mostly
        end = 2 * sizes.index(0)
        sizes, contents = sizes[: end // 2], contents[: end // 2]
    if sizes != list(map(len, contents)):
        good = zip(sizes, contents, strict=True)
        count = sum(1 for _ in takewhile(lambda pair: pair[0] == len(pair[1]), good))
        contents, end = contents[:count], 2 * count
    return contents, _CRLF.join(parts[end:])


@lru_cache(maxsize=1024)  # sizes repeat, and parsing one takes longer than a lookup
def _plain_size(line: bytes) -> int:
    """Return the size that a line without extensions says; 0 for any other line."""
    return int(line, 16) if _PLAIN_SIZE.fullmatch(line) else 0
