"""What becomes of a child after each end, its own or its IKE_SA's: one table, and what strongSwan does there.

charon's side is from its sources, 5.9.8, all below src/libcharon/sa: `child_delete.c` and `ike_delete.c` of
ikev2/tasks, `ike_sa.c` (`retransmit`, `reestablish`, `delete`) and `ike_sa_manager.c` (`check_uniqueness`).
Where it forgets a child that is configured to be up, ours comes again: a gateway may be left alone for years.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from ikepy.config.model import Child
from ikepy.sa.state.phase import End

START, TRAP, NONE = "start", "trap", "none"
Rule = Callable[[Child], str]


class ChildEnd(Enum):
    """Why a child is no more while its IKE_SA stands."""

    DELETED = auto()  # by us: a user wished it, or it was one too many
    DELETED_BY_PEER = auto()
    EXPIRED = auto()  # `life_time` and the like came before a rekey succeeded
    NOT_REPLACED = auto()  # its worker lost it, and the peer refused another one


def kept(child: Child) -> str:
    """What is configured to be up, by whichever action, comes up again; what is trapped is trapped again."""
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
    # An error that is fatal to an IKE_SA that stood (RFC 7296 2.21.3). charon: gone for good.
    End.REFUSED: kept,
    End.FAULT: kept,
    # What was to come up on the old one meanwhile; the rest stands on its successor. charon: `reestablish`.
    End.REAUTHENTICATED: _always,
    End.ADDRESS_GONE: _always,  # charon: `roam` reauthenticates, which sets all children up anew
    # Its children are on the other IKE_SA as a rule, and these rows are about those that are not. charon
    # forgets them: `check_uniqueness` deletes or destroys the duplicate.
    End.REPLACED: _dpd_action,
    End.RESTARTED: _dpd_action,
}


def after_child(end: ChildEnd, child: Child) -> str:
    """ "start", "trap" or "none": what follows the end of a child whose IKE_SA stands."""
    return AFTER_CHILD[end](child)


def after_ike(end: End, child: Child) -> str:
    """ "start", "trap" or "none": what follows for a child of an IKE_SA that stood, and has ended."""
    return AFTER_IKE[end](child)
