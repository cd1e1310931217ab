"""Tests of what a framework can only do from some version on."""

from importlib.metadata import version

import pytest
from packaging.version import Version


def is_older(package: str, than: str) -> bool:
    """Return whether the installed package is older than a version."""
    return Version(version(package)) < Version(than)


def needs(package: str, at_least: str, reason: str) -> pytest.MarkDecorator:
    """Skip a test where a package is older than a version; its reason says what it lacks."""
    return pytest.mark.skipif(
        is_older(package, at_least),
        reason=f"{package} before {at_least}: {reason}",
    )
