"""Write the samples of `ollama-ext` in the guide of the command line.

python scripts/readme_samples.py
"""

import os
import pty
import re
import select
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from ollama_ext.embedded import EmbeddedOllama, Reply, demo_models

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "command-line.md"
SAMPLE = re.compile(r"    \$ ollama-ext doctor\n(?:    \S.*\n)+")
CHAT = re.compile(r"    \$ ollama-ext chat demo\n(?:    \S.*\n)+")
# The demo's sample ends with the first framework; its list of sources is indented further.
DEMO = re.compile(r"    \$ ollama-ext demo\n(?:    .*\n)*?    [\d,]+ prompt tokens.*\n")
PULL = re.compile(r"    \$ ollama-ext pull llama3.2\n(?:    \S.*\n)+")
COMMAND = Path(sysconfig.get_path("scripts")) / "ollama-ext"
DEADLINE_S = 120
# What a terminal obeys and does not show.
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def environment(url: str, columns: int) -> dict[str, str]:
    """Return the environment of a command that asks this server."""
    quiet = {n: v for n, v in os.environ.items() if not n.startswith("OLLAMA_")}
    return {**quiet, "OLLAMA_HOST": url, "COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"}


def shown(text: str) -> str:
    """Return lines indented, as the page has them."""
    return "".join(f"    {line}\n" for line in text.splitlines() if line.strip())


def doctor_sample() -> str:
    """Return the command and what it prints, indented."""
    model = next(model for model in demo_models() if model.name == "demo-embed")
    with EmbeddedOllama([model], demo=False) as server:
        done = subprocess.run(
            [COMMAND, "doctor"],
            env=environment(server.url, 100),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
    return shown("$ ollama-ext doctor\n" + done.stdout)


def read_until(master: int, prompts: int, deadline: float) -> str:
    """Return what a terminal shows until it has this many prompts, or until its program ends."""
    text = b""
    while text.count(b">>> ") < prompts:
        if not select.select([master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(text.decode(errors="replace"))
        try:
            piece = os.read(master, 4096)
        except OSError:  # Linux has no other end of a terminal whose program is gone.
            break
        if not piece:
            break
        text += piece
    return text.decode(errors="replace")


def chat_sample() -> str:
    """Return a conversation with the demo model in a terminal, indented."""
    deadline = time.monotonic() + DEADLINE_S
    master, slave = pty.openpty()
    with EmbeddedOllama() as server, os.fdopen(master, "r+b", buffering=0):
        command = [COMMAND, "chat", "demo"]
        env = environment(server.url, 80)
        with subprocess.Popen(command, env=env, stdin=slave, stdout=slave, stderr=slave) as chat:
            os.close(slave)
            try:
                text = read_until(master, 1, deadline)
                os.write(master, b"Who are you?\n")
                text += read_until(master, 1, deadline)
                os.write(master, b"/bye\n")
                chat.wait(DEADLINE_S)
            finally:
                chat.kill()
    return shown("$ ollama-ext chat demo\n" + _STEERING.sub("", text).removesuffix(">>> "))


def printed(arguments: list[str], url: str) -> str:
    """Return what a command prints, both of its outputs as they come."""
    done = subprocess.run(
        [COMMAND, *arguments],
        env=environment(url, 80),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    return done.stdout


def demo_sample() -> str:
    """Return the answer through LangChain, where no Ollama is (nothing listens on port 9)."""
    lines = printed(["demo"], "http://127.0.0.1:9").splitlines()
    (first, *_) = (at for at, line in enumerate(lines) if "prompt tokens" in line)
    return shown("\n".join(["$ ollama-ext demo", *lines[: first + 1]]))


def pull_sample() -> str:
    """Return what a pull prints, from a server that plays one."""
    layer = {"status": "pulling dde5aa3fc5ff", "digest": "sha256:dde5aa3fc5ff", "total": 2019377376}
    steps = [
        {"status": "pulling manifest"},
        layer,
        {**layer, "completed": 2019377376},
        {"status": "verifying sha256 digest"},
        {"status": "writing manifest"},
        {"status": "success"},
    ]
    with EmbeddedOllama() as server:
        server.script("POST", "/api/pull", Reply.lines(steps))
        return shown("$ ollama-ext pull llama3.2\n" + printed(["pull", "llama3.2"], server.url))


SAMPLES = (
    (SAMPLE, doctor_sample),
    (CHAT, chat_sample),
    (DEMO, demo_sample),
    (PULL, pull_sample),
)


def main() -> None:
    """Put the samples into the page."""
    text = PAGE.read_text(encoding="utf-8")
    for pattern, make in SAMPLES:
        if not pattern.search(text):
            sys.exit(f"the page has no sample of {make.__name__}")
        sample = make()
        text = pattern.sub(lambda _, sample=sample: sample, text, count=1)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
