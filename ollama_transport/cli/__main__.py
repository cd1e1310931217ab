"""Run the command line by ``python -m ollama_transport.cli``."""

from ollama_transport.cli import main

main()
