"""ikepy.daemon.log_writer: a log that nobody reads holds nobody up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time

from ikepy.daemon.log_writer import LogWriter

FLOOD = """
import sys, time
from ikepy.daemon import log
log.set_up("info")
begin = time.monotonic()
for number in range(100_000):
    log.info("peer", f"line {number} " + "x" * 50)
print(f"{time.monotonic() - begin:.3f} {log.lost()}", flush=True)
if sys.stdin.readline():
    log.drain(60)
log.info("peer", "after it")
log.drain(5)
begin = time.monotonic()
log.close()
"""


def test_a_reader_that_stops_blocks_nobody_and_hears_what_was_lost() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FLOOD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin and process.stdout and process.stderr
        seconds, lost = process.stdout.readline().split()
        assert int(lost) > 50_000, "the pipe and the queue hold far less"
        assert float(seconds) < 60
        process.stdin.write(b"\n")
        process.stdin.close()
        lines = process.stderr.read().decode().splitlines()
    told = [re.search(r" WARNING log: ([\d,]+) lines were lost: nobody read the log", one) for one in lines]
    counts = [int(one[1].replace(",", "")) for one in told if one]
    assert sum(counts) == int(lost)
    assert any(one.endswith("peer: after it") for one in lines[-2:])
    assert len(lines) - len(counts) + int(lost) == 100_001


def test_the_process_ends_though_nobody_reads() -> None:
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", FLOOD], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writing
        )
        assert process.wait(60) == 0
    finally:
        os.close(reading)
        os.close(writing)


def test_a_closed_stream_is_survived() -> None:
    def broken(text: str) -> None:
        raise BrokenPipeError

    writer = LogWriter(broken, str)
    writer.put("one\n")
    assert writer.drain(5)
    assert writer.lost == 1
    writer.put("two\n")
    writer.close(5)
    assert writer.lost == 2


def test_what_waits_is_bounded_and_in_order() -> None:
    go, written = threading.Event(), list[str]()

    def write(text: str) -> None:
        go.wait(10)
        written.append(text)

    writer = LogWriter(write, lambda count: f"{count} lost\n", most=40)
    writer.put("first\n")
    while not writer.drain(0.01) and writer.lost == 0:
        writer.put("0123456789\n")
    go.set()
    assert writer.drain(5)
    text = "".join(written)
    assert text.startswith("first\n0123456789\n")
    assert "1 lost\n" in text
    begin = time.monotonic()
    writer.close(5)
    assert time.monotonic() - begin < 5
