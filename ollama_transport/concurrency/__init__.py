"""Tools for threads, event loops and forks: locks, gates, and tasks that run once."""

from ollama_transport.concurrency.forks import Lock
from ollama_transport.concurrency.tasks import map_tasks
from ollama_transport.concurrency.threads import map_threads

__all__ = ["Lock", "map_tasks", "map_threads"]
