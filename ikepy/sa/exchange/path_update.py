"""Updates IKE and CHILD_SA paths; children may lag during the return routability check (RFC 4555 3.7)."""

from __future__ import annotations

from ikepy.sa.api.effects import Effect, UpdatePath
from ikepy.sa.api.events import IkeMoved, MoveReason
from ikepy.sa.api.path import Path
from ikepy.sa.state.ike_sa import IkeSa


def float_to_nat_t(sa: IkeSa) -> None:
    """Switch both ends of the path to port 4500 (RFC 7296 2.23)."""
    local_port = sa.registry.config.daemon.port_nat_t
    remote_port = sa.connection.remote_port
    sa.path = sa.path.with_ports(local_port, 4500 if remote_port == 500 else remote_port)


def move(sa: IkeSa, path: Path, reason: MoveReason) -> list[Effect]:
    """Send IKE messages over another path from now on; the children keep theirs until `redirect`."""
    sa.kept_path = sa.children_path
    old, sa.path = sa.path, path
    sa.window.redirect(path)
    return _told(sa, old, reason)


def _told(sa: IkeSa, old: Path, reason: MoveReason) -> list[Effect]:
    """The event for a changed path of an established IKE_SA."""
    return [IkeMoved(sa.itself, old, reason)] if sa.announced and sa.path != old else []


def follow(sa: IkeSa, path: Path) -> list[Effect]:
    """Follow a peer behind a NAT to its new address, with IKE messages and children (RFC 7296 2.23).

    Other IKE_SAs with this peer used the same NAT mapping, which has changed: they follow too.
    """
    before, effects = sa.path, list[Effect]()
    for one in (sa, *sa.registry.duplicates(sa)):
        if one.path == one.children_path == before:
            one.path = path
            one.window.redirect(path)
            effects += _told(one, before, MoveReason.NAT_MAPPING)
            effects += [UpdatePath(child_id, path, one.encap) for child_id in one.children]
    return effects


def leave_children(sa: IkeSa, path: Path) -> None:
    """Let the children use `path` until `redirect`."""
    sa.kept_path = None if path == sa.path else path


def redirect(sa: IkeSa) -> list[Effect]:
    """Let the children use the path of the IKE messages."""
    sa.kept_path = None
    for child in sa.children.values():
        child.encap = sa.encap
    return [UpdatePath(child_id, sa.path, sa.encap) for child_id in sa.children]
