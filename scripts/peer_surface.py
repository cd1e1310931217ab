#!/usr/bin/env python3
"""Write the public surface of the packages that ours replace to tests/*/peer_surface.json.

Run it where the extra `peers` is installed. With `--check` nothing is written, and exit code 1 says
that a file differs from the peers. Only what a peer declares itself is listed: what it inherits
from its framework, ours inherit as well, in whatever version is installed.
"""

import difflib
import inspect
import json
import sys
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
PEERS = {
    "langchain": {"langchain_ollama": ["ChatOllama", "OllamaEmbeddings", "OllamaLLM"]},
    "llamaindex": {
        "llama_index.llms.ollama": ["Ollama"],
        "llama_index.embeddings.ollama": ["OllamaEmbedding"],
    },
}


def surface(package):
    """Return the classes of an adapter's peers, by name, and what each module exports."""
    modules = {name: import_module(name) for name in PEERS[package]}
    return {
        "exports": {name: sorted(module.__all__) for name, module in modules.items()},
        "classes": {
            name: described(getattr(module, name), module.__name__)
            for home, module in modules.items()
            for name in PEERS[package][home]
        },
    }


def described(cls, package):
    own = [base for base in cls.__mro__ if base.__module__.startswith(package)]
    fields = {name for base in own for name in base.__annotations__ if name in cls.model_fields}
    members = {name for base in own for name in vars(base) if not name.startswith(("_", "model_"))}
    return {
        "class_name": cls.class_name() if hasattr(cls, "class_name") else cls.__name__,
        "fields": sorted(fields),
        "parameters": parameters(cls.__init__) if "__init__" in vars(cls) else None,
        "members": {name: member(cls, name) for name in sorted(members - fields)},
    }


def member(cls, name):
    kind = type(inspect.getattr_static(cls, name)).__name__
    value = getattr(cls, name)
    # LlamaIndex wraps methods for its events.
    kind = "function" if kind == "FunctionWrapper" else kind
    return {"kind": kind, "parameters": parameters(value) if callable(value) else None}


def parameters(function):
    listed = inspect.signature(function).parameters.values()
    return [
        {"name": one.name, "kind": one.kind.name, "required": one.default is one.empty}
        for one in listed
        if one.name not in ("self", "_self")
    ]


def main(arguments):
    differs = False
    for package in PEERS:
        file = TESTS / package / "peer_surface.json"
        text = json.dumps(surface(package), indent=1) + "\n"
        if "--check" not in arguments:
            file.write_text(text)
        elif text != (before := file.read_text()):
            differs = True
            lines = difflib.unified_diff(before.splitlines(), text.splitlines(), str(file), "peers")
            print("\n".join(lines))
    return int(differs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
