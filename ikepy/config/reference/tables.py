"""The reference of all keys: the tables of `docs/configuration.md`, and the JSON schema that editors read.

Both are made from the model and from `ikepy.config.reference.keys`.
`python -m ikepy.config.reference.tables PAGE` puts the tables into the page.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from pydantic.fields import FieldInfo

from ikepy.config.auth_method import AuthMethod
from ikepy.config.credentials import private_keys
from ikepy.config.proposals import default as default_proposals
from ikepy.config.reference.keys import KEYS, Key
from ikepy.config.report import MODELS, known_keys
from ikepy.wire.constants import ProtocolId

Schema = dict[str, object]

HEADINGS = {
    "connection": "`[connections.NAME]`",
    "local": "`[connections.NAME.local]` and `local2`",
    "remote": "`[connections.NAME.remote]` and `remote2`",
    "child": "`[connections.NAME.children.NAME]`",
    "vti": "`[connections.NAME.vti]`",
    "probe": "`[connections.NAME.probe]`",
    "secret": "`[secrets.ike-NAME]`",
    "authority": "`[authorities.NAME]`",
    "private_key": "`[secrets.private-NAME]`",
    "token": "`[secrets.token-NAME]`",
    "pool": "`[pools.NAME]`",
    "vxlan": "`[vxlan.NAME]`",
    "daemon": "`[daemon]`",
    "http": "`[daemon.http]`",
    "radius": "`[radius]`",
    "radius_server": "`[radius.servers.NAME]`",
    "router_advertisement": "`[router_advertisements.INTERFACE]`",
}
# What the TOML file's reader fills in, in place of the model.
BY_THE_SOURCE = {("connection", "local_port"): "`daemon.port`", ("vti", "name"): "see meaning"}
SECRETS = {
    "(ike|eap|ntlm|ppk)": "secret",
    f"({'|'.join(private_keys.KINDS)})": "private_key",
    "token": "token",
}
SECTIONS = {
    **dict.fromkeys(("local", "local2"), "local"),
    **dict.fromkeys(("remote", "remote2"), "remote"),
    **{one: one for one in ("vti", "probe", "http")},
}
NAMED = {"children": "child", "servers": "radius_server"}  # sections of names
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"anyOf": [{"type": "boolean"}, {"enum": ["yes", "no", "true", "false", "1", "0", 1, 0]}]}
TIME: Schema = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 315_360_000},
        {"type": "string", "pattern": r"^\s*[0-9]{1,12}(\.[0-9]{1,6})?\s*[smhdSMHD]?\s*$"},
    ]
}
AMOUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
METRIC: Schema = {"type": "integer", "minimum": 1, "maximum": 2**32 - 1}
TABLE: Schema = {"anyOf": [METRIC, TEXT]}
VALUES: Schema = {"anyOf": [{"type": "array", "items": TEXT}, TEXT]}
NUMBERED: Schema = {
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {"^[0-9]{1,5}$": VALUES},
}
ROUTE: Schema = {
    "anyOf": [
        TEXT,
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {"to": TEXT, "table": TABLE, "metric": METRIC, "src": TEXT},
            "required": ["to"],
        },
    ]
}


def row(kind: str, key: str) -> str:
    """A key's row in the page: key, type, default, what is allowed, meaning."""
    entry = KEYS[kind][key]
    cells = (f"`{key}`", entry.type, default_text(kind, key), entry.allowed, entry.meaning)
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def default_text(kind: str, key: str) -> str:
    """The default as it stands in TOML; "see meaning" where absence means what no value says."""
    if (kind, key) in BY_THE_SOURCE:
        return BY_THE_SOURCE[kind, key]
    value = default(kind, key)
    if value is None:
        return "see meaning" if "Absent" in KEYS[kind][key].meaning else ""
    if isinstance(value, float) and KEYS[kind][key].type == "time":
        return f"`{value:g}`"
    return f"`{json.dumps(value)}`"


def default(kind: str, key: str) -> object:
    """The model's default as TOML has it; None where there is none, or a section."""
    field = _field(kind, key)
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    if KEYS[kind][key].type in ("section", "sections", "attributes"):
        return None
    if value == default_proposals(ProtocolId.ESP):
        return ["default"]
    if isinstance(value, tuple):
        return [str(one) for one in value]
    return str(value) if isinstance(value, Path | AuthMethod) else value


def _field(kind: str, key: str) -> FieldInfo:
    fields = MODELS[kind].model_fields
    return next(field for name, field in fields.items() if key in (field.alias, name))


def schema() -> Schema:
    """The JSON schema of the TOML file."""
    return {
        "$schema": DIALECT,
        "title": "ikepy",
        "description": "The configuration of ikepy, a route-based IPsec gateway",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "connections": _named("connection"),
            "secrets": _secrets(),
            "authorities": _named("authority"),
            "pools": _named("pool"),
            "vxlan": _named("vxlan"),
            "radius": {"$ref": "#/$defs/radius"},
            "daemon": {"$ref": "#/$defs/daemon"},
            "router_advertisements": _named("router_advertisement"),
        },
        "$defs": {kind: _section(kind) for kind in HEADINGS},
    }


def _named(kind: str) -> Schema:
    return {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{kind}"}}


def _secrets() -> Schema:
    """What a section has depends on how its name begins."""
    return {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {f"^{begin}": {"$ref": f"#/$defs/{kind}"} for begin, kind in SECRETS.items()},
    }


def _section(kind: str) -> Schema:
    section: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _property(kind, key) for key in known_keys(kind)},
    }
    if kind == "connection":
        section["required"] = ["children"]
    if kind == "authority":
        section["required"] = ["cacert"]
    if kind == "pool":
        section["required"] = ["addrs"]
        section["patternProperties"] = {"^[0-9]{1,5}$": VALUES}
    if kind == "vxlan":
        section["required"] = ["vni"]
    if kind == "probe":
        section["required"] = ["targets"]
    if kind == "http":
        section["required"] = ["listen"]
    if kind == "private_key":
        section["required"] = ["file"]
    if kind == "token":
        section["required"] = ["handle", "module"]
    if kind == "radius":
        section["required"] = ["servers"]
    if kind == "radius_server":
        section["required"] = ["address"]
    if kind in ("secret", "radius_server"):
        section["oneOf"] = [{"required": [key]} for key in ("secret", "secret_file", "secret_env")]
    return section


def _property(kind: str, key: str) -> Schema:
    entry = KEYS[kind][key]
    if entry.type == "sections":
        return {**_named(NAMED[key]), "minProperties": 1, "description": _plain(entry.meaning)}
    if entry.type == "section":
        return {"$ref": f"#/$defs/{SECTIONS[key]}", "description": _plain(entry.meaning)}
    allowed = f"; allowed: {_plain(entry.allowed)}" if entry.allowed else ""
    described: Schema = {**_type(entry), "description": _plain(entry.meaning) + allowed}
    value = None if (kind, key) in BY_THE_SOURCE else default(kind, key)
    return described if value is None else {**described, "default": value}


def _type(entry: Key) -> Schema:
    if entry.type == "list of routes":
        return {"anyOf": [{"type": "array", "items": ROUTE}, TEXT]}
    if entry.type.startswith("list of "):
        least = {"minItems": 1} if "at least one" in entry.allowed or "proposals" in entry.type else {}
        return {"anyOf": [{"type": "array", "items": TEXT, **least}, TEXT]}
    match entry.type:
        case "table":
            return TABLE
        case "attributes":
            return NUMBERED
        case "boolean":
            return BOOLEAN
        case "time":
            return TIME
        case "amount":
            return AMOUNT
        case "integer" | "number":
            return {"type": entry.type, **_bounds(entry.allowed)}
        case "integer or word":
            words: Schema = {"enum": _words(entry.allowed)}
            return {"anyOf": [{"type": "integer", **_bounds(entry.allowed)}, words]}
        case "word":
            return {"enum": [*_words(entry.allowed), *_more_words(entry.allowed)]}
    return TEXT


def _bounds(allowed: str) -> Schema:
    """The bounds in "256 to 65535 octets; 0: none", where 0 is allowed beside them."""
    single = re.match(r"(\d+)$", allowed)
    if single is not None:
        return {"const": int(single[1])}
    match = re.search(r"([\d.]+) to (2\^32 - 1|[\d.]+)", allowed)
    if match is None:
        return {}
    last = 2**32 - 1 if match[2].startswith("2^") else _number(match[2])
    bounds: Schema = {"minimum": _number(match[1]), "maximum": last}
    beside = re.search(r"; 0: ", allowed) is not None and _number(match[1]) > 0
    return {"anyOf": [bounds, {"const": 0}]} if beside else bounds


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _words(allowed: str) -> list[str]:
    return re.findall(r'`"([^"]*)"`', allowed)


def _more_words(allowed: str) -> list[object]:
    """TOML's own booleans, where yes and no are among the words."""
    return [True, False] if {"yes", "no"} <= set(_words(allowed)) else []


def _plain(text: str) -> str:
    """Markdown without links and backticks."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "")


def with_tables(page: str) -> str:
    """The text of the page with the rows of its tables made anew."""
    for kind, heading in HEADINGS.items():
        start = page.index(f"## {heading}\n")
        table = re.compile(r"(\| key \| type \|[^\n]*\n\|[-|]*\|\n)(?:\|[^\n]*\n)*").search(page, start)
        assert table is not None, heading
        rows = "".join(f"{row(kind, key)}\n" for key in KEYS[kind])
        page = page[: table.start()] + table[1] + rows + page[table.end() :]
    return page


def main(page: Path) -> None:
    """Put the tables into the page."""
    page.write_text(with_tables(page.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
