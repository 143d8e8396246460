"""Grades what is accepted against a profile.

A: nothing that is forbidden or discouraged, and all that must be there. B: something that must be there is
not accepted (a configuration may leave it out on purpose). C: something discouraged is accepted. F: something
forbidden is. "-": nothing is known, or not enough to exclude a lower grade, or a higher one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ikepy.probe.discovery.algorithms import ADDKE, ENCR, INTEG, KE, combined, name
from ikepy.probe.discovery.profiles import DISCOURAGED, FORBIDDEN, HASH, Key, Level, Profile
from ikepy.wire.constants import HashAlgorithm
from ikepy.wire.proposal import Transform

_MOST_NAMES = 4  # of what is not known, in a grade's words


@dataclass
class Finding:
    """One algorithm: its level in the profile, and whether it is accepted."""

    name: str
    level: str
    accepted: bool


@dataclass
class Grade:
    """`letter`: A, B, C, F, or "-". `findings`: the algorithms that are the reason, the gravest first."""

    profile: str
    title: str
    letter: str
    findings: list[Finding] = field(default_factory=list)
    words: str = ""


def grade(
    profile: Profile,
    accepted: Sequence[Transform],
    hashes: Sequence[str] | None,
    *,
    unknown: Sequence[Transform] = (),
    why_unknown: str = "",
) -> Grade:
    """`accepted`: all transforms that are, of any type; `hashes`: names of HashAlgorithm that are announced,
    None where that was not seen.

    `unknown`: what was not asked for, or whose answers said neither yes nor no. `why_unknown`: nothing could
    be asked.
    """
    if why_unknown:
        return Grade(profile.key, profile.title, "-", words=why_unknown)
    announced = () if hashes is None or profile.esp else hashes
    levels = [(name(one), profile.level(_plain(one))) for one in accepted]
    levels += [(one, _hash_level(profile, one)) for one in announced]
    forbidden = [Finding(text, level.value, True) for text, level in levels if level in FORBIDDEN]
    discouraged = [Finding(text, level.value, True) for text, level in levels if level in DISCOURAGED]
    missing = list(_missing(profile, accepted, announced, unknown))
    lacks_must = any(one.level == Level.MUST.value for one in missing)
    letter = "F" if forbidden else "C" if discouraged else "B" if lacks_must else "A"
    findings = [*forbidden, *discouraged, *missing]
    words = _not_known(profile, letter, unknown)
    if not accepted:
        return Grade(profile.key, profile.title, "-", words=words or "nothing is accepted")
    if letter != "F" and hashes is None and not profile.esp:
        words = words or "not known: which signature hashes it takes"
    return Grade(profile.key, profile.title, "-" if words else letter, findings, words)


def _not_known(profile: Profile, letter: str, unknown: Sequence[Transform]) -> str:
    """Which of these would make another letter of this one, accepted or refused; "" if none would."""
    changing = {
        "A": (*FORBIDDEN, *DISCOURAGED, Level.MUST),
        "B": (*FORBIDDEN, *DISCOURAGED),
        "C": FORBIDDEN,
        "F": (),
    }[letter]
    names = [name(one) for one in unknown if profile.level(_plain(one)) in changing]
    if not names:
        return ""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"not known: whether it accepts {', '.join(names[:_MOST_NAMES])}{more}"


def _plain(transform: Transform) -> Transform:
    """An additional key exchange is judged as a key exchange."""
    return Transform(KE, transform.id) if transform.type == ADDKE else transform


def _hash_level(profile: Profile, hash_name: str) -> Level:
    number = HashAlgorithm.__members__.get(hash_name)
    if number is None or number == HashAlgorithm.IDENTITY:  # Ed25519 and Ed448 hash by themselves
        return Level.MAY
    return profile.levels.get((HASH, int(number), None), profile.other)


def _missing(
    profile: Profile, accepted: Sequence[Transform], hashes: Sequence[str], unknown: Sequence[Transform]
) -> list[Finding]:
    """What must or should be there, and is not. Integrity algorithms only beside ciphers that need one,
    hashes only where some are announced.
    """
    may_be_there = map(_plain, (*accepted, *unknown))
    there = {(one.type, one.id, one.key_length) for one in may_be_there}
    with_integ = any(one.type == ENCR and not combined(one) for one in accepted)
    known = {int(HashAlgorithm[one]) for one in hashes if one in HashAlgorithm.__members__}
    found = []
    for key, level in profile.required():
        if key[0] == HASH:
            if hashes and key[1] not in known:
                found.append(Finding(HashAlgorithm(key[1]).name, level.value, False))
        elif key not in there and (key[0] != INTEG or with_integ):
            found.append(Finding(_name(key), level.value, False))
    return sorted(found, key=lambda one: one.level != Level.MUST.value)


def _name(key: Key) -> str:
    return name(Transform(key[0], key[1], key[2]))
