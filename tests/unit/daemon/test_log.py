"""One record, one line, and no peer's bytes drive a terminal."""

import io
import logging
from collections.abc import Iterator

import pytest

from ikepy.daemon import log


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    log.set_up("info", stream)
    yield stream
    for logger in (log.LOGGER, logging.getLogger("asyncio")):
        logger.handlers.clear()
        logger.propagate = True


def test_a_line_has_time_level_subject_and_text(lines: io.StringIO) -> None:
    log.warning("site-b #3", "no answer")
    line = lines.getvalue()
    assert line.endswith(" WARNING site-b #3: no answer\n")
    assert line[:4].isdigit()


def test_below_the_level_nothing_is_written(lines: io.StringIO) -> None:
    log.debug("x", "y")
    assert lines.getvalue() == ""


def test_control_characters_are_escaped(lines: io.StringIO) -> None:
    log.info("peer", "id \x1b[31m\x00evil\nERROR forged: line\x9b")
    assert lines.getvalue().count("\n") == 1
    assert lines.getvalue().endswith("peer: id \\x1b[31m\\x00evil | ERROR forged: line\\x9b\n")


def test_a_percent_sign_is_no_format(lines: io.StringIO) -> None:
    log.info("peer", "%s %d")
    assert lines.getvalue().endswith("peer: %s %d\n")


def test_a_traceback_stays_on_the_line(lines: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        log.log(40, "fault", "tick", traceback=error)
    assert lines.getvalue().count("\n") == 1
    assert "ValueError: broken" in lines.getvalue()
