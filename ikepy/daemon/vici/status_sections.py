"""A diagnosis as VICI sections: what the command `status` sends, one event a tunnel (`ikepy-status`).

Times are whole seconds from or until now. A key stands only where there is something to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ikepy.daemon.diagnosis.findings import ChildDiagnosis, Diagnosis, Finding, TunnelDiagnosis
from ikepy.daemon.vici.message import Value
from ikepy.sa.api.snapshot import Waiting

Section = dict[str, Value]
STATUS = "ikepy-status"  # the event's name
AT_ONCE = 16  # children of one event, and findings; the rest comes in further ones of the same connection


def status_events(diagnosis: Diagnosis) -> Iterator[Section]:
    """The events: of each tunnel one or more, and of what belongs to none, if there is anything."""
    for tunnel in diagnosis.tunnels:
        yield from _of_tunnel(tunnel, diagnosis.at)
    for first in range(0, len(diagnosis.findings), AT_ONCE):
        yield {"findings": _findings(diagnosis.findings[first : first + AT_ONCE], diagnosis.at)}


def _of_tunnel(tunnel: TunnelDiagnosis, now: float) -> Iterator[Section]:
    section: Section = {
        "connection": tunnel.connection,
        "state": tunnel.state.value,
        "remote": tunnel.remote,
        **_since(tunnel.since, now),
        **({} if tunnel.round_trip is None else {"rtt": round(tunnel.round_trip * 1e6)}),
        **({} if tunnel.quantum_safe is None else {"quantum-safe": "yes" if tunnel.quantum_safe else "no"}),
        **({"quantum-safe-wanted": "yes"} if tunnel.wants_quantum_safe else {}),
        "findings": _findings(tunnel.findings, now),
    }
    children = tunnel.children
    yield {**section, "children": _children(children[:AT_ONCE], now)}
    for first in range(AT_ONCE, len(children), AT_ONCE):
        more = children[first : first + AT_ONCE]
        yield {"connection": tunnel.connection, "children": _children(more, now)}


def _children(children: Sequence[ChildDiagnosis], now: float) -> Section:
    return {child.name: _child(child, now) for child in children}


def _child(child: ChildDiagnosis, now: float) -> Section:
    section: Section = {"state": "up" if child.up else "down", **_since(child.since, now)}
    if child.waiting is not Waiting.NOTHING:
        section["waits-for"] = child.waiting.value
    if child.until is not None and not child.up:
        section["next-try"] = max(0, round(child.until - now))
    if child.failures:
        section["failures"] = child.failures
    if child.device:
        section["device"] = child.device
    return {
        **section,
        "packets-in": child.traffic.in_packets,
        "bytes-in": child.traffic.in_bytes,
        "packets-out": child.traffic.out_packets,
        "bytes-out": child.traffic.out_bytes,
        "drops": sum(child.traffic.drops.values()),
        "findings": _findings(child.findings, now),
    }


def _since(since: float | None, now: float) -> Section:
    return {} if since is None else {"since": max(0, int(now - since))}


def _findings(findings: Sequence[Finding], now: float) -> Section:
    return {str(number): _finding(one, now) for number, one in enumerate(findings, 1)}


def _finding(finding: Finding, now: float) -> Section:
    section: Section = {"code": finding.code, "severity": finding.severity, "what": finding.what}
    if finding.why:
        section["why"] = finding.why
    if finding.do:
        section["do"] = finding.do
    if finding.at is not None:
        section["ago"] = max(0, int(now - finding.at))
    if finding.ours:
        section["ours"] = finding.ours
    if finding.theirs is not None:
        section["theirs"] = finding.theirs
    return section
