"""The example of the manual, and a small one for tests to change."""

from ikepy.config.model import Config
from ikepy.config.toml_source import parse, read_text
from ikepy.errors import ConfigError

EXAMPLE = """
[connections.site-b]
local_addrs  = ["192.0.2.1"]
remote_addrs = ["192.0.2.2"]                 # "%any": responder for anyone who authenticates
proposals    = ["aes128gcm16-prfsha256-x25519", "aes256-sha384-modp3072"]
encap        = false                          # true: UDP encapsulation even where no NAT is found
[connections.site-b.local]
auth = "psk"
id   = "gwa"
[connections.site-b.remote]
auth = "psk"
id   = "gwb"
[connections.site-b.children.net]
local_ts      = ["0.0.0.0/0", "::/0"]
remote_ts     = ["0.0.0.0/0", "::/0"]
esp_proposals = ["aes128gcm16", "aes256-sha256"]
start_action  = "start"                       # none | trap | start
[connections.site-b.vti]                      # ours: the device that stands in for the VTI
name      = "vti0"
addresses = ["169.254.10.1/30"]
peers     = ["169.254.10.2"]                  # the other end, for point-to-point addressing
routes    = ["10.2.0.0/24"]                   # absent: the negotiated remote selectors, unless they are 0/0
mtu       = 1400                              # absent: from the uplink's MTU and the suite's real overhead
mss_clamp = true
[secrets.ike-site-b]
ids    = ["gwa", "gwb"]
secret = "s3cr3t"                             # or secret_file, or secret_env; 0x… and 0s… as in swanctl
"""

SECRET = """
[secrets.ike-a]
secret = "s3cr3t"
"""


def minimal(
    connection: str = "",
    child: str = "",
    *,
    name: str = "a",
    local: str = "",
    remote: str = "",
    vti: str = "",
    rest: str = SECRET,
) -> str:
    """One connection with the child "net", with further lines for each section, and what stands behind."""
    return f"""
[connections.{name}]
{connection}
[connections.{name}.local]
{local}
[connections.{name}.remote]
{remote}
[connections.{name}.children.net]
{child}
[connections.{name}.vti]
{vti}
{rest}
"""


def problems(text: str) -> dict[str, str]:
    """The mistakes in a configuration: key path -> text. Empty if there is none."""
    try:
        parse(text)
    except ConfigError as error:
        found = dict(error.problems)
        assert len(found) == len(error.problems), "two mistakes under one key"
        return found
    return {}


def good(text: str) -> Config:
    """The configuration, which must be right."""
    return parse(text)


def remarks(text: str) -> dict[str, str]:
    """What is warned of in a configuration, which must be right: key path -> text."""
    found = read_text(text).remarks
    assert len(dict(found)) == len(found), "two remarks under one key"
    return dict(found)
