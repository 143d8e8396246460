"""What a page can keep: the ladder as a drawing, a diagram's source, a page or text; captures with their
keys."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping

from ikepy.dissect import keytables, pcapng
from ikepy.dissect.datagrams import Datagram
from ikepy.dissect.keys import Keys
from ikepy.dissect.ladder import Ladder
from ikepy.dissect.render import as_html, as_mermaid, as_svg, as_text
from ikepy.web.window import Download, NotThereError

OF_LADDER = (
    {"name": "ladder.svg", "title": "The ladder as a drawing", "text": "SVG, for a page or a slide"},
    {"name": "ladder.mmd", "title": "The ladder for Mermaid", "text": "a sequence diagram, for Markdown"},
    {"name": "ladder.txt", "title": "The ladder as text", "text": "with every field"},
    {"name": "ladder.html", "title": "The ladder as a page", "text": "with every field, without scripts"},
)
WIRESHARK = {
    "name": "wireshark.zip",
    "title": "For Wireshark",
    "text": "the captures, and the keys in its tables",
}
PCAPNG = "application/x-pcapng"
_TEXT = "text/plain; charset=utf-8"
_FORMS: dict[str, tuple[str, Callable[[Ladder], str]]] = {
    "ladder.svg": ("image/svg+xml", as_svg.render),
    "ladder.mmd": (_TEXT, as_mermaid.render),
    "ladder.txt": (_TEXT, lambda ladder: as_text.render(ladder, as_text.Detail.FIELDS)),
    "ladder.html": ("text/html; charset=utf-8", as_html.render),
}
_README = """\
Put ikev2_decryption_table and esp_sa into Wireshark's personal configuration directory (Help, About,
Folders), and switch on ESP's preference "Attempt to detect/decode encrypted ESP payloads". `ikepy decode`
reads each capture as it is: the keys are in its comment, too.
"""


def of_ladder(name: str, ladder: Ladder) -> Download:
    """One of OF_LADDER. Raises NotThereError."""
    if name not in _FORMS:
        raise NotThereError("there is no such file")
    kind, render = _FORMS[name]
    return Download(name, kind, render(ladder).encode())


def capture(name: str, datagrams: Iterable[Datagram], keys: Keys) -> Download:
    """What one end saw, as pcapng with the keys in its comment."""
    stream = io.BytesIO()
    pcapng.write(stream, datagrams, keys)
    return Download(name, PCAPNG, stream.getvalue())


def wireshark(captures: Mapping[str, Iterable[Datagram]], keys: Keys) -> Download:
    """Captures by their names, and Wireshark's tables of keys."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, datagrams in captures.items():
            archive.writestr(name, capture(name, datagrams, keys).octets)
        for name, lines in _tables(keys).items():
            archive.writestr(name, "".join(f"{line}\n" for line in lines))
        archive.writestr("README.txt", _README)
    return Download("wireshark.zip", "application/zip", stream.getvalue())


def _tables(keys: Keys) -> dict[str, list[str]]:
    tables: dict[str, list[str]] = {keytables.IKE_TABLE: [], keytables.ESP_TABLE: []}
    for ike in keys.ike.values():
        for one in reversed(ike):
            _add(tables[keytables.IKE_TABLE], lambda one=one: keytables.ike_line(one))  # type: ignore[misc]
    for esp in keys.esp.values():
        for two in reversed(esp):
            _add(tables[keytables.ESP_TABLE], lambda two=two: keytables.esp_line(two))  # type: ignore[misc]
    return tables


def _add(lines: list[str], line: Callable[[], str]) -> None:
    """Add a line, unless Wireshark has no name for its algorithms."""
    try:
        found = line()
    except keytables.Unwritable:
        return
    if found not in lines:
        lines.append(found)
