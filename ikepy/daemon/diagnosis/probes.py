"""Reads what probes found: a path that loses large packets, an address that answers nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.probe.mtu_search import FIRST_TRIES, remedy
from ikepy.daemon.probe.prober import ProbeState

ENOUGH = 3  # requests in a row without an answer


def findings(probes: Sequence[ProbeState]) -> Iterator[Finding]:
    """Everything that the probes of one connection say; nothing while its tunnel is down."""
    for probe in probes:
        if probe.up:
            yield from _path_mtu(probe)
            yield from _silence(probe)


def _path_mtu(probe: ProbeState) -> Iterator[Finding]:
    takes, tried = probe.path_mtu, probe.tried_mtu
    if takes is None or tried is None or takes >= tried:
        return
    yield Finding(
        Code.PATH_MTU,
        Severity.ERROR,
        f"0 of {FIRST_TRIES} pings of {tried} octets to {probe.target} come back: the path takes {takes}.",
        "Larger packets, with ESP around them, are lost in silence, there or back: small ones pass, "
        "transfers hang.",
        f"Set {remedy(takes, f'connections.{probe.connection}.vti')}.",
    )


def _silence(probe: ProbeState) -> Iterator[Finding]:
    loss = probe.loss
    if loss.of < ENOUGH or loss.lost < loss.of:
        return
    yield Finding(
        Code.PROBE_UNANSWERED,
        Severity.WARNING,
        f"None of the last {loss.of} pings to {probe.target} through the tunnel came back.",
        "It is down, does not answer pings, or has no way back into the tunnel.",
        f"Try another address in connections.{probe.connection}.probe.targets; look at its own routes.",
    )
