"""The table of the mutation run names files and tests that there are."""

import pytest

from tests.mutants.__main__ import ROOT, TESTS


@pytest.mark.parametrize("file", TESTS)
def test_files_and_their_tests_exist(file: str) -> None:
    assert (ROOT / file).is_file()
    assert TESTS[file]
    assert [name for name in TESTS[file] if not (ROOT / name).exists()] == []
