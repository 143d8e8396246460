"""A run as text: a line for each case, more where it did not pass, and the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.text import Text

from ikepy.probe.report.record import Record
from ikepy.probe.verdict import Verdict
from ikepy.wire.constants import NotifyType

STYLES = {
    Verdict.PASS.value: "green",
    Verdict.FAIL.value: "bold red",
    Verdict.NOT_APPLICABLE.value: "dim",
    Verdict.INCONCLUSIVE.value: "yellow",
}


def line(record: Record) -> Text:
    """One case."""
    text = Text()
    text.append(f"{record.verdict:<15}", STYLES[record.verdict])
    text.append(f"{record.id:<20} ", "bold")
    text.append(record.title)
    return text


def details(record: Record) -> Iterator[Text]:
    """Why a case did not pass, and its messages; nothing where it passed."""
    if record.verdict == Verdict.PASS.value:
        return
    yield Text(f"    {record.rfc}, {record.level}: {record.reason}")
    if record.failed:
        for row in record.ladder.splitlines():
            yield Text(f"    {row}", "dim")


def counts(records: Iterable[Record]) -> dict[str, int]:
    """How many cases came to each verdict."""
    found = Counter(one.verdict for one in records)
    return {verdict.value: found[verdict.value] for verdict in Verdict}


def summary(records: list[Record]) -> str:
    """ "120 pass, 1 fail, 3 not applicable, 0 inconclusive in 25 s"."""
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts(records).items())
    return f"{told} in {sum(one.seconds for one in records):.0f} s"


def hint(records: list[Record]) -> str:
    """What is to be done where the run says more of our credentials than of the peer, else nothing."""
    failed = [one for one in records if one.failed]
    refused = sum(NotifyType.AUTHENTICATION_FAILED.name in one.reason for one in failed)
    if refused == 0 or 4 * refused < len(failed):
        return ""
    return (
        f"AUTHENTICATION_FAILED came in {refused} of {len(failed)} cases that failed: has the peer the "
        "preshared key of --psk-file, and the identities of --local-id and --remote-id? --print-config "
        "prints what it needs. Many gateways do not hear an address for a while that has failed."
    )
