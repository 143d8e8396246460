"""How both ends of a conn authenticate: leftauth, leftcert, rightca, eap_identity, ... (ipsec.conf(5)).

`left` is this end. Certificates are in ipsec.d/certs, CAs in ipsec.d/cacerts. An end without an ID has the
subject of its certificate, or else its address.
"""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.config import identity
from ikepy.config.credentials.credential_files import Layout
from ikepy.config.sources.ipsec_conn import Conn, file, listed, said, word_of
from ikepy.config.toml_source import Table

METHODS = {"secret": "psk", "rsasig": "pubkey", "ecdsasig": "pubkey"}
SEND_CERT = {"no": "never", "yes": "always"}
ASKED_FOR = frozenset({"%identity", "%any"})  # of eap_identity
SAME = "%same"
CERTIFICATE = "%cert"  # of leftsigkey: that of leftcert
INLINE = ("0s", "0x", "dns:", "ssh:")
SECOND = ("id2", "cert2", "ca2")
NO_KEY = (
    "a key that stands here itself is not read: write it in PEM into a file in ipsec.d/certs, and name that"
)
NO_TOKEN = "certificates of tokens are not read: write it into a file in ipsec.d/certs, and name that"
NO_ROUND = "there is no second round of authentication without {}auth2; remove it"
NO_EAP = "neither end authenticates by EAP; remove it"
OWN_CA = "our certificate is the one that leftcert names, whoever issued it; remove it"
LOOSE = 'the peer has to name this identity itself: the "%" in front is left out; remove it'


def ends(conn: Conn, layout: Layout, addresses: tuple[str | None, str | None], revocation: str) -> Table:
    """The sections local, remote, local2 and remote2.

    `addresses`: of both ends, where one is their identity unless they have another.
    """
    ours, theirs = addresses
    table: Table = {
        "local": _local(conn, layout, "", ours),
        "remote": _remote(conn, layout, "", theirs, revocation),
    }
    if said(conn, "leftauth2") is not None:
        table["local2"] = _local(conn, layout, "2", said(conn, "leftid") or ours)
    if said(conn, "rightauth2") is not None:
        table["remote2"] = _remote(conn, layout, "2", None, revocation)
    return table


def certificates_sent(conn: Conn) -> Table:
    """What decides on CERT and CERTREQ payloads, as keys of the connection."""
    table: Table = {}
    if said(conn, "leftsendcert") is not None:
        own = word_of(conn, "leftsendcert", "")
        table["send_cert"] = SEND_CERT.get(own, own)
    other = word_of(conn, "rightsendcert", "ifasked")
    if SEND_CERT.get(other, other) == "never":
        table["send_certreq"] = False
    return table


def refused(conn: Conn) -> Iterator[tuple[str, str]]:
    """Keys whose values ikepy does not read, and why."""
    for side in ("left", "right"):
        if any(_is_inline(one) for one in listed(conn, f"{side}sigkey")):
            yield f"{side}sigkey", NO_KEY
        for key in (f"{side}cert", f"{side}cert2"):
            if any(one.startswith("%") for one in listed(conn, key)):
                yield key, NO_TOKEN


def remarks(conn: Conn) -> Iterator[tuple[str, str]]:
    """Keys that change nothing, or not all that they would in strongSwan."""
    for side in ("left", "right"):
        for key in SECOND:
            if said(conn, f"{side}auth2") is None and said(conn, side + key) is not None:
                yield side + key, NO_ROUND.format(side)
        for key in (f"{side}id", f"{side}id2"):
            if side == "right" and _is_loose(said(conn, key)):
                yield key, LOOSE
    for key in ("ca", "ca2"):
        used = said(conn, f"right{key}") == SAME or (key in SECOND and said(conn, "leftauth2") is None)
        if said(conn, f"left{key}") is not None and not used:
            yield f"left{key}", OWN_CA
    methods = [_method(conn, side, round) for side in ("left", "right") for round in ("", "2")]
    if not any(one.startswith("eap") for one in methods):
        yield from ((key, NO_EAP) for key in ("eap_identity", "aaa_identity") if said(conn, key) is not None)


def _method(conn: Conn, side: str, round: str) -> str:
    """authby counts where neither end has a method."""
    either = said(conn, "leftauth") is not None or said(conn, "rightauth") is not None
    key = f"{side}auth{round}"
    default = "" if round else "pubkey" if either else word_of(conn, "authby", "pubkey")
    method = word_of(conn, key, default)
    return METHODS.get(method, method)


def _local(conn: Conn, layout: Layout, round: str, default: str | None) -> Table:
    table = _end(conn, layout, "left", round, default)
    if str(table["auth"]).startswith("eap"):
        user, server = said(conn, "eap_identity"), said(conn, "aaa_identity")
        if user is not None and user.lower() not in ASKED_FOR:
            table["eap_id"] = user
        if server is not None:
            table["aaa_id"] = server
    return table


def _remote(conn: Conn, layout: Layout, round: str, default: str | None, revocation: str) -> Table:
    table = _end(conn, layout, "right", round, default)
    if _is_loose(said(conn, f"rightid{round}")):
        table["id"] = str(table["id"])[1:]
    authority = said(conn, f"rightca{round}")
    if authority == SAME:
        authority = said(conn, f"leftca{round}")
    if authority is not None and "=" in authority:
        table["ca_id"] = authority
    elif authority is not None and authority not in identity.ANY:
        table["cacerts"] = [file(layout.cas, authority)]
    policies = listed(conn, f"rightcertpolicy{round}")
    if policies:
        table["cert_policy"] = policies
    if revocation != "relaxed":
        table["revocation"] = revocation
    user = said(conn, "eap_identity")
    if user is not None and str(table["auth"]).startswith("eap"):
        table["eap_id"] = "%any" if user.lower() in ASKED_FOR else user
    return table


def _end(conn: Conn, layout: Layout, side: str, round: str, default: str | None) -> Table:
    """What both ends have."""
    table: Table = {"auth": _method(conn, side, round)}
    named = [one for one in listed(conn, f"{side}cert{round}") if not one.startswith("%")]
    if named:
        table["certs"] = [file(layout.certificates, one) for one in named]
    keys = [] if round else [one for one in listed(conn, f"{side}sigkey") if one != CERTIFICATE]
    if keys:
        table["pubkeys"] = [file(layout.public_keys, one) for one in keys if not _is_inline(one)]
    own = said(conn, f"{side}id{round}") or (None if named else default)
    if own is not None:
        table["id"] = own
    return table


def _is_inline(key: str) -> bool:
    return key.lower().startswith(INLINE)


def _is_loose(name: str | None) -> bool:
    """Whether it is an identity that the peer's certificate alone has to have, in charon."""
    return name is not None and name.startswith("%") and name not in identity.ANY


def _paths() -> Iterator[tuple[str, tuple[str, ...]]]:
    for side, section in (("left", "local"), ("right", "remote")):
        for round in ("", "2"):
            of = f"{section}{round}"
            yield f"{side}auth{round}", (f"{of}.auth",)
            yield f"{side}id{round}", (f"{of}.id",)
            yield f"{side}cert{round}", (f"{of}.certs",)
            yield f"{side}ca{round}", (f"{of}.ca_id", f"{of}.cacerts")
            yield f"{side}certpolicy{round}", (f"{of}.cert_policy",)
        yield f"{side}sigkey", (f"{section}.pubkeys",)
    yield "authby", ("local.auth", "remote.auth")
    yield "leftsendcert", ("send_cert",)
    yield "rightsendcert", ("send_certreq",)
    yield "eap_identity", tuple(f"{one}.eap_id" for one in ("local", "remote", "local2", "remote2"))
    yield "aaa_identity", ("local.aaa_id", "local2.aaa_id")


# The keys that a parameter decides on in the connection.
PATHS = dict(_paths())
KEYS = frozenset(PATHS)
