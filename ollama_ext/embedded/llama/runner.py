"""The process that runs one model: llama.cpp's server, by way of xllamacpp.

It is started by path and imports nothing of ours, so that it starts fast. The first line of its
standard input is a JSON object of settings; it writes its URL on a line of its own once the model
is loaded, and ends when its standard input does, which is when its parent ends.
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any


def main() -> None:
    """Load the model, say where it is served, and serve until the parent is gone."""
    settings = json.loads(sys.stdin.readline())
    # Loading holds the GIL and takes over Ctrl-C; this is why it runs in a separate process.
    import xllamacpp

    server = xllamacpp.Server(_parameters(xllamacpp.CommonParams(), settings))
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    # At once: there is nothing to save, and a regular exit of llama.cpp waits for its requests.
    os._exit(0)


def _parameters(params: Any, settings: Mapping[str, Any]) -> Any:
    params.model.path = settings["path"]
    params.embedding = settings["embedding"]
    params.n_parallel = settings["parallel"]
    # llama.cpp divides it among the slots.
    params.n_ctx = settings["num_ctx"] * settings["parallel"]
    # A text to embed must fit into one batch.
    if settings["embedding"]:
        params.n_batch = params.n_ubatch = settings["num_ctx"]
    for processors in (params.cpuparams, params.cpuparams_batch):
        processors.n_threads = settings["threads"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]
    params.ui = False
    params.warmup = False
    params.fit_params = False
    params.cache_ram_mib = 0
    # Errors only: the parent uses them to say why a load failed.
    params.verbosity = 1
    return params


if __name__ == "__main__":
    main()
