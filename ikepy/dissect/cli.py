"""`ikepy decode`: any capture of IKE and ESP, with keys."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

import click

from ikepy import option_types
from ikepy.control.options import examples
from ikepy.control.terminal import console, print_lines
from ikepy.dissect import key_sources
from ikepy.dissect.capture import CaptureError
from ikepy.dissect.decode import Decoded, decode
from ikepy.dissect.keys import Keys
from ikepy.dissect.message import Kind
from ikepy.dissect.render import as_html, as_json, as_mermaid, as_svg, as_text
from ikepy.dissect.render.as_text import Detail
from ikepy.errors import ConfigError
from ikepy.pki import files

DETAILS = {one.name.lower(): one for one in Detail}
FORMS = ("text", "json", "html", "svg", "mermaid")
_GZIP = b"\x1f\x8b"


@click.command(
    "decode",
    epilog=examples(
        "ikepy decode capture.pcapng                                 what can be seen without keys",
        "ikepy decode capture.pcap --keys /root/keys                 with those of keylog_dir",
        "ikepy decode capture.pcap --keys ikev2_decryption_table --esp-keys esp_sa",
        "ikepy decode capture.pcap --keys /root/keys --psk-file psk  is AUTH right?",
        "ikepy decode capture.pcap --detail arrows --no-esp          the ladder alone",
        "ikepy decode capture.pcap --format html -o ladder.html",
        "tcpdump -i any -w - 'udp port 500 or udp port 4500 or esp' -c 20 | ikepy decode -",
    ),
)
@click.argument("file", type=option_types.PATH_OR_DASH)
@click.option(
    "-k",
    "--keys",
    "sources",
    type=option_types.PATH,
    multiple=True,
    metavar="FILE",
    help="Wireshark's ikev2_decryption_table or esp_sa, our own ikepy_keys, or a directory with them, as "
    "keylog_dir has it. May be given again.",
)
@click.option(
    "--esp-keys",
    "esp_sources",
    type=option_types.PATH,
    multiple=True,
    metavar="FILE",
    help="Wireshark's esp_sa. May be given again.",
)
@click.option(
    "--psk-file",
    "psk_files",
    type=option_types.PATH,
    multiple=True,
    metavar="FILE",
    help="A preshared key, to verify AUTH with. May be given again.",
)
@click.option(
    "--detail",
    type=click.Choice(list(DETAILS)),
    default="fields",
    show_default=True,
    help="How much is shown of each message; notes say why a field is there.",
)
@click.option("--no-esp", is_flag=True, help="Show IKE alone.")
@click.option("--derive", is_flag=True, help="Show how the keys came about, SKEYSEED to KEYMAT: secrets.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="text",
    show_default=True,
    help="html is a page for itself, svg a picture, mermaid a diagram's text.",
)
@click.option("-j", "--json", "as_json_too", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", type=option_types.PATH, metavar="OUT", help="Write it to a file.")
def decode_command(
    file: Path,
    sources: Sequence[Path],
    esp_sources: Sequence[Path],
    psk_files: Sequence[Path],
    detail: str,
    no_esp: bool,
    derive: bool,
    form: str,
    as_json_too: bool,
    output: Path | None,
) -> None:
    """Print what a capture has of IKE and ESP: the ladder, and every field in words.

    FILE is pcap or pcapng, perhaps gzipped; "-" is standard input. With keys, what is encrypted is shown,
    too: fragments are put together, repetitions grouped, and AUTH is verified where the preshared key is
    given. Keys that a capture has in a comment, as our own have, are found there.
    """
    try:
        keys = _keys(sources, esp_sources)
        psks = [one for path in psk_files for one in key_sources.psks(path)]
    except ConfigError as error:
        _fail(str(error))
    kinds = [one for one in Kind if not (no_esp and one in (Kind.ESP, Kind.KEEPALIVE))]
    decoded = _decoded(file, keys, psks, kinds)
    for link, number in sorted(decoded.unread.items()):
        packets = "1 packet is" if number == 1 else f"{number} packets are"
        _say(
            f"{file}: {packets} not read, of link type {link}; capture at an interface of Ethernet, or -i any"
        )
    if not len(decoded.ladder):
        elsewhere = " of what is read" if decoded.unread else ""
        _say(f"{file}: no IKE and no ESP is in it{elsewhere}")
    if decoded.cut:
        _say(f"{file}: is cut short, or damaged: shown is what comes before")
    if decoded.left_out:
        _say(f"{file}: {decoded.left_out} more datagrams are not shown")
    _show(decoded, "json" if as_json_too else form, DETAILS[detail], file.name, derive, output)


def _keys(sources: Sequence[Path], esp_sources: Sequence[Path]) -> Keys:
    keys = Keys()
    for path in sources:
        key_sources.take(path, keys)
    for path in esp_sources:
        key_sources.take_esp(path, keys)
    return keys


def _decoded(file: Path, keys: Keys, psks: Sequence[bytes], kinds: Sequence[Kind]) -> Decoded:
    with ExitStack() as stack:
        try:
            return decode(_stream(stack, file), keys, psks, kinds)
        except CaptureError as error:
            _fail(f"{file}: {error}; a file of tcpdump or Wireshark is expected")
        except (OSError, EOFError, zlib.error) as error:
            _fail(f"{file}: {error.strerror if isinstance(error, OSError) and error.strerror else error}")


def _stream(stack: ExitStack, file: Path) -> BinaryIO:
    """What the file has, unpacked. A pipe is read once: nothing is sought in it."""
    stream = sys.stdin.buffer if str(file) == "-" else stack.enter_context(file.open("rb"))
    peeked = stream.peek(len(_GZIP)) if isinstance(stream, BufferedReader) else b""
    if peeked[: len(_GZIP)] == _GZIP:
        return cast(BinaryIO, stack.enter_context(gzip.open(stream)))
    return stream


def _show(decoded: Decoded, form: str, detail: Detail, name: str, derive: bool, output: Path | None) -> None:
    steps = decoded.steps if derive else ()
    if form == "text" and output is None:
        print_lines(as_text.lines(decoded.ladder, detail), console())
        print_lines(as_text.step_lines(steps), console())
        return
    match form:
        case "json":
            value = as_json.ladder_value(decoded.ladder)
            value |= {"derivation": [as_json.step_value(one) for one in steps]} if derive else {}
            text = json.dumps(value, indent=2) + "\n"
        case "html":
            text = as_html.render(decoded.ladder, name, steps)
        case "svg":
            text = as_svg.render(decoded.ladder)
        case "mermaid":
            text = as_mermaid.render(decoded.ladder)
        case _:
            text = as_text.render(decoded.ladder, detail)
            text += "".join(f"{line.plain}\n" for line in as_text.step_lines(steps))
    octets = text.encode("utf-8", "replace")  # whatever the locale says; names of files may be no UTF-8
    if output is None:
        click.echo(octets, nl=False)
        return
    try:
        if steps:  # keys are for who has asked for them, and in no file that others have open
            path = output.resolve() if output.is_file() else output
            files.write(path, octets, private=True, overwrite=True)
        else:
            output.write_bytes(octets)
    except OSError as error:
        _fail(f"{output}: {error.strerror}")
    except ValueError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    _say(text)
    sys.exit(1)


def _say(text: str) -> None:
    """On standard error, without what a terminal would act on: files of strangers have their names."""
    for line in text.split("\n"):
        click.echo(f"ikepy: {''.join(c if c.isprintable() else '?' for c in line)}", err=True)
