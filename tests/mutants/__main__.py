"""`python -m tests.mutants [FILE...]`: mutmut over each file with the quick tests that cover it.

Every file is mutated in a copy of its own outside of the tree, one mutant at a time; nothing stays behind.
Ends with status 1 if fewer than 90 % of a file's mutants are killed. Who survives, and why that is no hole,
stands in README.md here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
PACKAGES = ("ikepy", "esp", "tun")
WANTED = 90  # percent
SURVIVED, NO_TESTS = 0, (5, 33)  # as mutmut keeps what became of a mutant
TEXT = r'"[A-Za-z0-9][^"]* [^"]*"'  # for people: no test reads it letter by letter
STRANGERS = (
    "tests/exchange/test_init_retries.py",
    "tests/hostile/test_admission.py",
    "tests/hostile/test_expected.py",
    "tests/hostile/test_first_requests.py",
    "tests/hostile/test_turned_away.py",
    "tests/hostile/test_guesses.py",
    "tests/hostile/test_limits.py",
    "tests/hostile/test_traces.py",
)
TESTS: dict[str, tuple[str, ...]] = {
    "esp/packet/replay.py": (
        "tests/unit/esp/packet/test_replay.py",
        "tests/unit/esp/packet/test_replay_batches.py",
    ),
    "esp/sa/inbound.py": ("tests/unit/esp/sa/test_inbound.py", "tests/unit/esp/sa/test_inbound_batches.py"),
    "esp/sa/outbound.py": (
        "tests/unit/esp/sa/test_outbound.py",
        "tests/unit/esp/sa/test_outbound_batches.py",
    ),
    "tun/gro.py": ("tests/unit/tun/test_gro.py",),
    "ikepy/wire/reader.py": ("tests/unit/wire/test_reader.py",),
    "ikepy/sa/message/window.py": ("tests/unit/sa/message/test_window.py", "tests/exchange/test_window.py"),
    "ikepy/sa/message/fragments.py": (
        "tests/unit/sa/message/test_fragments.py",
        "tests/exchange/test_fragmentation.py",
        "tests/hostile/test_limits.py",
    ),
    "ikepy/sa/admission/stateless.py": ("tests/unit/sa/admission/test_stateless.py",),
    "ikepy/sa/setup/half_open.py": ("tests/unit/sa/setup/test_half_open.py",),
    "ikepy/sa/setup/init_admission.py": STRANGERS,
    "ikepy/sa/auth/psk.py": ("tests/unit/sa/auth/test_psk.py",),
    "ikepy/sa/tasks/auth.py": (
        "tests/exchange/test_auth.py",
        "tests/exchange/test_authenticators.py",
        "tests/exchange/test_failed_authenticators.py",
        "tests/exchange/test_auth_words.py",
        "tests/exchange/test_events.py",
        "tests/exchange/test_childless.py",
        "tests/exchange/test_setup.py",
        "tests/exchange/test_notifies.py",
        "tests/exchange/test_refusals.py",
        "tests/exchange/test_words.py",
        "tests/exchange/test_errors.py",
        "tests/exchange/test_admission.py",
        "tests/exchange/test_pairs.py",
        "tests/exchange/test_again.py",
        "tests/hostile/test_guesses.py",
        "tests/hostile/test_without_credentials.py",
    ),
    "ikepy/sa/driver/dispatch.py": (
        "tests/exchange/test_authenticators.py",
        "tests/exchange/test_failed_authenticators.py",
        "tests/exchange/test_dispatch.py",
        "tests/exchange/test_signs_of_life.py",
        "tests/exchange/test_established.py",
        "tests/exchange/test_fragmentation.py",
        "tests/exchange/test_refusals.py",
        "tests/exchange/test_auth_words.py",
        "tests/exchange/test_init_retries.py",
        "tests/exchange/test_nat.py",
        "tests/exchange/test_plan.py",
        "tests/exchange/test_rare_ike_faults.py",
        "tests/exchange/test_rare_reauthentications.py",
        "tests/exchange/test_search.py",
        "tests/exchange/test_window.py",
        "tests/hostile/test_guesses.py",
        "tests/hostile/test_traces.py",
    ),
    "ikepy/sa/driver/forged_messages.py": (
        "tests/unit/sa/driver/test_forged_messages.py",
        "tests/exchange/test_forged_messages.py",
    ),
}
# Functions that run when their module is imported, which is before mutmut chooses a mutant: none of theirs is
# ever in force. Tests compare what they make all the same.
AT_IMPORT = {
    "tun/gro.py": ("x__shape__mutmut",),
    "esp/sa/outbound.py": ("xǁ_Trailersǁ__init____mutmut",),
}
CONFIG = """
[tool.mutmut]
source_paths = ["{package}"]
only_mutate = ["{file}"]
also_copy = {others}
do_not_mutate_patterns = ['{text}']
pytest_add_cli_args = ["-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {tests}
"""


@dataclass(frozen=True, slots=True)
class Score:
    """What became of a file's mutants: how many there were, and the names of those that no test noticed."""

    total: int
    survivors: tuple[str, ...]

    @property
    def percent(self) -> float:
        return 100 * (1 - len(self.survivors) / self.total) if self.total else 100.0


def main(files: list[str]) -> int:
    """The exit status."""
    unknown = set(files) - TESTS.keys()
    if unknown:
        sys.exit(f"no tests are named here for {', '.join(sorted(unknown))}; allowed: {', '.join(TESTS)}")
    scores = {}
    for file in files or TESTS:
        with TemporaryDirectory(prefix="ikepy-mutants-") as directory:
            scores[file] = score = run(file, Path(directory))
            print(f"{file}: {score.total} mutants, {score.percent:.1f} % killed", flush=True)
            for name in score.survivors:
                print("\n".join(f"    {line}" for line in changed_lines(name, Path(directory))), flush=True)
    return 0 if all(score.percent >= WANTED for score in scores.values()) else 1


def run(file: str, directory: Path) -> Score:
    """Mutate a file in a copy of the project in `directory`."""
    package = file.split("/")[0]
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    others = [name for name in PACKAGES if name != package]
    tests = list(TESTS[file])
    text = (ROOT / "pyproject.toml").read_text()
    config = CONFIG.format(package=package, file=file, others=others, text=TEXT, tests=tests)
    (directory / "pyproject.toml").write_text(text + config)
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, errors="replace")
    kept = directory / "mutants" / f"{file}.meta"
    results = json.loads(kept.read_text())["exit_code_by_key"] if kept.exists() else {}
    if not results or None in results.values():
        sys.exit(f"{file}: mutmut did not come to an end:\n{(done.stdout + done.stderr)[-2000:]}")
    never = AT_IMPORT.get(file, ())
    codes = {name: code for name, code in results.items() if not any(one in name for one in never)}
    survivors = tuple(name for name, code in codes.items() if code in (SURVIVED, *NO_TESTS))
    return Score(len(codes), survivors)


def changed_lines(name: str, directory: Path) -> Iterator[str]:
    """A mutant in words: its function, and the lines that differ."""
    command = [sys.executable, "-m", "mutmut", "show", name]
    shown = subprocess.run(command, cwd=directory, capture_output=True, text=True).stdout
    yield re.sub(r".*xǁ|.*x_|__mutmut_\d+", "", name).replace("ǁ", ".")
    yield from (line for line in shown.splitlines() if re.match(r"[-+][^-+]", line))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
