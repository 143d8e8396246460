"""A run as JUnit XML, as CI systems read it: a test suite a group, a test case a case."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from ikepy.probe.report.record import Record
from ikepy.probe.verdict import Verdict

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(records: Iterable[Record], host: str) -> str:
    """The XML document. Not applicable is skipped, inconclusive an error."""
    root = ET.Element("testsuites", name=f"ikepy probe conformance {host}")
    groups: dict[str, list[Record]] = {}
    for one in records:
        groups.setdefault(one.group, []).append(one)
    for group, members in groups.items():
        root.append(_suite(group, members))
    ET.indent(root)
    return f"{_DECLARATION}\n{ET.tostring(root, encoding='unicode')}\n"  # whatever the locale's encoding is


def _suite(group: str, records: list[Record]) -> ET.Element:
    def count(verdict: Verdict) -> str:
        return str(sum(one.verdict == verdict.value for one in records))

    suite = ET.Element("testsuite", name=group, tests=str(len(records)), failures=count(Verdict.FAIL))
    suite.set("errors", count(Verdict.INCONCLUSIVE))
    suite.set("skipped", count(Verdict.NOT_APPLICABLE))
    suite.set("time", f"{sum(one.seconds for one in records):.3f}")
    for one in records:
        suite.append(_case(one))
    return suite


def _case(record: Record) -> ET.Element:
    found = ET.Element("testcase", classname=record.group, name=f"{record.id} {record.title}")
    found.set("time", f"{record.seconds:.3f}")
    kinds = {
        Verdict.FAIL.value: "failure",
        Verdict.INCONCLUSIVE.value: "error",
        Verdict.NOT_APPLICABLE.value: "skipped",
    }
    if (kind := kinds.get(record.verdict)) is not None:
        told = ET.SubElement(found, kind, message=_text(record.reason))
        told.text = _text(f"{record.rfc} ({record.level})\n{record.ladder}")
    return found


def _text(text: str) -> str:
    return _NOT_XML.sub("?", text)
