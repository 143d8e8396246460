"""Mistakes in words: which key, what is wrong, what is allowed. What was given is never repeated."""

from __future__ import annotations

from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from ikepy.config.model import AuthLocal, Child, Config, Connection, Daemon, SecretEntry, Vti
from ikepy.errors import LocalMisuse

Problem = tuple[str, str]  # key path, text
Path = tuple[int | str, ...]

# Keys of swanctl.conf (5.9.8) that ikepy does not have, by kind of section.
_CONNECTION = """
    vips aggressive pull dscp dpd_timeout send_certreq send_cert ppk_id
    ppk_required pools if_id_in if_id_out mediation mediated_by
    mediation_peer
"""
_AUTH = """
    round certs cert pubkeys eap_id aaa_id xauth_id groups cert_policy cacerts cacert ca_id revocation
"""
_CHILD = """
    ah_proposals sha256_96 updown hostaccess policies policies_fwd_out ipcomp inactivity reqid priority
    interface mark_in mark_in_sa mark_out set_mark_in set_mark_out if_id_in if_id_out label label_mode
    hw_offload copy_df copy_ecn copy_dscp
"""
SWANCTL_ONLY = {
    "connection": frozenset(_CONNECTION.split()),
    "auth": frozenset(_AUTH.split()),
    "child": frozenset(_CHILD.split()),
    "root": frozenset({"pools", "authorities"}),
}
MODELS: dict[str, type[BaseModel]] = {
    "root": Config,
    "connection": Connection,
    "auth": AuthLocal,
    "child": Child,
    "vti": Vti,
    "secret": SecretEntry,
    "daemon": Daemon,
}
NAMED_BY_HEADING = frozenset({"connection", "child"})  # there, `name` is no key of the file
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
        case ("connections", _, "local" | "remote"):
            return "auth"
        case ("connections", _, "children", _):
            return "child"
        case ("connections", _, "vti"):
            return "vti"
        case ("secrets", _):
            return "secret"
        case ("daemon",):
            return "daemon"
    raise LocalMisuse(f"{key_path(path)} is no section")


def unknown_key(path: Path) -> str:
    """What to say of a key that its section does not have."""
    section, key = path[:-1], str(path[-1])
    kind = section_kind(section)
    allowed = known_keys(kind)
    if key in SWANCTL_ONLY.get(kind, ()):
        return NOT_YET
    if kind == "connection":
        for prefix, what in SUFFIXED.items():
            if key.startswith(prefix) and key.removeprefix(prefix)[:1] in "-_0123456789":
                return f"{what} are {NOT_YET}; there is one section, [{key_path(section)}.{prefix}]"
    if kind == "secret" and key.startswith("id"):
        return 'unknown key (did you mean "ids"?); all identities stand in one list, ids = ["…", "…"]'
    close = get_close_matches(key, allowed, 1)
    hint = f' (did you mean "{close[0]}"?)' if close else ""
    return f"unknown key{hint}; allowed: {', '.join(allowed)}"


def known_keys(kind: str) -> list[str]:
    """The keys that a section of this kind may have in a configuration file."""
    keys = [field.alias or name for name, field in MODELS[kind].model_fields.items()]
    return [key for key in keys if key != "name" or kind not in NAMED_BY_HEADING]


def problems_of(error: ValidationError, section: Path) -> list[Problem]:
    """pydantic's errors about the section at this path, in our words."""
    errors = error.errors(include_url=False, include_input=False)
    return [_problem(section + one["loc"], one["type"], one["msg"]) for one in errors]


def _problem(path: Path, kind: str, message: str) -> Problem:
    if kind == "extra_forbidden":
        # Beside a secret, what stands in a key's place may be the secret itself.
        shown = path[:-1] if section_kind(path[:-1]) == "secret" else path
        return key_path(shown), unknown_key(path)
    if kind == "missing":
        return key_path(path), "is missing"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return key_path(path), f"must be a section: [{key_path(path)}]"
    return key_path(path), message.removeprefix("Value error, ")
