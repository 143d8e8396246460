"""Turns a snapshot of the daemon and its history into findings: a pure function of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf

from esp.packet.drop_reasons import Drop
from ikepy.config.model import Connection
from ikepy.daemon.control.snapshot import (
    ConnectionState,
    InstalledChild,
    Section,
    Snapshot,
)
from ikepy.daemon.diagnosis import (
    certificates,
    duplicates,
    host,
    outside,
    probes,
    refusals,
    rekeys,
    silence,
    traffic,
)
from ikepy.daemon.diagnosis.findings import (
    ChildDiagnosis,
    Code,
    Diagnosis,
    Finding,
    Severity,
    State,
    TunnelDiagnosis,
)
from ikepy.daemon.diagnosis.history import ConnectionHistory, Dated, History, Try
from ikepy.daemon.diagnosis.tables import Tables
from ikepy.daemon.effects.past_traffic import Traffic
from ikepy.daemon.net.icmp_errors import IcmpError
from ikepy.sa.api.ends import End, Party
from ikepy.sa.api.path import Address
from ikepy.sa.api.snapshot import ChildWait, IkeSaSnapshot, Waiting
from ikepy.sa.auth.words import shortened

SECTIONS = frozenset(
    {
        Section.IKE_SAS,
        Section.CONNECTIONS,
        Section.DEVICES,
        Section.WORKERS,
        Section.TRAFFIC,
        Section.PROBES,
        Section.CERTIFICATES,
    }
)
RECENT = 600.0  # seconds for which what is over is still told
FLAPS = 3  # times that a tunnel went down within RECENT
MEANT = frozenset({End.REAUTHENTICATED, End.REPLACED})  # another IKE_SA is to follow: no flapping
ESTABLISHED = "ESTABLISHED"
CARRYING = frozenset({"INSTALLED", "REKEYING"})


def diagnose(snapshot: Snapshot, history: History, connection: str | None = None) -> Diagnosis:
    """What is to be said of all connections, or of one. `snapshot`: with at least SECTIONS.

    Each tunnel is looked at when it is asked for: whoever has a thousand lets others have their turn.
    """
    tables = Tables(snapshot)
    tunnels = (
        _Tunnel(tables, one, history).diagnosis()
        for one in snapshot.connections
        if connection in (None, one.config.name)
    )
    return Diagnosis(snapshot.at, tunnels, tuple(_of_daemon(snapshot, history)) if connection is None else ())


class _Tunnel:
    """One connection, while it is looked at."""

    def __init__(self, tables: Tables, state: ConnectionState, history: History) -> None:
        self.tables = tables
        self.config = state.config
        self.waits = state.children
        self.history: ConnectionHistory = history.of(state.config.name)
        self.of_all = history
        self.ike_sas = tables.ike_sas[self.config.name]
        self.established = [one for one in self.ike_sas if one.sa.state == ESTABLISHED]
        self.device = tables.devices.get(self.config.name)
        self.probes = tables.probes[self.config.name]
        self.installed: dict[str, InstalledChild] = {}
        self.carriers: dict[str, IkeSaSnapshot] = {}  # the IKE_SAs of these
        for one in self.ike_sas:
            for child in one.children:
                if child.sa.state in CARRYING:
                    self.installed[child.sa.name], self.carriers[child.sa.name] = child, one.sa

    def diagnosis(self) -> TunnelDiagnosis:
        children = tuple(self._child(wait) for wait in self.waits)
        up = sum(child.up for child in children)
        if children and up == len(children):
            state = State.UP
        elif up:
            state = State.PARTLY_UP
        elif self.established and not self._is_about_to_have_children():
            state = State.NO_CHILD
        elif self.ike_sas or any(wait.waiting is Waiting.SET_UP for wait in self.waits):
            state = State.CONNECTING
        elif any(
            w.waiting in (Waiting.PACKET, Waiting.COMMAND) and not w.failures for w in self.waits
        ) and not (self.history.own_try):
            state = State.WAITING
        else:
            state = State.DOWN
        since = self.history.up_since if self.established else self.history.down_since
        if since is None and state in (State.DOWN, State.CONNECTING):
            since = self.history.failing_since
        return TunnelDiagnosis(
            self.config.name,
            self._remote(),
            state,
            since,
            _gravest_and_newest_first((*self._of_ike(), *self._outside(), *probes.findings(self.probes))),
            children,
            next((one.round_trip.mean for one in self.probes if one.round_trip is not None), None),
            self._is_quantum_safe(),
            self.config.offers_ml_kem or self.config.ppk_id is not None,
        )

    def _is_quantum_safe(self) -> bool | None:
        """Whether all children are whose keys a later quantum computer won't know; None without any."""
        safe = [child.sa.quantum_safe for one in self.ike_sas for child in one.children]
        return all(safe) if safe else None

    def _is_about_to_have_children(self) -> bool:
        """Whether the IKE_SA is so young that they may just not be there yet, and none was refused."""
        history = self.history
        if history.up_since is None or self.tables.at - history.up_since >= traffic.SETTLED:
            return False
        refused = any(one.failed is not None for one in history.children.values())
        return not refused and history.offer_refused is None and not any(one.failures for one in self.waits)

    def _remote(self) -> str:
        if self.ike_sas:
            return str(self.ike_sas[-1].sa.path.remote)
        return ", ".join(map(str, self.config.remote_addrs))

    # -- of its IKE_SA

    def _of_ike(self) -> Iterator[Finding]:
        history, now = self.history, self.tables.at
        yield from host.findings(self.tables, self.config, self.waits, self.history, self.device)
        yield from certificates.findings(self.tables.certificates[self.config.name], self.tables.unix_at)
        if not self.established:
            if history.ignored is not None:
                yield refusals.of_ignored(history.ignored)
            elif history.own_try is not None:
                told = refusals.of_try(history.own_try, self.config, history.own_ignored)
                yield silence.hinted(told, history.icmp or history.own_icmp, now)
            elif history.retransmitted is not None and history.retransmitted.event.sa.established_at is None:
                told = silence.so_far(history.retransmitted, self.config)
                yield silence.hinted(told, history.icmp, now)
            if history.ends and history.own_try is None:
                yield refusals.of_end(history.ends[-1], self.config)
        elif history.own_try is not None and history.own_try.failure is not None:
            yield refusals.of_try(
                history.own_try, self.config
            )  # of a reauthentication: the tunnel won't last
        refused = max((one for one in (history.refused, self._stranger()) if one), key=_when, default=None)
        if refused is not None and now - refused.at < RECENT:
            yield _lessened(refusals.of_try(refused, self.config), bool(self.established))
        if history.offer_refused is not None and now - history.offer_refused.at < RECENT:
            yield refusals.of_child("", history.offer_refused, self.config)
        yield from self._of_established()
        if history.rekey_failed is not None:
            yield rekeys.of_ike_rekey(history.rekey_failed, self.config, up=bool(self.established))

    def _stranger(self) -> Try | None:
        """The last refused request from an address of the peer's, for which there was no IKE_SA."""
        found = [
            tried
            for address, tried in self.of_all.strangers.items()
            if _names(self.config, address) and tried.at > (self.history.up_since or 0.0)
        ]
        return found[-1] if found else None

    def _of_established(self) -> Iterator[Finding]:
        history, now = self.history, self.tables.at
        sent = history.retransmitted
        if sent is not None and sent.event.sa.established_at is not None and self._is_there(sent.event.sa):
            waits = silence.unanswered(sent, now, self._esp_heard(sent.event.sa))
            yield silence.hinted(waits, history.icmp, now, nat_remote=sent.event.sa.nat_remote)
        yield from duplicates.several([one.sa for one in self.established], self.config, now)
        recent = [one for one in history.ends if now - one.at < RECENT]
        flaps = [one for one in recent if one.end not in MEANT]
        if len(flaps) >= FLAPS:
            ends = Counter(refusals.end_text(one.end) for one in flaps)
            told = "; ".join(f"{number} times: {text}" for text, number in ends.most_common())
            yield Finding(
                Code.FLAPPING,
                Severity.WARNING,
                f"It went down {len(flaps)} times in {RECENT / 60:.0f} minutes. {told}.",
                "",
                "Compare dpd_delay, rekey_time and reauth_time with the peer's; its log says why it "
                "ends them.",
                at=flaps[-1].at,
            )
        elif self.established and recent:
            yield replace(refusals.of_end(recent[-1], self.config), severity=Severity.NOTE)
        resumed = next((one.sa for one in self.established if one.sa.resumed), None)
        if resumed is not None:
            yield Finding(
                Code.RESUMED,
                Severity.NOTE,
                f"The IKE_SA #{resumed.ike_id} was resumed by a ticket, without a key exchange.",
                "It was interrupted, by a restart of the gateway or an outage (RFC 5723).",
                at=resumed.established_at,
            )
        pauses = [one for one in history.pauses if now - one.at < RECENT]
        if pauses and self.established:
            yield silence.paused(pauses, nat=self.established[-1].sa.nat_remote)
        if history.moved is not None and self.established and now - history.moved.at < RECENT:
            moved = history.moved.event
            yield Finding(
                Code.PEER_MOVED,
                Severity.NOTE,
                f"The path changed: {moved.old} before, {moved.sa.path} now "
                f"({moved.reason.name.lower().replace('_', ' ')}).",
                "A NAT's mapping changed, or one end has another address (MOBIKE).",
                at=history.moved.at,
            )

    def _is_there(self, sa: IkeSaSnapshot) -> bool:
        """Whether it still is: an IKE_SA whose children another one has ends without an event."""
        return any(one.sa.ike_id == sa.ike_id for one in self.ike_sas)

    def _esp_heard(self, sa: IkeSaSnapshot) -> float | None:
        """Seconds since an IKE_SA's children received something, if that is later than what itself did."""
        times = [
            child.traffic.in_last
            for one in self.ike_sas
            if one.sa.ike_id == sa.ike_id
            for child in one.children
        ]
        since = self.tables.at - max(times, default=0)
        return since if since < self.tables.at - sa.heard_at - 1 else None  # whole seconds of traffic

    # -- of its children

    def _child(self, wait: ChildWait) -> ChildDiagnosis:
        history = self.history.children.get(wait.child)
        installed = self.installed.get(wait.child)
        total = self._total(wait.child)
        findings: list[Finding] = []
        if history is not None and history.failed is not None and installed is None:
            findings.append(refusals.of_child(wait.child, history.failed, self.config))
        if history is not None and history.rekey_failed is not None:
            told = rekeys.of_child_rekey(
                wait.child, history.rekey_failed, self.config, up=installed is not None
            )
            findings.append(told)
        if history is not None and history.expired_at is not None and installed is None:
            text = f"{wait.child} expired before a rekey succeeded."
            findings.append(Finding(Code.EXPIRED, Severity.ERROR, text, at=history.expired_at))
        if installed is not None:
            state = traffic.ChildTrafficState(
                self.config,
                self.carriers[wait.child],
                installed,
                traffic.since_up(installed, None if history is None else history.up_since, total),
                self.device,
                self.history.unmatched is not None,
                self.tables.at,
            )
            icmp = self._esp_icmp(self.carriers[wait.child])
            findings += (silence.hinted(one, icmp, self.tables.at) for one in traffic.findings(state))
            dropped = None if history is None else history.dropped
            findings += outside.coming_in(installed, dropped, self.config, self.installed)
        since = None if history is None else history.up_since if installed else history.down_since
        return ChildDiagnosis(
            name=wait.child,
            up=installed is not None,
            since=since,
            waiting=wait.waiting,
            until=wait.until,
            failures=wait.failures,
            device="" if self.device is None else self.device.name,
            traffic=total,
            findings=_gravest_and_newest_first(findings),
        )

    def _esp_icmp(self, carrier: IkeSaSnapshot) -> Dated[IcmpError] | None:
        """What ICMP says of ESP to the peer of this IKE_SA: the connection may have others."""
        icmp = self.history.esp_icmp
        there = icmp is not None and icmp.event.remote.address == carrier.path.remote.address
        return icmp if there else None

    def _outside(self) -> Iterator[Finding]:
        """Packets that no child may carry."""
        unmatched = self.history.unmatched
        if unmatched is None or self.device is None or self.tables.at - unmatched.at >= RECENT:
            return
        # The counters of a child that has just come up are not read yet.
        sent = any(self._total(wait.child).out_packets for wait in self.waits) or any(
            self.tables.at - one.sa.installed_at < traffic.SETTLED for one in self.installed.values()
        )
        yield from outside.going_out(unmatched, self.config, self.installed, self.device, sent=sent)

    def _total(self, child: str) -> Traffic:
        return self.tables.traffic.get((self.config.name, child), Traffic())


def _when(tried: Try) -> float:
    return tried.at


def _gravest_and_newest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By severity; among equals what is so now, then what was seen last."""
    grades = tuple(Severity)
    return tuple(
        sorted(findings, key=lambda one: (grades.index(one.severity), -inf if one.at is None else -one.at))
    )


def _names(connection: Connection, address: Address) -> bool:
    """Whether an address is one of those that are configured for the peer, not just any."""
    return str(address) in map(str, connection.remote_addrs)


def _lessened(finding: Finding, is_up: bool) -> Finding:
    """A refused request beside a tunnel that is up is no error of the tunnel."""
    return replace(finding, severity=Severity.WARNING) if is_up else finding


def _of_daemon(snapshot: Snapshot, history: History) -> Iterator[Finding]:
    """What belongs to no connection: strangers that were refused, ESP without an SA."""
    yield from certificates.findings(certificates.of_none(snapshot.certificates), snapshot.unix_at)
    if snapshot.daemon.key_log is not None:
        yield Finding(
            Code.KEY_LOG,
            Severity.WARNING,
            f"All keys of IKE and ESP are written to {snapshot.daemon.key_log}.",
            "daemon.keylog_dir asks for it: who reads them there reads what the tunnels carry.",
            "Remove keylog_dir and the files, and restart the daemon, unless this is a lab.",
        )
    configured = [one.config for one in snapshot.connections]
    for address, tried in history.strangers.items():
        if snapshot.at - tried.at > RECENT or any(_names(one, address) for one in configured):
            continue
        known = tried.failure is not None and tried.failure.cause is not None
        if tried.failure is None or tried.failure.by is not Party.US:
            continue
        yield Finding(
            Code.REFUSED if known else Code.UNKNOWN_ADDRESS,
            Severity.NOTE,
            f"{tried.path.remote} asked for an IKE_SA with {tried.path.local.address}, and was refused.",
            shortened(tried.text),
            "" if known else "If it is a peer of yours whose address is new, put it into remote_addrs.",
            at=tried.at,
        )
    unknown = sum(worker.drops.get(Drop.UNKNOWN_SPI.text, 0) for worker in snapshot.workers)
    if unknown:
        yield Finding(
            Code.UNKNOWN_SPI,
            Severity.NOTE,
            f"{unknown:,} ESP packets came with an SPI that no SA has.",
            "A peer sends under SAs that are gone here, as after a restart; its dead peer detection "
            "will notice.",
            "If it goes on, end the tunnel at the peer, or turn its DPD on.",
        )
