"""pyproject.toml declares every library that is imported, with the versions that the tests ran with."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = [Requirement(text) for text in PROJECT["dependencies"]]
OPTIONAL = PROJECT["optional-dependencies"]
EXTRAS = [Requirement(text) for extra in ("http", "eap", "regex", "pkcs11") for text in OPTIONAL[extra]]
TOOLS = [Requirement(text) for text in PROJECT["optional-dependencies"]["dev"]]
OURS = {"ikepy", "esp", "tun"}
UNBOUND = {"cryptography", "google-re2", "pyopenssl"}  # an upper bound would keep security fixes out
# Modules that have not their distribution's name; pydantic_core is released with pydantic, and pinned by it.
DISTRIBUTIONS = {
    "Crypto": "pycryptodome",
    "OpenSSL": "pyopenssl",
    "asyncio_dgram": "asyncio-dgram",
    "pkcs11": "python-pkcs11",
    "re2": "google-re2",
    "pydantic_core": "pydantic",
    "tomli_w": "tomli-w",
}


def name(requirement: Requirement) -> str:
    return requirement.name


def bounds(requirement: Requirement) -> dict[str, Version]:
    return {each.operator: Version(each.version) for each in requirement.specifier}


def imported() -> Iterator[str]:
    for part in OURS:
        for path in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    modules = {module.partition(".")[0] for module in imported()} - OURS - sys.stdlib_module_names
    modules -= {"pytest"}  # it loads ikepy.probe.pytest_plugin, which nobody else does
    assert {DISTRIBUTIONS.get(module, module) for module in modules} == set(map(name, [*RUNTIME, *EXTRAS]))


@pytest.mark.parametrize("requirement", [*RUNTIME, *EXTRAS, *TOOLS], ids=name)
def test_lower_bounds_are_whole_versions_and_the_tests_run_within(requirement: Requirement) -> None:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    assert len(bounds(requirement)[">="].release) == 3
    assert requirement.specifier.contains(version(requirement.name))


@pytest.mark.parametrize("requirement", [*RUNTIME, *EXTRAS], ids=name)
def test_an_upper_bound_is_the_next_number_that_may_change_the_api(requirement: Requirement) -> None:
    found = bounds(requirement)
    if requirement.name in UNBOUND:
        assert found.keys() == {">="}
        return
    major, minor, _ = found[">="].release
    assert found.keys() == {">=", "<"}
    assert found["<"] == Version(f"{major + 1}" if major else f"0.{minor + 1}")
