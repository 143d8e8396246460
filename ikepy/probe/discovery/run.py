"""Probes one host: opens the ports, takes the steps in their order, and grades what was found."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address

from ikepy.crypto.kex.method import Random
from ikepy.probe.discovery import steps
from ikepy.probe.discovery.algorithms import ASKED, CANDIDATES, ENCR, INTEG, KE, PRF
from ikepy.probe.discovery.asking import FIRST_GROUP, Asker, Options, Progress
from ikepy.probe.discovery.esp import CANDIDATES as ESP
from ikepy.probe.discovery.esp import MakeTarget, ask_for_esp
from ikepy.probe.discovery.grading import grade
from ikepy.probe.discovery.line import LimitReachedError, Line, Pace, line
from ikepy.probe.discovery.offers import Offer, usual
from ikepy.probe.discovery.profiles import PROFILES
from ikepy.probe.discovery.replies import Outcome, Reply
from ikepy.probe.discovery.report import Port, Report

ESP_UNSEEN = "what is accepted for ESP is told only to who has authenticated"


async def discover(
    host: str,
    address: IPv4Address | IPv6Address,
    options: Options,
    random: Random,
    progress: Progress,
    make_target: MakeTarget | None = None,
) -> Report:
    """All that can be found without credentials. `progress` is told what is being done. OSError if there
    is no way.
    """
    report = Report(host, str(address), datetime.now(UTC).isoformat(timespec="seconds"))
    report.ports = {port: Port(port) for port in (options.port, options.nat_port)}
    begun = time.monotonic()
    asker = Asker(report, options, random, Pace(options.rate, options.most, options.seconds))
    try:
        await _ask(asker, address, progress)
        if make_target is not None and report.answers:
            progress("which algorithms of ESP?")
            await ask_for_esp(report, make_target, asker.pace)
    except LimitReachedError as reached:
        report.complete = False
        report.remarks.append(f"not all was asked: {reached}")
    report.seconds, report.requests = round(time.monotonic() - begun, 3), asker.pace.used
    _sum_up(asker)
    return report


async def _ask(asker: Asker, address: IPv4Address | IPv6Address, progress: Progress) -> None:
    options, report = asker.options, asker.report
    async with (
        line(address, options.port, options.source_port) as plain,
        line(address, options.nat_port, marker=True) as natted,
    ):
        progress("is there an answer on port 500?")
        reply = await steps.hello(asker, plain)
        _note(report.ports[options.port], reply)
        if report.ports[options.port].state == "answers":
            progress("and on port 4500?")
            if reply.outcome is Outcome.CHOSEN:
                await steps.repeated(asker, plain, reply)
            over = plain
            _note(report.ports[options.nat_port], await asker.ask(natted, asker.grouped(usual(FIRST_GROUP))))
        else:
            progress("and on port 4500?")
            reply = await steps.hello(asker, natted)
            _note(report.ports[options.nat_port], reply)
            over = natted
        if report.answers and reply.outcome is not Outcome.MALFORMED:
            await _ask_for_all(asker, over, reply, progress)
        progress("is IKEv1 alive?")
        await steps.old_ike(asker, plain)


async def _ask_for_all(asker: Asker, over: Line, first: Reply, progress: Progress) -> None:
    chosen = first.chosen.transforms if first.chosen is not None else ()
    await steps.habits(asker, over, chosen)
    progress("which key exchanges?")
    await steps.groups(asker, over)
    progress("which encryption, PRF and integrity algorithms?")
    await steps.algorithms(asker, over, chosen)
    good = _good(asker)
    progress("what becomes of a false cookie, and of odd messages?")
    await steps.cookie_that_nobody_gave(asker, over, good)
    await steps.odd_messages(asker, over, good)


def _good(asker: Asker) -> Offer:
    """What is known to be accepted; all where nothing is."""
    report = asker.report
    if not report.accepted(KE) or not report.accepted(ENCR) or not report.accepted(PRF):
        return asker.everything()
    kinds = {kind: tuple(report.accepted(kind)) for kind in (ENCR, PRF, INTEG, KE)}
    return Offer(kinds[ENCR], kinds[PRF], kinds[INTEG], kinds[KE], FIRST_GROUP, asker.addke)


def _note(port: Port, reply: Reply) -> None:
    match reply.outcome:
        case Outcome.SILENT:
            port.state = "no answer"
        case Outcome.CLOSED:
            port.state = "port unreachable"
        case _:
            port.state, port.words = "answers", reply.words()


def _sum_up(asker: Asker) -> None:
    report = asker.report
    if asker.seconds:
        timing = report.timing
        timing.answers = len(asker.seconds)
        timing.least, timing.most = round(min(asker.seconds), 6), round(max(asker.seconds), 6)
        timing.median = round(statistics.median(asker.seconds), 6)
    hashes = None if report.features.nat_detection is None else report.features.signature_hashes
    ike = [(report.transforms[kind], CANDIDATES[kind]) for kind in ASKED]
    esp = [] if report.esp is None else [(report.esp.transforms[kind], ESP[kind]) for kind in (ENCR, INTEG)]
    for profile in PROFILES.values():
        asked = esp if profile.esp else ike
        accepted = [one for found, _ in asked for one in found.accepted]
        unknown = [one for found, candidates in asked for one in found.unknown(candidates)]
        why = "" if asked else ESP_UNSEEN
        report.grades.append(grade(profile, accepted, hashes, unknown=unknown, why_unknown=why))
