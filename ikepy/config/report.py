"""Error messages: which key, what is wrong, what is allowed. They never repeat the value given."""

from __future__ import annotations

from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from ikepy.config.credentials import private_keys
from ikepy.config.model import (
    AuthLocal,
    Authority,
    AuthRemote,
    Child,
    Config,
    Connection,
    Daemon,
    Http,
    Pool,
    SecretEntry,
    Vti,
    Vxlan,
)
from ikepy.config.probe import Probe
from ikepy.config.radius import Radius, RadiusServer
from ikepy.config.router_advertisement import RouterAdvertisement
from ikepy.errors import LocalMisuse

Problem = tuple[str, str]  # key path, text
Path = tuple[int | str, ...]

# Keys of swanctl.conf (5.9.8, and until 6.0.2) that ikepy does not have, by kind of section.
_CONNECTION = """
    aggressive pull dscp dpd_timeout
    if_id_in if_id_out mediation mediated_by
    mediation_peer
"""
_LOCAL = "round cert xauth_id"
_REMOTE = "round cert xauth_id groups cacert"
_CHILD = """
    ah_proposals sha256_96 updown hostaccess policies policies_fwd_out ipcomp inactivity reqid priority
    interface mark_in mark_in_sa mark_out set_mark_in set_mark_out if_id_in if_id_out label label_mode
    hw_offload per_cpu_sas copy_df copy_ecn copy_dscp
"""
SWANCTL_ONLY = {
    "connection": frozenset(_CONNECTION.split()),
    "local": frozenset(_LOCAL.split()),
    "remote": frozenset(_REMOTE.split()),
    "child": frozenset(_CHILD.split()),
    "authority": frozenset({"file", "handle", "slot", "module", "cert_uri_base"}),
}
MODELS: dict[str, type[BaseModel]] = {
    "root": Config,
    "authority": Authority,
    "connection": Connection,
    "local": AuthLocal,
    "remote": AuthRemote,
    "child": Child,
    "vti": Vti,
    "probe": Probe,
    "secret": SecretEntry,
    "private_key": private_keys.KeyFile,
    "token": private_keys.TokenKey,
    "pool": Pool,
    "vxlan": Vxlan,
    "daemon": Daemon,
    "http": Http,
    "radius": Radius,
    "radius_server": RadiusServer,
    "router_advertisement": RouterAdvertisement,
}
SECRETS = frozenset({"secret", "private_key", "token", "radius_server"})
# There, `name` is no key of the file; nor is a secret's `kind`.
NO_KEYS = frozenset(
    {("root", "directories"), ("root", "private_keys"), ("root", "tokens")}
)  # what the file's reader adds
NAMED_BY_HEADING = frozenset(
    {"connection", "child", "radius_server", "router_advertisement", "vxlan", "pool"}
)
# Common wrong keys that resemble none of ours: ipsec.conf's and everyday words.
_MEANT_BY_SECRET = {"psk": "secret in [secrets.ike-NAME]", "secret": "secret in [secrets.ike-NAME]"}
MEANT = {
    "connection": {
        "left": "local_addrs",
        "leftid": "id in the section local",
        "leftsubnet": "local_ts of a child",
        "right": "remote_addrs",
        "rightid": "id in the section remote",
        "rightsubnet": "remote_ts of a child",
        "peer": "remote_addrs",
        "peers": "remote_addrs",
        "local_id": "id in the section local",
        "remote_id": "id in the section remote",
        "local_ip": "local_addrs",
        "remote_ip": "remote_addrs",
        "ike": "proposals",
        "esp": "esp_proposals of a child",
        "ikelifetime": "rekey_time",
        "lifetime": "rekey_time",
        "dpd": "dpd_delay",
        "auto": "start_action of a child",
        "local_ts": "local_ts of a child",
        "remote_ts": "remote_ts of a child",
        "esp_proposals": "esp_proposals of a child",
        "start_action": "start_action of a child",
        "psk": "secret in [secrets.ike-NAME]",
        "secret": "secret in [secrets.ike-NAME]",
        "mtu": "mtu in the section vti",
        "routes": "routes in the section vti",
    },
    "local": _MEANT_BY_SECRET,
    "remote": _MEANT_BY_SECRET,
    "child": {
        "leftsubnet": "local_ts",
        "rightsubnet": "remote_ts",
        "esp": "esp_proposals",
        "proposals": "esp_proposals",
        "auto": "start_action",
        "lifetime": "life_time",
        "keylife": "life_time",
        "mtu": "mtu in the section vti",
        "routes": "routes in the section vti",
    },
    "secret": {"psk": "secret", "key": "secret", "password": "secret"},
}
SUFFIXED = {"local": "several rounds of authentication", "remote": "several rounds of authentication"}
NOT_YET = "known to swanctl, not supported by ikepy yet: leave it out"


def key_path(path: Path) -> str:
    """("connections", "a", "proposals", 0) -> "connections.a.proposals[0]"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def section_kind(path: Path) -> str:
    """Which kind of section a path leads to: a key of `MODELS`."""
    match path:
        case ():
            return "root"
        case ("connections", _):
            return "connection"
        case ("connections", _, "local" | "local2"):
            return "local"
        case ("connections", _, "remote" | "remote2"):
            return "remote"
        case ("connections", _, "children", _):
            return "child"
        case ("connections", _, "vti"):
            return "vti"
        case ("connections", _, "probe"):
            return "probe"
        case ("secrets", name):
            if str(name).startswith(private_keys.TOKEN):
                return "token"
            return "private_key" if private_keys.kind_of(str(name)) is not None else "secret"
        case ("router_advertisements", _):
            return "router_advertisement"
        case ("radius",):
            return "radius"
        case ("radius", "servers", _):
            return "radius_server"
        case ("pools", _):
            return "pool"
        case ("vxlan", _):
            return "vxlan"
        case ("authorities", _):
            return "authority"
        case ("daemon",):
            return "daemon"
        case ("daemon", "http"):
            return "http"
    raise LocalMisuse(f"{key_path(path)} is no section")


def unknown_key(path: Path) -> str:
    """The message for a key that its section does not have."""
    section, key = path[:-1], str(path[-1])
    kind = section_kind(section)
    allowed = known_keys(kind)
    if key in SWANCTL_ONLY.get(kind, ()):
        return NOT_YET
    meant = MEANT.get(kind, {}).get(key.lower().replace("-", "_"))
    close = get_close_matches(key, allowed, 1)
    mistyped = get_close_matches(key, [one for one in allowed if one not in SUFFIXED], 1, cutoff=0.8)
    if kind == "connection" and meant is None and not mistyped:
        for prefix, what in SUFFIXED.items():
            if key.startswith(prefix) and key.removeprefix(prefix)[:1] in "-_0123456789":
                place = f"[{key_path(section)}.{prefix}]"
                return f"unknown key; {what}: there are {place} and {place[:-1]}2]"
    if kind == "secret" and key.startswith("id"):
        return 'unknown key (did you mean "ids"?); all identities stand in one list, ids = ["…", "…"]'
    hint = (
        f" (did you mean {_quoted(meant)}?)" if meant else f' (did you mean "{close[0]}"?)' if close else ""
    )
    return f"unknown key{hint}; allowed: {', '.join(allowed)}"


def _quoted(meant: str) -> str:
    key, space, where = meant.partition(" ")
    return f'"{key}"{space}{where}'


def known_keys(kind: str) -> list[str]:
    """The keys that a section of this kind may have in a configuration file."""
    keys = [field.alias or name for name, field in MODELS[kind].model_fields.items()]
    by_heading = {"kind"} if kind == "secret" else {"name"} if kind in NAMED_BY_HEADING else set()
    return [key for key in keys if key not in by_heading and (kind, key) not in NO_KEYS]


def problems_of(error: ValidationError, section: Path) -> list[Problem]:
    """pydantic's errors about the section at this path, in our words."""
    errors = error.errors(include_url=False, include_input=False)
    return [_problem(section + one["loc"], one["type"], one["msg"]) for one in errors]


def _problem(path: Path, kind: str, message: str) -> Problem:
    if kind == "extra_forbidden":
        # Beside a secret, what stands in a key's place may be the secret itself.
        shown = path[:-1] if section_kind(path[:-1]) in SECRETS else path
        return key_path(shown), unknown_key(path)
    if kind == "missing":
        return key_path(path), "is missing"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return key_path(path), f"must be a section: [{key_path(path)}]"
    return key_path(path), message.removeprefix("Value error, ")
