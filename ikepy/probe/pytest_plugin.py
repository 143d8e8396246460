"""pytest runs conformance cases as tests: those in the test modules, and those named by --probe-case.

Not loaded unless asked for: `pytest -p ikepy.probe.pytest_plugin`, or `pytest_plugins` in conftest.py. A
function that `@case` registers in a test module is a test; without --probe-host it is skipped.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import pytest

from ikepy.dissect.render.as_text import Detail, render
from ikepy.probe import registry, runner, sets
from ikepy.probe.conformance.click_options import about_the_peer
from ikepy.probe.conformance.options import OptionError, Words, target
from ikepy.probe.registry import Case
from ikepy.probe.report.onlooker import Onlooker
from ikepy.probe.target import Limits, Target
from ikepy.probe.verdict import Verdict


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("probe", "conformance of an IKEv2 gateway")
    group.addoption("--probe-host", metavar="HOST", help="the gateway under test")
    group.addoption(
        "--probe-options",
        metavar="OPTIONS",
        default="",
        help="how `ikepy probe conformance` names it: '--psk-file psk --remote-host 10.2.0.10'",
    )
    group.addoption(
        "--probe-case",
        metavar="GLOB",
        action="append",
        default=[],
        help="cases of ikepy that are tests, too",
    )


def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> Any:
    """A case of a test module is a test."""
    found = registry.case_of(obj)
    if found is None or not isinstance(collector, pytest.Module):
        return None
    return CaseItem.from_parent(collector, name=name, case=found)


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """The cases that options name come behind the tests."""
    patterns = session.config.getoption("--probe-case")
    if patterns:
        sets.load()
        items += [
            CaseItem.from_parent(session, name=one.id, case=one)
            for one in registry.cases(patterns, "responder")
        ]


class CaseFailed(Exception):  # noqa: N818  a verdict
    """A case that failed, or came to no verdict; its text has the messages."""


class CaseItem(pytest.Item):
    """One case."""

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case

    def runtest(self) -> None:
        under_test = self._target()
        (result,) = asyncio.run(runner.run([self.case], under_test))
        if result.verdict is Verdict.NOT_APPLICABLE:
            pytest.skip(result.reason)
        if result.verdict is not Verdict.PASS:
            ladder = Onlooker(under_test, result.sas).ladder(result.trace.datagrams)
            shown = render(ladder, Detail.ARROWS)
            raise CaseFailed(f"{result.verdict.value}: {result.reason}\n{self.case.rfc}\n{shown}")

    def _target(self) -> Target:
        host = self.config.getoption("--probe-host")
        if host is None:
            pytest.skip("no gateway is named (--probe-host)")
        words = _words(shlex.split(self.config.getoption("--probe-options")))
        try:
            return target(Words(host=host, **words), Limits())
        except (OptionError, OSError) as error:
            raise pytest.UsageError(str(error)) from None

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """The text of a case that failed, without the way through this plugin."""
        if isinstance(excinfo.value, CaseFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.case.id} {self.case.title}"


def _words(arguments: Iterable[str]) -> dict[str, Any]:
    """Options as the command has them. pytest.UsageError for what it would not take."""

    @click.command()
    @about_the_peer
    def command(**found: Any) -> dict[str, Any]:
        return found

    try:
        found = command.main(list(arguments), standalone_mode=False)
    except click.ClickException as error:
        raise pytest.UsageError(f"--probe-options: {error.format_message()}") from None
    return dict(found)
