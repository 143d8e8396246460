"""Decides what happens to a child when it or its IKE_SA ends: two tables, compared with strongSwan.

charon's behaviour is from its sources, 5.9.8, below src/libcharon/sa: `child_delete.c` and `ike_delete.c` of
ikev2/tasks, `ike_sa.c` (`retransmit`, `reestablish`, `delete`) and `ike_sa_manager.c` (`check_uniqueness`).
Where charon forgets a child that is configured to be up, we restart it: a gateway may run unattended.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from ikepy.config.model import Child
from ikepy.sa.api.ends import End

START, TRAP, NONE = "start", "trap", "none"
Rule = Callable[[Child], str]


class ChildEnd(Enum):
    """Why a child ended while its IKE_SA lives on."""

    DELETED = auto()  # by us: at a user's request, or as a duplicate
    DELETED_BY_PEER = auto()
    EXPIRED = auto()  # `life_time` and the like came before a rekey succeeded
    NOT_REPLACED = auto()  # its worker died, and the peer refused a replacement


def kept(child: Child) -> str:
    """Restart a child if any of its actions is "start", else trap it if any is "trap"."""
    actions = child.start_action, child.close_action, child.dpd_action
    return next((action for action in (START, TRAP) if action in actions), NONE)


def _close_action(child: Child) -> str:
    return child.close_action


def _dpd_action(child: Child) -> str:
    return child.dpd_action


def _always(child: Child) -> str:
    return START


def _never(child: Child) -> str:
    return NONE


AFTER_CHILD: dict[ChildEnd, Rule] = {
    ChildEnd.DELETED: _never,  # charon: the same
    ChildEnd.DELETED_BY_PEER: _close_action,  # charon: `destroy_and_reestablish`, the same
    # charon: "scheduling CHILD_SA recreate after hard expire", whatever the actions are.
    ChildEnd.EXPIRED: _always,
    ChildEnd.NOT_REPLACED: kept,  # charon has no workers to lose
}

AFTER_IKE: dict[End, Rule] = {
    # charon: `retransmit` gives up, in `reestablish`; the same while the IKE_SA was being rekeyed.
    End.TIMEOUT: _dpd_action,
    End.DELETED_BY_PEER: _close_action,  # charon: `process_r` of `ike_delete.c`, in `reestablish`
    End.DELETED: _never,  # charon: the same, also where the peer's answer or its own delete crosses ours
    # charon ends it without a word about its children (ALERT_IKE_SA_EXPIRED).
    End.EXPIRED: kept,
    # A fatal error on an established IKE_SA (RFC 7296 2.21.3). charon: gone for good.
    End.REFUSED: kept,
    End.FAULT: kept,
    # Children still to come up on the old one; the rest are on the new IKE_SA. charon: `reestablish`.
    End.REAUTHENTICATED: _always,
    End.ADDRESS_GONE: _always,  # charon: `roam` reauthenticates, which sets all children up anew
    # As a rule its children are on the other IKE_SA; these rows apply to those that are not. charon forgets
    # them: `check_uniqueness` deletes or destroys the duplicate.
    End.LOST_BY_PEER: _always,  # charon has no crash detection
    End.REDIRECTED: _never,  # the client has gone elsewhere
    End.REPLACED: _dpd_action,
    End.RESTARTED: _dpd_action,
}


def after_child(end: ChildEnd, child: Child) -> str:
    """ "start", "trap" or "none": what follows the end of a child whose IKE_SA lives on."""
    return AFTER_CHILD[end](child)


def after_ike(end: End, child: Child) -> str:
    """ "start", "trap" or "none": what follows for a child of an established IKE_SA that has ended."""
    return AFTER_IKE[end](child)
