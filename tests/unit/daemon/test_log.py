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
