"""`python -m tests.captures [DIRECTORY]`: decodes each of Wireshark's IKE and ESP captures, and compares.

DIRECTORY: the unpacked source of wireshark; without it, it is fetched. Status 1 if anything differs from what
tshark reads with the same keys: the data of AUTH payloads, and the pings inside ESP.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from ikepy.dissect import key_sources
from ikepy.dissect.decode import decode
from ikepy.dissect.keys import Keys
from ikepy.dissect.message import Kind, Message
from tests.captures.source import fetched
from tests.netns import tshark

FIELDS = ("isakmp.auth.data", "icmp.seq")
PATTERNS = ("ike*.pcap*", "esp*.pcap*")


def main(words: list[str]) -> int:
    with tempfile.TemporaryDirectory() as place:
        source = Path(words[0]) if words else fetched(Path(place))
        keys = tables(source, Path(place) / "keys")
        captures = sorted(one for pattern in PATTERNS for one in (source / "test/captures").glob(pattern))
        if not captures:
            print(f"{source}: no captures", file=sys.stderr)
            return 1
        differing = [one.name for one in captures if not agrees(one, keys)]
    print(f"{len(captures)} captures, {len(differing)} differ from what tshark reads")
    return 1 if differing else 0


def tables(source: Path, keys: Path) -> Path:
    """The keys of these captures, as they stand beside them."""
    keys.mkdir(exist_ok=True)
    for name in ("ikev2_decryption_table", "esp_sa"):
        (keys / name).write_bytes((source / "test/config" / f"{name}.tmpl").read_bytes())
    return keys


def agrees(capture: Path, tables: Path) -> bool:
    """Compare, and print a line."""
    keys = Keys()
    key_sources.take(tables, keys)
    data = capture.read_bytes()
    stream = BytesIO(gzip.decompress(data) if capture.suffix == ".gz" else data)
    messages = [one for one in decode(stream, keys).ladder if one.summary[:5] != "IKEv1"]
    packets = tshark.fields(capture, tables, *FIELDS)
    theirs = (
        [one["isakmp.auth.data"] for one in packets if one["isakmp.auth.data"] and messages],
        [one["icmp.seq"] for one in packets if one["icmp.seq"]],
    )
    ours = (
        [proof for one in messages if (proof := octets(one, "Authentication data"))],
        [sequence for one in messages if (sequence := words(one, "Sequence number", "Inner packet"))],
    )
    closed = [one.summary for one in messages if one.kind is Kind.IKE and "[ SK ]" in one.summary]
    problems = [text for one in messages for text in one.problems]
    same = ours == theirs and not closed and not problems
    print(f"{capture.name}: {len(messages)} messages, {len(ours[0])} AUTH, {len(ours[1])} pings", end="")
    print("" if same else f": DIFFERS: ours {ours}, tshark's {theirs}, closed {closed}, problems {problems}")
    return same


def octets(message: Message, name: str) -> str:
    for layer in message.layers:
        if (node := layer.node.find(name)) is not None:
            return layer.octets[node.start : node.end].hex()
    return ""


def words(message: Message, name: str, layer: str) -> str:
    for one in message.layers:
        if one.name == layer and (node := one.node.find(name)) is not None:
            return node.value
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
