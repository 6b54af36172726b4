"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import raybeam.actors
import raybeam.autoscaler
import raybeam.cluster

MODULES = sorted(
    found.name
    for package in (raybeam.actors, raybeam.autoscaler, raybeam.cluster)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)

    assert results.failed == 0
