"""What stands in no place of swanctl.conf where it could count: refused, or told."""

from __future__ import annotations

import pytest

from ikepy.errors import ConfigError

from .test_swanctl import read, text


def refusals(written: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(written)
    return str(caught.value)


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("conections { old { } }", 'conections: unknown section (did you mean "connections"?)'),
        ("secret { ike-b { secret = x } }", 'secret: unknown section (did you mean "secrets"?)'),
        ("dpd_delay = 30", "dpd_delay: stands in no section; remove it"),
        ("connections { dpd_delay = 30 }", "connections.dpd_delay: is in no section of connections, NAME"),
        ("secrets { secret = x }", "secrets.secret: is in no section of secrets, NAME"),
        ("pools { addrs = 10.3.0.0/24 }", "pools.addrs: is in no section of pools"),
        ("authorities { cacert = a }", "authorities.cacert: is in no section of authorities"),
        ("secrets { ike-b { more { } } }", "secrets.ike-b: unknown key; allowed: ids, secret"),
    ],
)
def test_what_stands_in_no_section(rest: str, told: str) -> None:
    line = text(rest=rest).splitlines().index(rest) + 1
    assert f"s.conf:{line}: {told}" in refusals(text(rest=rest))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            text("children { mode = transport }"),
            "site.children.mode: is in no section of children, NAME { … }",
        ),
        (text("remote = 192.0.2.2"), "site.remote: must be a section, remote { … }"),
        (text("vti = vti7"), "site.vti: must be a section, vti { … }"),
        (text("children = net"), "site.children: must be a section"),
        (text(remote="cert1 { file = a.pem\n more { } }"), "site.remote.cert1.more: unknown section"),
        ("charon { port = 5000 }\n", "s.conf:1: charon: unknown section, and there is none that ikepy knows"),
    ],
)
def test_what_stands_in_no_place_of_its_own_is_refused(written: str, told: str) -> None:
    assert told in refusals(written)


def test_a_section_that_nothing_means_is_told() -> None:
    (remark,) = read(text(rest="charon { port = 5000 }")).remarks
    assert remark[0] == "charon" and "from which none inherits: it is left out" in remark[1]
    inherited = text(rest="defaults { dpd_delay = 30 }").replace("site {", "site : defaults {", 1)
    reading = read(inherited)
    assert not reading.remarks and reading.config.connections["site"].dpd_delay == 30


def test_what_sections_inherit_may_be_anywhere() -> None:
    """As strongSwan takes it: of a template for children that `children` itself inherits, too."""
    inherited = text(
        rest="defaults { net { dpd_action = none }\n mode = tunnel\n esp_proposals = aes128gcm16 }"
    )
    reading = read(inherited.replace("children {", "children : defaults {", 1))
    assert not reading.remarks
