"""A file's format is told by its content."""

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
