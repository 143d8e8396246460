"""A process that gave up its capabilities has none, nor have its children."""

import subprocess
import sys

_SCRIPT = """
import subprocess, sys
from ikepy.daemon.process.capabilities import Capability, die_with_parent, effective, keep_only
die_with_parent()
before = effective()
kept = [Capability[name] for name in sys.argv[1:]]
keep_only(kept)
assert effective() == before & sum(1 << c for c in kept), hex(effective())
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "NoNewPrivs"))))
child = "print(*(l.split()[1] for l in open('/proc/self/status') if l.startswith('CapEff')))"
subprocess.run([sys.executable, "-c", child], check=True)
print("before", before)
"""


def _run(*kept: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *kept], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_worker_keeps_nothing() -> None:
    words = _run()
    assert {int(word, 16) for word in words if len(word) == 16} == {0}
    assert "1" in words  # no new privileges


def test_control_keeps_what_it_names_and_gains_nothing() -> None:
    words = _run("NET_ADMIN", "NET_RAW")
    before = int(words[-1])
    assert int(words[0], 16) == before & (1 << 12 | 1 << 13)
