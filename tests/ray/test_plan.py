"""What cannot work is refused before anything runs."""

from typing import Any

import pytest

pytest.importorskip("ray", reason='no Ray: pip install -e ".[test-ray]"')

from bulk import plan_of

from ollama_ext.ray import chat_dataset, embed_dataset
from ollama_transport import ConfigError


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"hosts": []}, "hosts must be a list"),
        ({"hosts": "gpu1"}, "hosts must be a list"),
        ({"hosts": ["gpu1:one"]}, "gpu1:one"),
        ({"per_server": 0}, "per_server=0: give 1 or more"),
        ({"workers": 0}, "workers=0: give 1 or more"),
        ({"batch_size": 0}, "batch_size=0: give 1 or more"),
        ({"texts_per_request": 0}, "give 1 or more"),
        ({"output": "folder"}, "key and output together"),
        ({"key": "id"}, "key and output together"),
        ({"into": "text"}, "four different columns"),
        ({"key": "error", "output": "folder"}, "four different columns"),
        ({"client": {"max_retries": 3}}, "give hosts and retry beside client"),
        ({"client": {"headers": {"a b": "c"}}}, "not a valid header name"),
        ({"request": {"dimension": 3}}, "dimension"),
        ({"request": {"keep_alive": "soon"}}, "keep_alive"),
    ],
)
def test_options_that_cannot_work_are_refused(how: dict[str, Any], words: str) -> None:
    """By name, and without a cluster: no dataset is touched."""
    with pytest.raises(ConfigError, match=words):
        embed_dataset(None, model="demo-embed", **how)


def test_chats_take_no_tools() -> None:
    """They would not be run, and the calls would be lost."""
    tool = {"type": "function", "function": {"name": "weather"}}
    with pytest.raises(ConfigError, match="tools"):
        chat_dataset(None, model="demo", request={"tools": [tool]})


@pytest.mark.parametrize(
    ("servers", "workers", "threads"), [(3, None, 4), (3, 1, 12), (3, 2, 6), (1, 3, 2), (1, 8, 1)]
)
def test_workers_can_use_all_slots(servers: int, workers: int | None, threads: int) -> None:
    """Each of them sends its share at a time, with four slots on each server."""
    plan = plan_of([f"gpu{number}" for number in range(servers)], workers=workers)
    assert plan.threads == threads
    assert plan.actors * plan.threads >= 4 * servers


def test_a_server_that_is_named_twice_is_one() -> None:
    """Its slots are not counted twice."""
    assert plan_of(["gpu1", "gpu2", "gpu1"]).servers == ("gpu1", "gpu2")
