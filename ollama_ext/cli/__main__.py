"""Run the command line by ``python -m ollama_ext.cli``."""

from ollama_ext.cli import main

main()
