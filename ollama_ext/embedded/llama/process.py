"""A model in memory: a process with llama.cpp's server, and the requests that it answers."""

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import httpx

from ollama_ext.embedded.protocol.failures import WireError
from ollama_transport.net import new_async_client

Fields = dict[str, Any]
_SCRIPT = Path(__file__).with_name("runner.py")
# Ollama's own limit (OLLAMA_LOAD_TIMEOUT).
_LOAD_S = 300
_CONNECT_S = 30
_STOPPED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an "
    "internal error, check ollama server logs for details"
)
MISSING = (
    "a GGUF model needs llama.cpp, which is not installed: pip install 'ollama-ext[local]' "
    "installs it (xllamacpp)"
)


def has_llama() -> bool:
    """Return whether llama.cpp is installed, without importing it."""
    return find_spec("xllamacpp") is not None


def default_threads() -> int:
    """Return how many threads a model computes with: one for every two processors."""
    # llama.cpp's threads wait for each other busily: more of them than free processors slow all.
    count = os.cpu_count()
    return max(1, (2 if count is None else count) // 2)


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """How a model is loaded."""

    path: str  # the GGUF file
    num_ctx: int  # context of each request, in tokens
    parallel: int  # requests at a time
    embedding: bool  # whether it embeds; a model does one of the two
    threads: int  # threads it computes with
    # The API key that its requests must send.
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


class Runner:
    """One model in memory; ``start`` makes one, ``stop`` ends its process.

    Its requests belong to the event loop that started it; call ``stop`` from any thread.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], url: str, settings: RunnerSettings
    ) -> None:
        self._process = process
        self.settings = settings
        # No connection is kept alive: llama.cpp notices only by its closing that a client has
        # disconnected, and none may be open when the process ends.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = new_async_client(
            # No limit on how long a model computes: the client can disconnect at any time.
            httpx.Timeout(None, connect=_CONNECT_S),
            base_url=url,
            headers={"authorization": f"Bearer {settings.key}"},
            limits=limits,
            trust_env=False,
        )

    @classmethod
    async def start(cls, settings: RunnerSettings) -> "Runner":
        """Load a model and return its runner; 500 when it cannot be loaded or takes too long."""
        with tempfile.TemporaryFile() as said:
            process = _spawn(settings, said)
            url = b""
            try:
                async with asyncio.timeout(_LOAD_S):
                    assert process.stdout is not None  # it is piped
                    url = await asyncio.to_thread(process.stdout.readline)
            except TimeoutError:
                reason = "timed out waiting for llama runner to start"
                raise WireError(500, reason, early=False) from None
            finally:
                # A client that leaves while a model loads aborts the load (wire reference 7.4).
                if not url:
                    _end(process)
            if not url:
                raise WireError(500, _reason(said), early=False)
            return cls(process, url.decode().strip(), settings)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def fits(self, threads: int) -> bool:
        """Return whether it runs with this number of threads; 0 means any number."""
        return self.alive and threads in (0, self.settings.threads)

    def stop(self) -> None:
        """End the process; running requests are aborted."""
        _end(self._process)

    async def ask(self, path: str, body: Mapping[str, object]) -> Any:
        """Return the answer to a request; a refusal has the engine's own words."""
        try:
            response = await self._client.post(path, json=body)
        except httpx.TransportError as error:
            raise WireError(500, _STOPPED, early=False) from error
        if response.status_code != 200:
            raise WireError(response.status_code, response.text, early=False)
        return response.json()

    async def events(self, path: str, body: Mapping[str, object]) -> AsyncGenerator[Fields]:
        """Yield the events of a streamed answer; closing it frees the slot."""
        try:
            async with self._client.stream("POST", path, json={**body, "stream": True}) as response:
                if response.status_code != 200:
                    text = (await response.aread()).decode("utf-8", "replace")
                    raise WireError(response.status_code, text, early=False)
                async for line in _lines(response):
                    if line.startswith(b"data: {"):
                        yield _event(line)
        except httpx.TransportError as error:
            raise WireError(500, _STOPPED, early=False) from error

    async def tokenize(self, text: str, *, special: bool = True) -> list[int]:
        """Return a text's token ids; ``special`` adds those that a model puts around a text."""
        body = {"content": text, "add_special": special, "parse_special": True}
        tokens: list[int] = (await self.ask("/tokenize", body))["tokens"]
        return tokens

    async def detokenize(self, tokens: list[int]) -> str:
        """Return the text of token ids."""
        text: str = (await self.ask("/detokenize", {"tokens": tokens}))["content"]
        return text

    async def render(self, body: Mapping[str, object]) -> str:
        """Return the prompt that the model's chat template makes of a chat request."""
        prompt: str = (await self.ask("/apply-template", body))["prompt"]
        return prompt


def _spawn(settings: RunnerSettings, said: IO[bytes]) -> subprocess.Popen[bytes]:
    # By path and without this package's folder on the path: see runner.py.
    process = subprocess.Popen(
        [sys.executable, "-P", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        # Ctrl-C is for the parent; the child ends when its parent does.
        start_new_session=True,
    )
    assert process.stdin is not None  # it is piped
    # If the child has died already, its stderr says why.
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(asdict(settings)).encode() + b"\n")
        process.stdin.flush()
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _reason(said: IO[bytes]) -> str:
    # The child shares the file's position, which is at the end of what it wrote.
    said.seek(0)
    lines = [line for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
    last = lines[-1].strip() if lines else "it said nothing"
    return f"llama runner process has terminated: {last}"


async def _lines(response: httpx.Response) -> AsyncGenerator[bytes]:
    # httpx would also break lines at U+2028 and U+0085, which JSON may hold.
    rest = b""
    async for piece in response.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line


def _event(line: bytes) -> Fields:
    event: Fields = json.loads(line.removeprefix(b"data: "))
    if "error" in event:
        # Ollama writes it as Go writes a map (wire reference 7.3).
        parts = " ".join(f"{name}:{value}" for name, value in sorted(event["error"].items()))
        raise WireError(500, f"llama-server chat error: map[{parts}]", early=False)
    return event
