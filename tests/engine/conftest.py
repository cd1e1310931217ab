"""A real engine: llama.cpp behind llama-cpp-python's server, with the tiny models."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[1] / "models"


def _settings(port: int) -> dict[str, object]:
    shared = {"n_threads": 1, "verbose": False}
    chat = {"model": str(MODELS / "tiny-chat.gguf"), "n_ctx": 2048, **shared}
    return {
        "host": "127.0.0.1",
        "port": port,
        "models": [
            {**chat, "model_alias": "tiny-chat"},
            # The template inside the model only writes calls; this format of the server's also
            # reads them.
            {**chat, "model_alias": "tiny-tools", "chat_format": "chatml-function-calling"},
            {
                "model": str(MODELS / "tiny-embed.gguf"),
                "model_alias": "tiny-embed",
                "embedding": True,
                "n_ctx": 512,
                **shared,
            },
        ],
    }


@pytest.fixture(scope="session")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the /v1 URL of a server with a real engine, started for the session."""
    # Asked for here: a skip while pytest imports this file would end the whole run.
    pytest.importorskip(
        "llama_cpp", reason='the engine is an extra: pip install ".[engine]" builds it'
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("engine")
    config = folder / "config.json"
    config.write_text(json.dumps(_settings(port)))
    command = [sys.executable, "-m", "llama_cpp.server", "--config_file", str(config)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.PIPE) as process,
    ):
        try:
            _wait_until_it_serves(process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _wait_until_it_serves(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    seen = b""
    for line in process.stderr:
        seen += line
        if b"Uvicorn running" in line:
            return
    raise AssertionError(f"the engine's server ended: {seen.decode()[-2000:]}")
