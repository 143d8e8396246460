"""Every implementation under all cases: verdicts are those of docs/conformance, each fail is explained."""

from __future__ import annotations

import os

import pytest

from ikepy.dissect.render.as_text import Detail, render
from ikepy.lab import libreswan, strongswan
from ikepy.probe import registry, sets
from ikepy.probe.report.onlooker import Onlooker
from ikepy.probe.verdict import Verdict
from tests.conformance import reports
from tests.conformance.explanations import DOCS, WHOSE, explanation, explanations
from tests.conformance.runs import RUNS, Done, Run, run_all

IMPLEMENTATIONS = tuple(reports.NAMES)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> list[Done]:
    """All runs, which go side by side."""
    for reason in (strongswan.missing(), libreswan.missing()):
        if reason is not None:
            pytest.skip(reason)
    files = tmp_path_factory.mktemp("conformance")
    return list(run_all(RUNS, f"iki-{os.getpid()}-c", files))


@pytest.mark.root
@pytest.mark.parametrize("one", range(len(RUNS)), ids=[f"{one.implementation} {one.name}" for one in RUNS])
def test_verdicts(done: list[Done], one: int) -> None:
    found = done[one]
    implementation, name = found.run.implementation, found.run.name
    wanted = reports.steady(implementation, reports.committed(implementation)[name])
    came = reports.steady(implementation, reports.verdicts([found])[name])
    print(found.log)
    changed = {id: verdict for verdict, ids in came.items() for id in ids if id not in wanted[verdict]}
    for result in found.results:
        if result.case.id in changed:
            ladder = Onlooker(found.target, result.sas).ladder(result.trace.datagrams)
            print(f"--- {result.case.id}\n{render(ladder, Detail.ARROWS)}")
    assert not {one.case.id: one.reason for one in found.results if one.case.id in changed}, changed
    assert implementation != "ikepy" or "fault:" not in found.log
    assert came == wanted


@pytest.mark.parametrize("one", RUNS, ids=[f"{one.implementation} {one.name}" for one in RUNS])
def test_each_case_has_a_verdict(one: Run) -> None:
    """`python -m tests.conformance` gives new ones theirs."""
    sets.load()
    wanted = {case.id for case in registry.cases((one.pattern,), one.role)}
    verdicts = reports.committed(one.implementation)[one.name]
    assert {id for ids in verdicts.values() for id in ids} == wanted


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_each_fail_is_explained(implementation: str) -> None:
    for run, ids in reports.committed(implementation).items():
        assert not ids[Verdict.INCONCLUSIVE.value], run
        missing = [id for id in ids[Verdict.FAIL.value] if explanation(implementation, id) is None]
        assert not missing, run


def test_each_explanation_is_of_a_fail() -> None:
    for one in explanations():
        assert one.whose in WHOSE
        if one.sometimes:
            continue
        failed = {id for ids in reports.committed(one.implementation).values() for id in ids["fail"]}
        assert any(one.covers(one.implementation, id) for id in failed), one.cases


def test_pages_name_what_fails() -> None:
    for implementation in IMPLEMENTATIONS:
        page = (DOCS / f"{implementation}.md").read_text()
        assert "not explained" not in page
        assert "Written by `python -m tests.conformance`" in page
