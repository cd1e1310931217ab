"""What every test stands on: a clean environment, recordings, and one way to run both clients."""

import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

# So that helpers import by their name, however pytest was started.
sys.path.insert(0, str(Path(__file__).parent / "support"))

if find_spec("hypothesis") is not None:
    from hypothesis import settings

    # The same examples in each run, so that a failure is the change's; the long runs make new ones.
    settings.register_profile("steady", derandomize=True, database=None)
    if not {"OLLAMA_EXT_FUZZ", "OLLAMA_EXT_FUZZ_EXAMPLES"} & os.environ.keys():
        settings.load_profile("steady")

from recorded import Recording
from recorded import recording as load_recording
from running import Run

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the machine says about servers, keys and proxies out of the tests."""
    for name in list(os.environ):
        ours = name.startswith("OLLAMA_") and not name.startswith("OLLAMA_EXT_")
        if ours or name.upper() in _PROXIES:
            monkeypatch.delenv(name)


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a test twice: with the blocking client, and with the asynchronous one."""
    with Run(asynchronous=request.param == "async") as runner:
        yield runner


@pytest.fixture
def recording() -> Callable[[str], Recording]:
    """Return what loads a recording by its name, such as "chat/tiny-chat/hello-stream"."""
    return load_recording
