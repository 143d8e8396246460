"""Reads a child's counters: what is sent, what comes back, and what is dropped on the way, as findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from esp.packet.drop_reasons import Drop
from ikepy.config.model import Connection
from ikepy.daemon.control.snapshot import DeviceState, InstalledChild
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.silence import FORGOTTEN_BY_NAT, KEEPALIVES
from ikepy.daemon.diagnosis.words import packets, were
from ikepy.daemon.effects.past_traffic import Traffic
from ikepy.sa.api.snapshot import IkeSaSnapshot

SETTLED = 3.0  # seconds after which a child that carries nothing is remarkable
SAME = 1.0  # seconds between a set-up and its event at most
ENOUGH = 3  # packets that are sent before silence is remarkable
# Seconds of sending without anything coming back, where something came before; less with a shorter dpd_delay.
FORGOTTEN = 30.0
TRUNCATING = "HMAC_SHA2_256"


@dataclass(frozen=True, slots=True)
class ChildTrafficState:
    """An installed child of `ike_sa`, and its traffic. `total`: since it is up, as `since_up` has it.

    `unmatched`: whether packets came into the device that no child may carry.
    `now`: monotonic seconds.
    """

    connection: Connection
    ike_sa: IkeSaSnapshot
    installed: InstalledChild
    total: Traffic
    device: DeviceState | None
    unmatched: bool
    now: float

    @property
    def age(self) -> float:
        return self.now - self.installed.sa.installed_at

    def drops(self, reason: Drop) -> int:
        return self.installed.traffic.drops.get(reason.text, 0)


def since_up(installed: InstalledChild, up_since: float | None, total: Traffic) -> Traffic:
    """What a child has carried since it is up: what it has before says nothing of its way now. One that was
    rekeyed meanwhile has what all its SAs have had (`total`): a rekey begins the counters anew."""
    if up_since is None or installed.sa.installed_at - up_since > SAME:
        return total
    return Traffic().plus(installed.traffic)


def findings(of: ChildTrafficState) -> Iterator[Finding]:
    """Everything that the counters of one child say."""
    for check in _CHECKS:
        yield from check(of)


def _nothing_comes_in(of: ChildTrafficState) -> Iterator[Finding]:
    sent, came, sa = of.total.out_packets, of.total.in_packets, of.installed.sa
    entry = f"connections.{of.connection.name}"
    if came or sent < ENOUGH or of.age < SETTLED or of.drops(Drop.INTEGRITY) or of.drops(Drop.SELECTORS):
        return
    if sa.encap:
        yield Finding(
            Code.NOTHING_COMES_IN,
            Severity.ERROR,
            f"{sent:,} packets were sent, none came in. IKE is up, and ESP goes the same way, in UDP.",
            "The peer does not send: its routes, its firewall or its selectors don't lead back into "
            "the tunnel.",
            "Look at the peer's counters: if it receives, its way back is missing; if not, its "
            "firewall drops.",
        )
        return
    yield Finding(
        Code.ESP_BLOCKED,
        Severity.ERROR,
        f"IKE is up, nothing comes in: {sent:,} packets were sent as ESP, and none came back.",
        "ESP (IP protocol 50) is probably blocked on the way; or the peer has no way back into the tunnel.",
        f"Try {entry}.encap = true, which sends ESP in UDP 4500 as IKE; or let protocol 50 through.",
    )


def _went_silent(of: ChildTrafficState) -> Iterator[Finding]:
    traffic, delay = of.installed.traffic, of.connection.dpd_delay
    # A rekey begins the counters of an SA anew.
    last = traffic.in_last or (of.installed.sa.installed_at if of.total.in_packets else 0.0)
    enough = min(delay, FORGOTTEN) if delay else FORGOTTEN
    if not last or traffic.out_last - last < enough or of.now - traffic.out_last > FORGOTTEN:
        return
    silent, ike_silent = of.now - last, of.now - of.ike_sa.heard_at
    ike_goes_on = ike_silent < silent - 1  # times of traffic are whole seconds
    meanwhile = f", though IKE was heard {ike_silent:.0f} s ago" if ike_goes_on else ""
    yield Finding(
        Code.WENT_SILENT,
        Severity.WARNING if ike_goes_on else Severity.ERROR,
        f"Packets are sent, but nothing has come in for {silent:.0f} s{meanwhile}.",
        *(_esp_alone_is_silent(of) if ike_goes_on else _all_is_silent(of)),
    )


def _esp_alone_is_silent(of: ChildTrafficState) -> tuple[str, str]:
    if of.installed.sa.encap:
        return (
            "ESP goes the way of IKE, in UDP: the peer sends nothing, or has no way back into the tunnel.",
            "Look at the peer's counters and routes; all is well if only one end has something to say.",
        )
    return (
        "A firewall on the way has forgotten the ESP flow while it was idle; or the peer sends nothing.",
        f"Set connections.{of.connection.name}.encap = true, so that ESP shares the flow of IKE, or let "
        "protocol 50 through both ways; all is well if only one end has something to say.",
    )


def _all_is_silent(of: ChildTrafficState) -> tuple[str, str]:
    if of.ike_sa.nat_remote:
        return FORGOTTEN_BY_NAT, KEEPALIVES
    noticed = (
        "the peer's DPD, too, so that"
        if of.connection.dpd_delay
        else f"connections.{of.connection.name}.dpd_delay to 30 s or less, so that it is noticed and"
    )
    return (
        f"The peer has lost the SA, or a {'NAT' if of.ike_sa.nat_local else 'firewall'} on the way has "
        "forgotten the flow while it was idle.",
        f"Set {noticed} the flow stays open{'; and daemon.keep_alive lower' if of.ike_sa.nat_local else ''}.",
    )


def _nothing_goes_out(of: ChildTrafficState) -> Iterator[Finding]:
    if of.total.out_packets or of.age < SETTLED or of.device is None:
        return
    name, entry = of.device.name, f"connections.{of.connection.name}"
    if of.unmatched:
        return  # `outside` tells of them
    if not of.device.routes:
        yield Finding(
            Code.NO_ROUTE,
            Severity.ERROR,
            f"Nothing goes out: no route leads into {name}.",
            f"{entry}.vti.routes is empty, so that routes are yours to make.",
            f"Set vti.routes, or: ip route add NETWORK dev {name}",
        )
    else:
        routes = ", ".join(str(route) for route in of.device.routes[:5])
        yield Finding(
            Code.NOTHING_GOES_OUT,
            Severity.NOTE,
            f"Nothing was sent yet. What is routed into {name}: {routes}.",
            "No packet has come into the device: nobody sends, or another route is better.",
            "See which way a packet would go: ip route get ADDRESS",
        )


def _integrity(of: ChildTrafficState) -> Iterator[Finding]:
    number, came, suite = (
        of.drops(Drop.INTEGRITY),
        of.installed.traffic.in_packets,
        str(of.installed.sa.suite),
    )
    if not number:
        return
    everything = number >= ENOUGH and not came
    why = "Packets are damaged or forged on the way."
    if everything:
        why = "Every packet fails: the peer uses other keys or another algorithm than was agreed"
        why += "; old ones truncate HMAC-SHA-256 to 96 bits." if TRUNCATING in suite else f" ({suite} here)."
    yield Finding(
        Code.INTEGRITY,
        Severity.ERROR if everything else Severity.WARNING,
        f"{packets(number)} failed the integrity check (ICV), {came:,} passed.",
        why,
        f"Take AES-GCM on both ends: connections.{of.connection.name}.children.{of.installed.sa.name}."
        'esp_proposals = ["aes128gcm16"].'
        if everything
        else "Look at the path's links for errors.",
    )


def _replays(of: ChildTrafficState) -> Iterator[Finding]:
    number = of.drops(Drop.REPLAY)
    if not number:
        return
    yield Finding(
        Code.REPLAYS,
        Severity.WARNING,
        f"{packets(number)} {were(number)} dropped as replays, {of.installed.traffic.in_packets:,} accepted.",
        "The path reorders by more than the window, repeats packets, or two gateways send under one SA.",
        f"Set connections.{of.connection.name}.children.{of.installed.sa.name}.replay_window higher.",
    )


def _too_big(of: ChildTrafficState) -> Iterator[Finding]:
    number = of.drops(Drop.TOO_BIG)
    if not number:
        return
    mtu = "" if of.device is None else f" (now {of.device.mtu})"
    yield Finding(
        Code.TOO_BIG,
        Severity.WARNING,
        f"{packets(number)} {were(number)} too big for the path to the peer.",
        "The path's MTU is below what the device takes, with ESP around it.",
        f"Set connections.{of.connection.name}.vti.mtu lower{mtu}, and vti.mss_clamp = true for TCP.",
    )


_CHECKS = (
    _nothing_comes_in,
    _went_silent,
    _nothing_goes_out,
    _integrity,
    _replays,
    _too_big,
)
