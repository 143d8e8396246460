"""What holds when nothing has disturbed the sites for a while."""

from __future__ import annotations

from collections import Counter

from ikepy.sa.api.path import Path
from ikepy.sa.driver.clock import deadline
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase

from .plane import Breach
from .sites import CHILDREN, Site, peer_of
from .world import World


def check_quiet(world: World, wanted: dict[str, bool]) -> None:
    """Both ends of every link hold the same, and nobody holds more. `wanted`: links that must be up."""
    for site in world.sites.values():
        _check_timers(site)
        _check_plane(site)
        _check_events(site)
        _check_outcomes(site)
    for link in wanted:
        one, other = (world.sites[name] for name in link)
        _check_agreement(one, other, link, world.now)
        if len(one.sas(link)) > 2 + world.surplus:  # each end may have set up one of its own
            raise Breach(f"{link}: {len(one.sas(link))} IKE_SAs between two ends")
        if one.options.unique == other.options.unique == "replace":
            _check_unique(one, link)
        if wanted[link]:
            _check_up(one, link)


def _check_timers(site: Site) -> None:
    for sa in site.sas():
        due = deadline(sa)
        if due is None:
            raise Breach(f"{site.name}'s IKE_SA #{sa.ike_id} has no deadline")
        if site.manager.deadline is None or site.manager.deadline > due:
            raise Breach(f"{site.name} forgets the deadline of IKE_SA #{sa.ike_id}")
        if sa.phase is not Phase.ESTABLISHED:
            raise Breach(f"{site.name}'s IKE_SA #{sa.ike_id} is {sa.phase.value} after quiet")


def _check_plane(site: Site) -> None:
    """The worker holds just the children that the IKE_SAs know of."""
    children = [child for sa in site.sas() for child in sa.children.values()]
    for child in children:
        if child.state is not ChildState.INSTALLED:
            raise Breach(f"{site.name}'s child {child.child_id} is {child.state.value} after quiet")
    if {child.spi_in for child in children} != set(site.plane.inbound):
        raise Breach(f"orphans or gaps among {site.name}'s inbound SAs")
    if {child.child_id for child in children} != set(site.plane.outbound):
        raise Breach(f"orphans or gaps among {site.name}'s outbound SAs")
    active = {(out.sa.connection, out.sa.child) for out in site.plane.outbound.values() if out.active}
    idle = [
        out.sa.child_id
        for out in site.plane.outbound.values()
        if (out.sa.connection, out.sa.child) not in active
    ]
    if idle:
        raise Breach(f"{site.name}'s outbound SAs of {idle} stand by for ever")


def _check_events(site: Site) -> None:
    """What the events tell to be up is, and nothing else is."""
    established = {sa.ike_id for sa in site.sas() if sa.phase is Phase.ESTABLISHED}
    if site.chains.ike_sas.keys() != established:
        raise Breach(f"{site.name} tells of IKE_SAs {sorted(site.chains.ike_sas)}, has {sorted(established)}")
    children = {child_id for sa in site.sas() for child_id in sa.children}
    if site.chains.children.keys() != children:
        raise Breach(f"{site.name} tells of children {sorted(site.chains.children)}, has {sorted(children)}")


def _check_outcomes(site: Site) -> None:
    for ticket in site.asked - site.outcomes.keys():
        raise Breach(f"{site.name}'s command {ticket} has no outcome")


def _spis(sa: IkeSa) -> tuple[bytes, bytes]:
    return sa.spi_i, sa.spi_r


def _check_agreement(one: Site, other: Site, link: str, now: float) -> None:
    ours, theirs = ({_spis(sa): sa for sa in site.sas(link)} for site in (one, other))
    if ours.keys() != theirs.keys():
        raise Breach(f"{link}: {one.name} has {_names(ours)}, {other.name} has {_names(theirs)}")
    for spis, sa in ours.items():
        mine = sorted(_seen_by(child, mirrored=False) for child in sa.children.values())
        mirror = sorted(_seen_by(child, mirrored=True) for child in theirs[spis].children.values())
        if mine != mirror:
            raise Breach(f"{link}: children of {spis[0].hex()[:6]}: {mine} here, {mirror} there")
        for policy, count in Counter(child.config.name for child in sa.children.values()).items():
            if count > 1:
                raise Breach(f"{link}: {count} children {policy} on one IKE_SA")
        if sa.initiator == theirs[spis].initiator:
            raise Breach(f"{link}: both ends are the initiator of {spis[0].hex()[:6]}")
    for sender, receiver in ((one, other), (other, one)):
        for out in sender.plane.outbound.values():
            if out.sa.connection != link:
                continue
            into = receiver.plane.inbound.get(out.sa.spi)
            if into is None or into.keys != out.sa.keys:
                raise Breach(f"{link}: what {sender.name} sends, {receiver.name} can't decrypt")
            _check_path(sender, receiver, out.path, now)
        for sa in sender.sas(link):
            # Without traffic and with MOBIKE, the other end of a NAT hears of a new mapping only when whoever
            # is behind it hears nothing for a while and asks (RFC 4555 3.8).
            if sa.children or sa.mobike is None:
                _check_path(sender, receiver, sa.path, now)


def _check_path(sender: Site, receiver: Site, path: Path, now: float) -> None:
    if path.local.address not in sender.addresses or receiver.reached_at(path.remote, now) is None:
        raise Breach(f"{sender.name} sends to {receiver.name} where nobody is: {path}")


def _seen_by(child: ChildSa, *, mirrored: bool) -> tuple[str, int, int]:
    spis = (child.spi_out, child.spi_in) if mirrored else (child.spi_in, child.spi_out)
    return child.config.name, *spis


def _names(sas: dict[tuple[bytes, bytes], IkeSa]) -> str:
    return ", ".join(f"{i.hex()[:6]}_{r.hex()[:6]}" for i, r in sas) or "nothing"


def _check_unique(site: Site, link: str) -> None:
    if len(site.sas(link)) > 1:
        raise Breach(f"{link}: {len(site.sas(link))} IKE_SAs with one peer, and unique = replace")


def _check_up(site: Site, link: str) -> None:
    up = {child.config.name for sa in site.sas(link) for child in sa.children.values()}
    if up != set(CHILDREN):
        raise Breach(f"{link}: {sorted(up) or 'nothing'} is up, though {peer_of(site.name, link)} or "
                     f"{site.name} is to bring up all")  # fmt: skip
