"""A file's format is told by its content."""

import subprocess
import sys
from pathlib import Path

import pytest

from ikepy.config.sources.recognise import IPSEC, SWANCTL, TOML, format_of
from tests.unit.config.example import EXAMPLE
from tests.unit.config.sources.test_swanctl import text


@pytest.mark.parametrize(
    ("content", "name", "found"),
    [
        (EXAMPLE, "", TOML),
        ("", "", TOML),
        ("# only\n", "", TOML),
        ("x = 1", "", TOML),
        ('"a b".c = 1', "", TOML),
        ("[a]\nb { c }", "", TOML),
        ("neither this nor that", "", TOML),
        (text(), "", SWANCTL),
        ("# a\n\nconnections{", "", SWANCTL),
        ("defaults\n{", "", SWANCTL),
        ("a : b, c.d {", "", SWANCTL),
        ("include conf.d/*.conf\nconnections {", "", SWANCTL),
        ("include conf.d/*.conf", "swanctl.conf", SWANCTL),
        ("include /etc/ipsec.d/*.conf", "ipsec.conf", IPSEC),
        ("config setup\n\tuniqueids=no", "", IPSEC),
        ("version 2\nconn a", "", IPSEC),
        ("conn %default", "", IPSEC),
        ("include x\nconn a # b", "", IPSEC),
        ("conn {", "", SWANCTL),
    ],
)
def test_format(content: str, name: str, found: str) -> None:
    assert format_of(content, name) == found


def test_toml_is_read_without_the_parser_generator(tmp_path: Path) -> None:
    path = tmp_path / "ikepy.toml"
    path.write_text(EXAMPLE)
    code = (
        "import sys\nfrom pathlib import Path\nfrom ikepy.config.sources.recognise import read\n"
        f"assert read(Path({str(path)!r})).format == 'TOML'\n"
        "sys.exit('lark' in sys.modules or 'tomli_w' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
