"""The IKE machine of a daemon that breaks the protocol on purpose: `ikepy run` loads this only for one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.errors import StartError
from ikepy.daemon.process.launcher import IMPAIRMENTS
from ikepy.impair.active import EVERYWHERE, Active, mistakes
from ikepy.impair.catalogue import choose
from ikepy.impair.machine import ImpairedMachine
from ikepy.sa.manager import IkeManager

SUBJECT = "impaired"
LOUD = "THIS DAEMON MAY BREAK THE PROTOCOL ON PURPOSE: it is for tests, and protects nothing"
CONSENT = (
    "it makes the daemon break the protocol on purpose, so that it protects nothing: if that is meant, write "
    "impairments_allowed = true into [daemon]"
)


def machine_of(config: Config, given: Sequence[str]) -> Callable[..., IkeManager]:
    """What makes the machine; `given`: the impairments that the command line adds.

    Raises StartError if the configuration does not permit impairments, or if one is none.
    """
    for text in given:
        if not config.daemon.impairments_allowed:
            raise StartError(CONSENT, key=f"--impair {text}")
        try:
            choose(text)
        except ValueError as error:
            raise StartError(str(error), key="--impair") from None
    for key, text in mistakes(config):
        raise StartError(text, key=key)
    active = Active(config, given)
    tell(active)
    # The processes that make packets are told at their start.
    os.environ[IMPAIRMENTS] = " ".join((*given, *config.daemon.impairments))
    return partial(ImpairedMachine, active)


def tell(active: Active) -> None:
    """Say in the log, loudly, what this daemon does wrong."""
    log.warning(SUBJECT, LOUD)
    for name, chosen in active.chosen.items():
        where = "" if name == EVERYWHERE else f", with {name} alone"
        for one in chosen:
            log.warning(SUBJECT, f"{one}{where}")
