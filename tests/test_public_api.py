"""What a user may import: listed once, sorted, and all of it there."""

import importlib
import inspect
from importlib.resources import files
from types import ModuleType

import pytest

PACKAGES = [
    "ollama_transport",
    "ollama_ext",
    "ollama_ext.embedded",
    "ollama_ext.ray",
    "langchain_ollama_ext",
    "llamaindex_ollama_ext",
]


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "ollama_ext.ray":
        pytest.importorskip("ray", reason='no Ray: pip install -e ".[test-ray]"')
    return importlib.import_module(request.param)


def test_the_public_names_are_sorted_and_named_once(package: ModuleType) -> None:
    """`__all__` is sorted, so that a name is found and added in one place."""
    assert package.__all__ == sorted(set(package.__all__))


def test_every_public_name_can_be_imported(package: ModuleType) -> None:
    """Nothing is promised that is not there, by attribute and by a star."""
    for name in package.__all__:
        assert getattr(package, name) is not None
    found: dict[str, object] = {}
    exec(f"from {package.__name__} import *", found)
    assert set(package.__all__) <= set(found)


def test_no_public_name_is_missing_from_the_list(package: ModuleType) -> None:
    """What of ours is reachable without an underscore is public, and therefore listed."""
    ours = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and str(getattr(value, "__module__", "")).startswith(package.__name__)
    }
    assert ours <= set(package.__all__)


def test_public_names_are_found_by_completion(package: ModuleType) -> None:
    """`dir` shows them all, also those that are loaded on first use."""
    assert set(package.__all__) <= set(dir(package))


def test_everything_public_is_described(package: ModuleType) -> None:
    """Every public class and function has a docstring of its own."""
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def test_a_missing_name_is_an_attribute_error(package: ModuleType) -> None:
    """A misspelt name fails as it does in any module."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        package.nonsense  # noqa: B018 - the look-up is what is tested


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_says_that_it_is_typed(name: str) -> None:
    """Type checkers of users read our annotations."""
    top = importlib.import_module(name.partition(".")[0])
    assert (files(top) / "py.typed").is_file()


def test_all_packages_have_one_version() -> None:
    """One distribution has one version, whichever package is asked."""
    tops = [name for name in PACKAGES if "." not in name]
    assert len({importlib.import_module(name).__version__ for name in tops}) == 1
