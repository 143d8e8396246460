"""A process that gave up its capabilities has none, nor have its children."""

import os
import subprocess
import sys

import pytest

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


_HANDING_ON = """
import os, subprocess, sys
from ikepy.daemon.process.capabilities import Capability, handing_on, keep_only, keep_permitted
keep_permitted()
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
keep_only([Capability.DAC_READ_SEARCH])
def child():
    grep = ["grep", "CapEff", "/proc/self/status"]
    return subprocess.run(grep, capture_output=True, text=True).stdout.split()[1]
with handing_on(Capability.DAC_READ_SEARCH):
    print(child())
with handing_on(Capability.NET_ADMIN):
    print(child())
print(child())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_program_gets_a_right_that_is_handed_on_and_no_other() -> None:
    done = subprocess.run([sys.executable, "-c", _HANDING_ON], capture_output=True, text=True, check=True)
    assert [int(word, 16) for word in done.stdout.split()] == [1 << 2, 0, 0]
