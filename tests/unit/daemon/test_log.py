"""One record, one line, and no peer's bytes drive a terminal."""

import io
import json
import logging
import time
from collections.abc import Iterator

import pytest

from ikepy.daemon import log
from ikepy.daemon.log import SUBSYSTEMS
from ikepy.daemon.log_format import one_line


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    log.set_up("info", stream)
    yield stream
    log.close()
    for logger in (log.LOGGER, logging.getLogger("asyncio")):
        logger.handlers.clear()
        logger.propagate = True


def written(lines: io.StringIO) -> str:
    log.drain()
    return lines.getvalue()


def test_a_line_has_time_level_subject_and_text(lines: io.StringIO) -> None:
    log.warning("site-b #3", "no answer")
    line = written(lines)
    assert line.endswith(" WARNING site-b #3: no answer\n")
    assert line[:4].isdigit()


def test_below_the_level_nothing_is_written(lines: io.StringIO) -> None:
    log.debug("x", "y")
    assert written(lines) == ""


def test_control_characters_are_escaped(lines: io.StringIO) -> None:
    log.info("peer", "id \x1b[31m\x00evil\nERROR forged: line\x9b")
    assert written(lines).count("\n") == 1
    assert written(lines).endswith("peer: id \\x1b[31m\\x00evil | ERROR forged: line\\x9b\n")


def test_characters_that_reorder_or_hide_are_escaped(lines: io.StringIO) -> None:
    log.info("peer", "id \u202eevil\u2066\u200b\ufeff\U000e0041 bücher 例")
    assert written(lines).endswith("peer: id \\u202eevil\\u2066\\u200b\\ufeff\\U000e0041 bücher 例\n")


def test_half_a_character_is_escaped() -> None:
    """Not by the log itself: what it captures of a record, pytest could not hand to another process."""
    assert one_line("id \ud800") == "id \\ud800"


def test_a_percent_sign_is_no_format(lines: io.StringIO) -> None:
    log.info("peer", "%s %d")
    assert written(lines).endswith("peer: %s %d\n")


def test_a_traceback_stays_on_the_line(lines: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        log.log(40, "fault", "tick", traceback=error)
    assert written(lines).count("\n") == 1
    assert "ValueError: broken" in written(lines)


def test_an_object_in_json(lines: io.StringIO) -> None:
    log.set_style("json")
    log.warning("site-b #3", "no answer \x1b[31m\n", "ike", {"connection": "site-b", "ike_id": 3})
    (line,) = written(lines).splitlines()
    found = json.loads(line)
    moment = time.strptime(found.pop("time")[:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(moment) - time.mktime(time.gmtime())) < 60
    assert found == {
        "level": "warning",
        "subsystem": "ike",
        "subject": "site-b #3",
        "connection": "site-b",
        "ike_id": 3,
        "text": "no answer \x1b[31m\n",
    }
    assert "\x1b" not in line


def test_a_fault_in_json(lines: io.StringIO) -> None:
    log.set_style("json")
    try:
        raise ValueError("broken")
    except ValueError as error:
        log.log(40, "fault", "tick", traceback=error)
    logging.getLogger("asyncio").error("a loop's own words")
    first, second = map(json.loads, written(lines).splitlines())
    assert "ValueError: broken" in first["fault"] and first["subsystem"] == "daemon"
    assert (second["subject"], second["text"]) == ("asyncio", "a loop's own words")


def test_levels_of_subsystems(lines: io.StringIO) -> None:
    log.set_levels("warning", {"ike": "debug", "audit": "info"})
    assert log.levels() == dict.fromkeys(SUBSYSTEMS, "warning") | {"ike": "debug", "audit": "info"}
    log.debug("x", "a detail", "ike")
    log.info("x", "nobody asks for it", "net")
    log.info("audit", "who and why", "audit")
    assert [line.rpartition(": ")[2] for line in written(lines).splitlines()] == ["a detail", "who and why"]
    log.set_levels("info")
    assert set(log.levels().values()) == {"info"}
    assert not log.writes(logging.DEBUG, "ike") and log.writes(logging.INFO, "net")
