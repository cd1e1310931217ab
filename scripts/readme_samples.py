"""Write the sample of `ollama-ext doctor` in the guide of the command line.

python scripts/readme_samples.py
"""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from ollama_ext.embedded import EmbeddedOllama, demo_models

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "command-line.md"
SAMPLE = re.compile(r"    \$ ollama-ext doctor\n(?:    \S.*\n)+")
COMMAND = Path(sysconfig.get_path("scripts")) / "ollama-ext"


def doctor_sample() -> str:
    """Return the command and what it prints, indented."""
    model = next(model for model in demo_models() if model.name == "demo-embed")
    with EmbeddedOllama([model], demo=False) as server:
        quiet = {n: v for n, v in os.environ.items() if not n.startswith("OLLAMA_")}
        env = {**quiet, "OLLAMA_HOST": server.url, "COLUMNS": "100", "NO_COLOR": "1"}
        done = subprocess.run(
            [COMMAND, "doctor"], env=env, capture_output=True, text=True, check=False, timeout=120
        )
    lines = ["$ ollama-ext doctor", *done.stdout.rstrip().splitlines()]
    return "".join(f"    {line}\n" for line in lines)


def main() -> None:
    """Put the sample into the page."""
    text = PAGE.read_text(encoding="utf-8")
    sample = doctor_sample()
    if not SAMPLE.search(text):
        sys.exit("the page has no sample that begins with `$ ollama-ext doctor`")
    PAGE.write_text(SAMPLE.sub(lambda _: sample, text, count=1), encoding="utf-8")


if __name__ == "__main__":
    main()
