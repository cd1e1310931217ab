"""Older versions of langchain-core, as far as a newer one can show them."""

import subprocess
import sys
from types import ModuleType

import pytest

import langchain_ollama_ext

_BEFORE_1_6 = """
from langchain_core import exceptions as core

# Core's own modules import one of them.
from langchain_core.language_models import BaseChatModel, BaseLLM

for name in [name for name in vars(core) if name.startswith("Model")]:
    delattr(core, name)

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from langchain_ollama_ext._errors import LangChainBudgetExceededError, LangChainServerBusyError

assert issubclass(LangChainServerBusyError, core.LangChainException)
assert LangChainServerBusyError.is_retryable
assert not LangChainBudgetExceededError.is_retryable
"""


def test_errors_are_langchain_exceptions_where_core_has_no_family() -> None:
    """Before langchain-core 1.6 our errors are LangChainExceptions, and say whether to retry."""
    subprocess.run([sys.executable, "-c", _BEFORE_1_6], check=True, timeout=120)


@pytest.mark.parametrize(
    ("name", "home"),
    [("ChatOllama", "chat_models"), ("OllamaEmbeddings", "embeddings"), ("OllamaLLM", "llms")],
)
def test_a_failing_import_names_the_reason(
    monkeypatch: pytest.MonkeyPatch, name: str, home: str
) -> None:
    """An AttributeError below is the cause of an ImportError, and never "no such name"."""
    module = f"langchain_ollama_ext.{home}"
    monkeypatch.delitem(vars(langchain_ollama_ext), name, raising=False)
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    with pytest.raises(ImportError, match=f"importing {name} from {module} failed") as caught:
        getattr(langchain_ollama_ext, name)
    assert isinstance(caught.value.__cause__, AttributeError)
