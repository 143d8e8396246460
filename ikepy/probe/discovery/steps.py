"""The steps of a probe: each is a few requests, and what they show goes into the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ikepy.probe.discovery import features, ikev1
from ikepy.probe.discovery.algorithms import ADDKE, CANDIDATES, ENCR, INTEG, KE, PRF, combined, name
from ikepy.probe.discovery.asking import FIRST_GROUP, Asker
from ikepy.probe.discovery.line import ClosedPortError, Line
from ikepy.probe.discovery.odd_messages import ANSWER_IS_DUE, ODD_MESSAGES, OddMessage, Verdict, judge
from ikepy.probe.discovery.offers import Offer, request, usual
from ikepy.probe.discovery.replies import Outcome, Reply
from ikepy.probe.discovery.report import Odd
from ikepy.probe.discovery.search import bisect
from ikepy.wire.constants import TransformType
from ikepy.wire.proposal import Transform

_UNASSIGNED = 1023  # no encryption algorithm has this ID
_MOST_GROUPS = 64  # questions about key exchanges
_COOKIE_SIZE = 20


async def hello(asker: Asker, over: Line) -> Reply:
    """The usual transforms, then all; with another group if another one is wanted. Ends in a half-open
    IKE_SA.
    """
    reply = await _with_the_right_group(asker, over, usual(FIRST_GROUP))
    if reply.outcome is Outcome.REFUSED:
        reply = await _with_the_right_group(asker, over, asker.everything())
    if reply.outcome is Outcome.REFUSED:  # nothing without additional key exchanges (RFC 9370)?
        asker.addke = CANDIDATES[ADDKE]
        reply = await _with_the_right_group(asker, over, asker.everything())
        if not reply.acceptable:
            asker.addke = ()
    if reply.message is not None:
        _take(asker, over, reply)
    return reply


async def _with_the_right_group(asker: Asker, over: Line, offer: Offer) -> Reply:
    reply = await asker.ask(over, offer)
    if reply.outcome is Outcome.WRONG_GROUP:
        reply = await asker.ask(over, offer.with_group(reply.group))
    return reply


def _take(asker: Asker, over: Line, reply: Reply) -> None:
    report = asker.report
    assert reply.message is not None
    report.vendors = features.vendors(reply.message)
    if reply.chosen is None:
        return
    redirect = report.features.redirect
    report.features = replace(features.features(reply.message, over.ends), redirect=redirect)
    report.suite = [name(one) for one in reply.chosen.transforms]


async def repeated(asker: Asker, over: Line, first: Reply) -> None:
    """The same request again: a responder sends the same answer (RFC 7296 2.1)."""
    made = request(usual(FIRST_GROUP), over.ends, asker.random)
    spi = asker.last[:8]
    reply = await asker.send(over, replace(made, spi_i=spi), asker.last)
    if reply.outcome is Outcome.SILENT:
        words = "no answer"
    else:
        words = "the same answer" if reply.octets == first.octets else f"another answer: {reply.words()}"
    asker.report.timing.repeated = words


async def habits(asker: Asker, over: Line, chosen: tuple[Transform, ...]) -> None:
    """How offers are answered that can't become an IKE_SA: which tells how to ask for the rest."""
    good = usual(FIRST_GROUP)
    if chosen:
        kinds = {kind: tuple(one for one in chosen if one.type == kind) for kind in (ENCR, PRF, INTEG, KE)}
        good = Offer(kinds[ENCR], kinds[PRF], kinds[INTEG], kinds[KE], FIRST_GROUP, asker.addke)
    asker.stateless = True
    reply = await asker.ask(over, asker.grouped(good))
    asker.stateless = reply.outcome is Outcome.WRONG_GROUP
    if not asker.stateless:
        asker.report.remarks.append(
            f"a KE payload of another group is answered by: {reply.words()}; so questions leave half-open "
            "IKE_SAs, a few at a time"
        )
    refused = good.with_type(ENCR, [Transform(ENCR, _UNASSIGNED)]).with_type(KE, good.ke)
    refused = replace(refused, integ=CANDIDATES[INTEG])
    reply = await asker.ask(over, asker.grouped(refused))
    if reply.outcome is Outcome.SILENT and (await asker.ask(over, asker.grouped(good))).acceptable:
        asker.honest = good
        asker.report.remarks.append(
            "an offer that it does not accept gets no answer: silence is taken as a refusal"
        )


async def groups(asker: Asker, over: Line) -> None:
    """Which key exchanges are accepted: INVALID_KE_PAYLOAD names one each time."""
    found, left = asker.report.transforms[KE], list(CANDIDATES[KE])
    for _ in range(_MOST_GROUPS):
        if not left:
            return
        # The KE payload's own group is asked for at last.
        offered = [one for one in left if one.id != FIRST_GROUP] if asker.stateless else list(left)
        offered = offered or left
        reply = await asker.ask(over, asker.grouped(asker.everything().with_type(KE, offered)))
        named = _named_group(reply)
        if named in {one.id for one in offered}:
            taken = [one for one in left if one.id == named]
            found.sort(taken, True)
            left = [one for one in left if one.id != named]
            continue
        refused = await asker.verdict(over, reply) is False
        found.sort(offered, False if refused else None)
        left = [one for one in left if one not in offered]


def _named_group(reply: Reply) -> int:
    if reply.outcome is Outcome.WRONG_GROUP:
        return reply.group
    if reply.chosen is not None:
        return next((one.id for one in reply.chosen.transforms if one.type == KE), 0)
    return 0


async def algorithms(asker: Asker, over: Line, chosen: tuple[Transform, ...]) -> None:
    """Which encryption, PRF, integrity and additional key exchange algorithms are accepted, by bisection.

    The other types have all that may be accepted beside them: a responder may take one only with another.
    """
    report = asker.report
    if not report.accepted(KE):
        report.remarks.append("no key exchange was accepted, so nothing else could be asked for")
        return
    offer = asker.everything().with_type(KE, report.accepted(KE))
    offer = await _one_type(asker, over, ENCR, offer, chosen)
    offer = await _one_type(asker, over, PRF, offer, chosen)
    if any(not combined(one) for one in offer.encr):
        offer = await _one_type(asker, over, INTEG, offer, chosen)
    elif offer.encr:
        report.transforms[INTEG].sort(CANDIDATES[INTEG], False)
        report.remarks.append("only AEADs are accepted: they have no integrity algorithms")
    if offer.encr and offer.prf:
        await _sort(asker, over, ADDKE, asker.everything(), CANDIDATES[ADDKE])
        if report.accepted(ADDKE) and not asker.addke:
            await _only_beside_additional(asker, over)


async def _only_beside_additional(asker: Asker, over: Line) -> None:
    """What was refused so far may be accepted with additional key exchanges alone."""
    report = asker.report
    asker.addke = tuple(report.accepted(ADDKE))
    found = {kind: report.transforms[kind] for kind in (KE, ENCR, PRF, INTEG)}
    again = {kind: one.refused for kind, one in found.items()}
    for one in found.values():  # at once: what is not asked for again is not known
        one.refused = []
    for kind, refused in again.items():
        await _sort(asker, over, kind, asker.everything(), refused)
    asker.addke = ()


async def _one_type(
    asker: Asker, over: Line, kind: TransformType, offer: Offer, chosen: tuple[Transform, ...]
) -> Offer:
    found = asker.report.transforms[kind]
    known = [one for one in CANDIDATES[kind] if one in chosen]
    found.sort(known, True)

    await _sort(asker, over, kind, offer, [one for one in CANDIDATES[kind] if one not in known])
    possible = [*found.accepted, *found.unclear]
    return replace(offer, encr=tuple(possible)) if kind == ENCR else _narrowed(offer, kind, possible)


async def _sort(
    asker: Asker, over: Line, kind: TransformType, offer: Offer, transforms: Sequence[Transform]
) -> None:
    async def ask(chosen: tuple[Transform, ...]) -> bool | None:
        return await asker.question(over, offer.with_type(kind, chosen))

    await bisect(transforms, ask, asker.report.transforms[kind])


def _narrowed(offer: Offer, kind: int, possible: list[Transform]) -> Offer:
    """Integrity algorithms are narrowed without leaving out AEADs."""
    return replace(offer, integ=tuple(possible)) if kind == INTEG else offer.with_type(kind, possible)


async def cookie_that_nobody_gave(asker: Asker, over: Line, good: Offer) -> None:
    """A false COOKIE: to be ignored where none is wanted, and answered by a COOKIE where one is (RFC 7296
    2.6).
    """
    made = request(asker.grouped(good), over.ends, asker.random, redirect=asker.redirect)
    reply = await asker.send(over, made, made.datagram(asker.random(_COOKIE_SIZE)))
    words = reply.words()
    if reply.acceptable:
        words = f"ignored ({words})"
    elif reply.outcome is Outcome.COOKIE:
        words = "another COOKIE is asked for"
    asker.report.cookies.false_cookie = words


async def odd_messages(asker: Asker, over: Line, good: Offer) -> None:
    """Odd and malformed messages, between two honest requests. Silence says something only where a later
    request is answered: until then it is unclear.
    """
    honest = await asker.ask(over, asker.grouped(good))
    silent: list[tuple[Odd, Verdict]] = []
    for one in ODD_MESSAGES:
        reply = await _odd(asker, over, good, one)
        verdict = judge(one.expected, reply, honest)
        told = Odd(one.name, f"RFC 7296 {one.section}", one.expected.value, reply.words(), verdict.value)
        asker.report.odd.append(told)
        if reply.outcome is Outcome.SILENT:
            told.verdict = Verdict.UNCLEAR.value
            silent.append((told, verdict))
        elif reply.outcome is not Outcome.CLOSED:
            _believe(silent)
    if (await asker.ask(over, asker.grouped(good))).octets:
        _believe(silent)
    else:
        asker.report.remarks.append("it does not answer an honest request any more")


async def _odd(asker: Asker, over: Line, good: Offer, one: OddMessage) -> Reply:
    made = request(asker.grouped(good), over.ends, asker.random, redirect=False)
    reply = await asker.send_odd(over, one.build(made, asker.random), due=one.expected in ANSWER_IS_DUE)
    if reply.outcome is not Outcome.COOKIE:
        return reply
    made = made.with_cookie(reply.cookie)  # a COOKIE says nothing of what is behind it
    octets = one.build(made, asker.random)
    return await asker.send_odd(over, octets, due=one.expected in ANSWER_IS_DUE, counted=False)


def _believe(silent: list[tuple[Odd, Verdict]]) -> None:
    """The host is there still: those silences were its answers."""
    for odd, verdict in silent:
        odd.verdict = verdict.value
    silent.clear()


async def old_ike(asker: Asker, over: Line) -> None:
    """IKEv1: main mode, then aggressive mode where that is alive."""
    found = asker.report.ikev1
    spi = b"\3" + asker.random(7)
    answer = await _old(asker, over, spi, ikev1.main_mode(spi))
    found.alive, found.main = answer.alive, answer.accepted or answer.words
    found.main_accepted = bool(answer.accepted)
    if found.main_accepted:
        found.repeats_after = await _repetitions(over, spi, asker.options.listen)
    if not answer.alive:
        return
    spi = b"\4" + asker.random(7)
    asked = ikev1.aggressive_mode(spi, ikev1.group_of(answer.accepted), asker.random)
    answer = await _old(asker, over, spi, asked)
    found.aggressive, found.aggressive_accepted = answer.accepted or answer.words, bool(answer.accepted)


async def _repetitions(over: Line, spi: bytes, seconds: float) -> list[float]:
    """How long it waits each time until it repeats its answer: its own timers, as in IKEv1 responders
    repeat.
    """
    times = [time.monotonic()]
    times += [moment for moment, got in await over.listen(seconds) if ikev1.belongs(spi, got)]
    return [round(later - earlier, 2) for earlier, later in pairwise(times)]


async def _old(asker: Asker, over: Line, spi: bytes, datagram: bytes) -> ikev1.Answer:
    await asker.pace.turn()
    try:
        came = await over.ask(
            datagram, lambda got: ikev1.belongs(spi, got), asker.options.timeout, asker.options.tries
        )
    except ClosedPortError:
        return ikev1.Answer(False, words="port unreachable")
    return ikev1.SILENT if came is None else ikev1.read(came[0])
