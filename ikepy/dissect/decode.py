"""Decodes a capture: packets to datagrams, to messages, to a ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ikepy.dissect.capture import Capture
from ikepy.dissect.datagrams import ESP, Datagrams
from ikepy.dissect.derivation import Step
from ikepy.dissect.key_sources import take_comment
from ikepy.dissect.keys import Keys
from ikepy.dissect.ladder import Ladder
from ikepy.dissect.message import Kind
from ikepy.dissect.session import Session

MAX_MESSAGES = 100_000
MAX_FIELDS = 1_000_000  # of all messages that are shown


@dataclass(frozen=True, slots=True)
class Decoded:
    """`cut`: the capture is not whole. `left_out`: datagrams beyond MAX_MESSAGES and MAX_FIELDS, which are
    only counted. `steps`: of all keys. `unread`: LINKTYPEs that are not read, with the numbers of packets."""

    ladder: Ladder
    cut: bool
    left_out: int
    steps: tuple[Step, ...]
    unread: Mapping[int, int]


def decode(
    stream: BinaryIO, keys: Keys, psks: Sequence[bytes] = (), kinds: Sequence[Kind] = tuple(Kind)
) -> Decoded:
    """The ladder of a capture. Keys in its own comments count, too. CaptureError if it is none."""
    capture = Capture(stream)
    session, ladder, comments = Session(keys, psks), Ladder(), 0
    fields, left_out = 0, 0
    datagrams = Datagrams(capture)
    for datagram in datagrams:
        if left_out:  # no more time for what is not shown
            left_out += 1
            continue
        for comment in capture.comments[comments:]:
            take_comment(comment, keys)
        comments = len(capture.comments)
        feed = session.feed_esp if datagram.protocol == ESP else session.feed
        message = feed(datagram.time_s, datagram.source, datagram.destination, datagram.payload)
        if message is None or message.kind not in kinds:
            continue
        known = ladder.get(message.number)
        more = message.fields - (0 if known is None else known.fields)
        if fields + more <= MAX_FIELDS and (known is not None or len(ladder) < MAX_MESSAGES):
            ladder.add(message)
            fields += more
        else:
            left_out = 1
    steps = [step for sa in session.witness.sas for step in session.witness.steps(*sa)]
    return Decoded(ladder, capture.cut, left_out, tuple(steps), datagrams.unread)
