"""Becoming an unprivileged user, in a process of its own; who can't, and why."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from ikepy.daemon.errors import StartError
from ikepy.daemon.process.account import Account, closed_to_root
from ikepy.daemon.process.chosen_accounts import NOBODY, account_of, of_control

BECOME = """
import os, sys
from ikepy.daemon.process.chosen_accounts import account_of
from ikepy.daemon.process.capabilities import keep_memory_private, keep_only
if "bare" in sys.argv:
    keep_only(())
account = account_of("nobody", "daemon.worker_user")
if account.obstacle():
    sys.exit(account.obstacle())
account.become()
keep_only(())
keep_memory_private()
for action in (
    lambda: open(sys.argv[1]),
    lambda: open(sys.argv[1], "w"),
    lambda: os.unlink(sys.argv[1]),
    lambda: os.kill(os.getppid(), 0),
    lambda: os.setresuid(0, 0, 0),
    lambda: open(f"/proc/{os.getppid()}/mem", "rb"),
    lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
):
    try:
        action()
    except PermissionError:
        print("refused")
"""
ACTIONS = 7


def become(secret: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BECOME, str(secret), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.root
def test_nobody_reads_and_changes_nothing_of_roots(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cr3t")
    secret.chmod(0o600)
    done = become(secret)
    assert done.stdout.split() == ["refused"] * ACTIONS, done
    assert secret.read_text() == "s3cr3t"


def test_without_capabilities_it_cannot_be(tmp_path: Path) -> None:
    done = become(tmp_path / "secret", "bare")
    assert done.returncode == 1
    assert done.stderr.strip() == "that needs CAP_SETUID, CAP_SETGID, CAP_KILL"


@pytest.mark.root
def test_a_user_namespace_that_does_not_have_the_user() -> None:
    assert Account(NOBODY, NOBODY).obstacle() is None
    command = [
        sys.executable,
        "-c",
        "from ikepy.daemon.process.account import *; print(Account(5, 0).obstacle())",
    ]
    done = subprocess.run(
        ["unshare", "-U", "-r", *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "this user namespace has no uid 5"


def test_accounts_by_name() -> None:
    root = pwd.getpwuid(0)
    assert account_of(root.pw_name, "daemon.worker_user") == Account(0, root.pw_gid)
    with pytest.raises(StartError, match=r"daemon\.worker_user: there is no user 'nosuchuser' here"):
        account_of("nosuchuser", "daemon.worker_user")


@pytest.mark.root
def test_a_program_behind_another_users_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert closed_to_root() is None
    inside = tmp_path / "theirs" / "lib"
    inside.mkdir(parents=True)
    inside.parent.chmod(0o700)
    os.chown(inside.parent, 1000, 1000)
    monkeypatch.syspath_prepend(str(inside))
    assert closed_to_root() == inside.parent


def test_control_is_nobody_where_there_is_no_user_of_ikepys(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", found)
    monkeypatch.setattr(Account, "obstacle", lambda _: None)
    assert of_control(None) == Account(NOBODY, NOBODY)
    assert of_control("") is None
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.struct_passwd((name, "x", 999, 998, "", "/", "")))
    assert of_control(None) == Account(999, 998)
