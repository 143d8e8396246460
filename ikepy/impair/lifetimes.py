"""Impairments of what the daemon does by itself when its time has come (RFC 7296 1.4, 2.4, 2.8)."""

from __future__ import annotations

from ikepy.config.model import Child, Connection, Daemon
from ikepy.impair.impairment import Impairment, Stages

NEVER = 10.0 * 365 * 86400  # seconds


def _children(connection: Connection, **keys: object) -> dict[str, Child]:
    return {name: one.model_copy(update=keys) for name, one in connection.children.items()}


def never_rekeys(connection: Connection) -> Connection:
    """Hard lifetimes stay what they are."""
    children = {
        name: one.model_copy(update={"rekey_time": 0.0, "life_time": one.hard_life_time, "rand_time": 0.0})
        for name, one in connection.children.items()
    }
    return connection.model_copy(update={"rekey_time": 0.0, "children": children})


def never_expires(connection: Connection) -> Connection:
    children = _children(connection, life_time=0.0, life_bytes=0, life_packets=0)
    return connection.model_copy(update={"over_time": NEVER, "rand_time": 0.0, "children": children})


def never_probes(connection: Connection) -> Connection:
    return connection.model_copy(update={"dpd_delay": 0.0})


def never_revives(connection: Connection) -> Connection:
    children = _children(connection, close_action="none", dpd_action="none")
    return connection.model_copy(update={"keyingtries": 1, "children": children})


def never_retransmits(daemon: Daemon) -> Daemon:
    return daemon.model_copy(update={"retransmit_tries": 0})


IMPAIRMENTS = (
    Impairment(
        "ignore-soft-expire",
        "never rekeys an SA because of its age",
        "2.8",
        lambda _: Stages(connection=never_rekeys),
        libreswan=True,
    ),
    Impairment(
        "ignore-hard-expire",
        "never deletes an SA because of its age or traffic",
        "2.8",
        lambda _: Stages(connection=never_expires),
        libreswan=True,
    ),
    Impairment(
        "no-liveness",
        "never asks whether the peer lives",
        "2.4",
        lambda _: Stages(connection=never_probes),
    ),
    Impairment(
        "revival",
        "does not bring up again what is to stay up",
        "2.4",
        lambda _: Stages(connection=never_revives),
        libreswan=True,
    ),
    Impairment(
        "timeout-on-retransmit",
        "gives up where it is to send a request again for the first time",
        "2.1",
        lambda _: Stages(daemon=never_retransmits),
        libreswan=True,
    ),
)
