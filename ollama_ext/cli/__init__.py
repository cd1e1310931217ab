"""The command line, ``ollama-ext``."""

import sys


def main() -> None:
    """Run the command line; exit with 2 and a hint when its packages are not installed."""
    try:
        from ollama_ext.cli._main import run  # here: typer and rich are an extra
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.stderr.write(f'ollama-ext needs {error.name}: run `pip install "ollama-ext[cli]"`.\n')
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()
