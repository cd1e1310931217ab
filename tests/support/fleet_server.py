"""One server of a fleet, in a process of its own: python fleet_server.py NAME SECONDS.

It prints its port, and pauses for SECONDS before each token. Its model ``demo`` begins each
answer with the server's name; asked to go on until a file, it makes a file of that name and its own
beside it, and streams words until the file is there. ``demo-embed`` is the usual one.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama, Prompt

WORDS = 5
GO_ON = "Go on until "


def engine_of(name: str) -> EmbeddedModel:
    def words(prompt: Prompt) -> Iterator[str]:
        yield f"{name} "
        asked = prompt.messages[-1].content
        if asked.startswith(GO_ON):
            gate = Path(asked.removeprefix(GO_ON))
            gate.with_suffix(f".{name}").touch()
            while not gate.exists():
                yield "and "
        yield from (f"word{number} " for number in range(WORDS))

    return EmbeddedModel("demo", ("completion",), engine=lambda prompt: Answer(words(prompt)))


def main() -> None:
    name, delay_s = sys.argv[1:]
    server = EmbeddedOllama([engine_of(name)], token_delay_s=float(delay_s))
    server.serve_forever(announce)


def announce(url: str) -> None:
    sys.stdout.write(url.rpartition(":")[2] + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
