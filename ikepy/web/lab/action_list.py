"""What a page may do to a lab: each action with its words, and the fields of its form."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ikepy.web.window import RefusedError


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an action's form: a choice of words, or a number between two."""

    name: str
    label: str
    default: str | int
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class Action:
    """`group`: the heading under which it stands; `why`: what there is to see, in a sentence."""

    name: str
    group: str
    label: str
    why: str
    fields: tuple[Field, ...] = ()


_WHAT = Field("what", "of", "IKE", ("IKE", "ESP"))
_NEXT = Field("count", "the next", 1, least=1, most=50)
_END = Field("end", "by", "cgw", ("cgw", "c4"))
ACTIONS = (
    Action(
        "drop",
        "On the way",
        "Drop",
        "The sender hears nothing, and sends the same octets again.",
        (_NEXT, _WHAT),
    ),
    Action(
        "delay",
        "On the way",
        "Delay",
        "Late is not lost: a copy may overtake, and the window sorts it out.",
        (_NEXT, _WHAT, Field("milliseconds", "ms", 3000, least=10, most=60000)),
    ),
    Action(
        "duplicate",
        "On the way",
        "Duplicate",
        "A request that comes twice gets the same answer twice.",
        (_NEXT, _WHAT),
    ),
    Action(
        "corrupt",
        "On the way",
        "Corrupt",
        "One bit, and the integrity check fails: it is as if it were lost.",
        (_NEXT, _WHAT),
    ),
    Action("cut", "On the way", "Cut the uplink", "Nobody says goodbye: the peers find out by silence."),
    Action(
        "rebind", "On the way", "NAT: new mapping", "The NAT forgets: the same peer comes from another port."
    ),
    Action(
        "wrong_psk",
        "In the configuration",
        "Wrong PSK at C4",
        "AUTH does not fit: AUTHENTICATION_FAILED, and no reason why.",
    ),
    Action(
        "selectors",
        "In the configuration",
        "Other selectors",
        "Nothing in common: TS_UNACCEPTABLE, and the IKE_SA stands without a child.",
    ),
    Action(
        "mend", "In the configuration", "Mend everything", "All as it was, and the tunnel is set up again."
    ),
    Action(
        "rekey_child", "The tunnel", "Rekey the CHILD_SA", "New keys for ESP, and no packet lost.", (_END,)
    ),
    Action(
        "rekey_ike", "The tunnel", "Rekey the IKE_SA", "New SPIs and keys; the children move over.", (_END,)
    ),
    Action(
        "rekey_both",
        "The tunnel",
        "Both rekey at once",
        "Two new CHILD_SAs: the one with the lowest nonce goes (RFC 7296 2.8.1).",
    ),
    Action("terminate", "The tunnel", "Take it down", "DELETE, and an empty answer."),
    Action("initiate", "The tunnel", "Set it up", "IKE_SA_INIT and IKE_AUTH: two round trips."),
    Action(
        "kill_worker",
        "The tunnel",
        "Kill a worker",
        "Its SAs go with it, and new ones are negotiated: a counter must not begin again under the same key.",
        (_END,),
    ),
)


def at_cgw(action: Action) -> Action:
    """The same without a choice of the end: the other one's daemon is not ours."""
    ends = tuple(replace(one, choices=("cgw",)) if one.name == "end" else one for one in action.fields)
    return replace(action, fields=ends)


def field_value(field: Field, given: object) -> str | int:
    """A field's value. Raises RefusedError, which says what is allowed."""
    if field.choices:
        if given not in field.choices:
            raise RefusedError(f"{field.name}: one of {', '.join(field.choices)}")
        return str(given)
    if not isinstance(given, int) or isinstance(given, bool) or not field.least <= given <= field.most:
        raise RefusedError(f"{field.name}: a number from {field.least} to {field.most}")
    return given
