"""The report in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from ikepy.probe.discovery.algorithms import ADDKE, ASKED, KE, TITLES, name
from ikepy.probe.discovery.grading import Finding, Grade
from ikepy.probe.discovery.odd_messages import Verdict
from ikepy.probe.discovery.report import Esp, Odd, Report, title

_HEAD, _GOOD, _POOR, _BAD, _QUIET = "bold", "green", "yellow", "bold red", "dim"
_LETTERS = {"A": _GOOD, "B": _GOOD, "C": _POOR, "F": _BAD, "-": _QUIET}
_VERDICTS = {
    Verdict.RIGHT.value: _GOOD,
    Verdict.ALLOWED.value: _QUIET,
    Verdict.WRONG.value: _BAD,
    Verdict.UNCLEAR.value: _POOR,
}
_WIDTH = 30  # columns of what stands on the left


def lines(report: Report) -> Iterator[Text]:
    """The lines, with styles."""
    where = report.host if report.host == report.address else f"{report.host} ({report.address})"
    yield Text(f"{where}, {report.started}: {report.requests} requests in {report.seconds:.1f} s", _HEAD)
    for port in report.ports.values():
        style = _GOOD if port.state == "answers" else _QUIET
        yield _line(f"UDP {port.number}", f"{port.state}{': ' if port.words else ''}{port.words}", style)
    if report.answers:
        yield from _of_ikev2(report)
    yield from _heading("IKEv1")
    yield from _of_ikev1(report)
    if report.answers:
        yield from _heading("grades")
        for grade in report.grades:
            yield from _grade(grade)
    if report.remarks:
        yield from _heading("remarks")
        yield from (Text(f"  {one}", _POOR) for one in report.remarks)


def _of_ikev2(report: Report) -> Iterator[Text]:
    if report.suite:
        yield _line("chosen at first", "/".join(report.suite))
    yield from _heading("accepted")
    for kind in ASKED:
        found = report.transforms[kind]
        yield _line(TITLES[kind], ", ".join(map(name, found.accepted)) or "none")
        if found.unclear:
            yield _line("", f"unclear: {', '.join(map(name, found.unclear))}", _POOR)
    if report.esp is not None:
        yield from _heading("accepted for ESP")
        for label, words in esp_words(report.esp):
            yield _line(label, words)
    yield from _heading("announced")
    for label, words in feature_words(report):
        yield _line(label, words)
    for vendor in report.vendors:
        yield _line("vendor ID", f"{vendor.name or 'unknown'} [{vendor.hex}]")
    yield from _heading("habits")
    for label, words in habit_words(report):
        yield _line(label, words)
    if report.odd:
        yield from _heading("answers to odd messages")
        for odd in report.odd:
            style = _VERDICTS.get(odd.verdict, "")
            yield _line(odd.name, f"{odd.answer} ({_judged(odd)})", style, width=44)


def _judged(odd: Odd) -> str:
    """ "as RFC 7296 2.5 has it", or "allowed, RFC 7296 2.21"."""
    if "RFC 7296" in odd.verdict:
        return odd.verdict.replace("RFC 7296", odd.section)
    return f"{odd.verdict}, {odd.section}"


def _of_ikev1(report: Report) -> Iterator[Text]:
    old = report.ikev1
    yield _line("main mode", old.main, _POOR if old.main_accepted else "")
    if old.repeats_after:
        yield _line("repeats its answer after", ", ".join(f"{one:g} s" for one in old.repeats_after))
    if old.alive:
        yield _line("aggressive mode", old.aggressive, _BAD if old.aggressive_accepted else "")


def _grade(grade: Grade) -> Iterator[Text]:
    words = f"{grade.letter}{'  ' if grade.words else ''}{grade.words}"
    yield _line(grade.title, words, _LETTERS[grade.letter], 50)
    by_level: dict[str, list[str]] = {}
    for finding in grade.findings:
        by_level.setdefault(finding_words(finding), []).append(finding.name)
    for level, names in by_level.items():
        yield Text(f"    {level}: {', '.join(names)}")


def finding_words(finding: Finding) -> str:
    """Why a finding is one."""
    return f"{finding.level}, and {'accepted' if finding.accepted else 'not accepted'}"


def feature_words(report: Report) -> Iterator[tuple[str, str]]:
    """What is announced, and in which words that is said."""
    features = report.features
    if features.redirect:
        yield "redirect (RFC 5685)", f"to {features.redirect}, which was not followed"
    if features.nat_detection is None:
        yield "features", "not seen: no offer was accepted"
        return
    if features.nat_detection:
        places = [
            *(["before us"] if features.nat_before_us else []),
            *(["before the host"] if features.nat_before_peer else []),
        ]
        yield "NAT detection", f"yes; {'a NAT ' + ' and '.join(places) if places else 'no NAT'}"
    else:
        yield "NAT detection", "no"
    yield "fragmentation (RFC 7383)", _yes(features.fragmentation)
    yield "signature hashes (RFC 7427)", ", ".join(features.signature_hashes) or "none"
    if features.auth_methods:
        yield "authentication (RFC 9593)", ", ".join(features.auth_methods)
    yield "childless (RFC 6023)", _yes(features.childless)
    needed = "for additional key exchanges" if report.accepted(ADDKE) else "no"
    yield "IKE_INTERMEDIATE (RFC 9242)", "yes" if features.intermediate else needed
    ppk = _yes(features.ppk) + (
        ", also in IKE_INTERMEDIATE (RFC 9867)" if features.ppk_in_intermediate else ""
    )
    yield "PPK (RFC 8784)", ppk
    yield "several authentications", _yes(features.multiple_auth)
    yield "certificates by URL", _yes(features.hash_and_url)
    yield "CAs asked for", str(features.certificate_requests)
    if features.other_notifies:
        yield "other notifies", ", ".join(features.other_notifies)
    if not features.redirect:
        yield "redirect (RFC 5685)", "no"


def esp_words(esp: Esp) -> Iterator[tuple[str, str]]:
    """What is accepted for ESP, and what IKE_AUTH announced."""
    for kind, found in esp.transforms.items():
        label = "PFS" if kind == KE else title(kind)
        words = ", ".join(map(name, found.accepted)) or "none"
        yield label, f"{esp.pfs}: {words}" if kind == KE else words
        if found.unclear:
            yield "", f"unclear: {', '.join(map(name, found.unclear))}"
    yield "MOBIKE (RFC 4555)", _yes(esp.mobike)


def habit_words(report: Report) -> Iterator[tuple[str, str]]:
    """Cookies and times."""
    cookies, timing = report.cookies, report.timing
    if cookies.at_first:
        yield "cookies", "asked for from the first request on"
    else:
        yield "cookies", f"asked for {cookies.asked_for} times" if cookies.asked_for else "never asked for"
    if cookies.false_cookie:
        yield "a false cookie", cookies.false_cookie
    if timing.answers:
        times = " / ".join(f"{1000 * one:.1f}" for one in (timing.least, timing.median, timing.most))
        yield "answers after (ms)", f"{times} (least, median, most of {timing.answers})"
    if timing.repeated:
        yield "to a repeated request", timing.repeated


def _yes(value: bool | None) -> str:
    return "yes" if value else "no"


def _heading(text: str) -> Iterator[Text]:
    yield Text("")
    yield Text(text, _HEAD)


def _line(label: str, words: str, style: str = "", width: int = _WIDTH) -> Text:
    line = Text(f"  {label:<{width}}  ")
    line.append(words, style)
    return line
