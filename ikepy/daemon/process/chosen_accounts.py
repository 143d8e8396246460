"""Chooses the users that control and workers become, from the configuration."""

from __future__ import annotations

import os
import pwd

from ikepy.daemon import log
from ikepy.daemon.errors import StartError
from ikepy.daemon.process.account import Account

OWN = "ikepy"  # deploy/systemd/ikepy.conf
NOBODY = 65534  # the kernel's overflowuid, and Debian's nobody and nogroup


def account_of(name: str, key: str) -> Account:
    """The account of that name, which the configuration has at `key`. Raises StartError."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        if name == "nobody":
            return Account(NOBODY, NOBODY)  # a container may have no user database at all
        text = f'there is no user {name!r} here: name one, or "" for the one that starts the daemon'
        raise StartError(text, key=key) from None
    return Account(entry.pw_uid, entry.pw_gid)


def of_workers(name: str) -> Account | None:
    """The account that workers change to. None: they stay the daemon's own user, because `name` is empty or
    for a reason that is logged.

    Raises StartError for a user that doesn't exist.
    """
    if not name:
        return None
    account = account_of(name, "daemon.worker_user")
    obstacle = account.obstacle()
    if obstacle is None:
        return account
    log.info("daemon", f"workers stay this user, without any capability, and don't become {name}: {obstacle}")
    return None


def of_control(name: str | None) -> Account | None:
    """The account that control changes to. None: it stays this user, because `name` is empty or for a reason
    that is logged. `name` None: ikepy's own user, or else nobody.

    Raises StartError for a user that doesn't exist.
    """
    if name == "":
        return None
    if name is None:
        name = OWN if _exists(OWN) else "nobody"
    account = account_of(name, "daemon.user")
    obstacle = account.obstacle()
    if obstacle is None and account.uid == os.geteuid():
        obstacle = "it is that user already"
    if obstacle is None:
        return account
    log.info("daemon", f"control keeps its rights and does not become {name}: {obstacle}")
    return None


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
