"""Finds connections that nothing in the configuration can authenticate, by public keys or a user's password:
VICI may bring it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.config.model import AuthLocal, AuthRemote, Config

NONE_OF_OURS = (
    'auth = "{}" without certs and pubkeys, and there is no certificate in {} beside this file: only one '
    "that VICI loads could prove who we are"
)
NONE_NAMED = (
    'auth = "{}" without a certificate of ours (leftcert) or key (leftsigkey): only a PKCS#12 file (P12), or '
    "one that VICI loads, could prove who we are"
)
NONE_TRUSTED = (
    'auth = "{}" without certs, cacerts and pubkeys, and there is no CA in [authorities], or in {} '
    "beside this file: nobody is believed until VICI loads one"
)

NO_PASSWORD = (
    'auth = "{}", and no [secrets.eap-NAME] has ids = ["{}"]: only a password that VICI loads could prove '
    "who we are"
)
NO_USERS = 'auth = "{}", and there is no [secrets.eap-NAME]: no user is believed until VICI loads a password'
PASSWORDS = ("eap-mschapv2", "eap-md5")


def notes(config: Config) -> Iterator[tuple[str, str]]:
    """All of them, as (key path, text)."""
    held = config.directories
    ours, cas = bool(held.certificates), bool(held.cas or config.authorities)
    for connection in config.connections.values():
        for side, auth in connection.ends.items():
            key = f"connections.{connection.name}.{side}.auth"
            if auth.eap in PASSWORDS:
                text = _no_password(config, auth)
                if text:
                    yield key, text
            if auth.auth.kind != "pubkey" or auth.certs or auth.pubkeys:
                continue
            if isinstance(auth, AuthLocal) and not ours:
                none = NONE_NAMED if held.layout.only_named else NONE_OF_OURS
                yield key, none.format(auth.auth, held.layout.certificates.directory)
            if isinstance(auth, AuthRemote) and not auth.cacerts and not cas:
                yield key, NONE_TRUSTED.format(auth.auth, held.layout.cas.directory)


def _no_password(config: Config, auth: AuthLocal | AuthRemote) -> str:
    """What is to be said of the lack of a password; "" if there is one, or it is not known whose."""
    if isinstance(auth, AuthRemote):
        return "" if config.of_kind("eap", "ntlm") else NO_USERS.format(auth.eap)
    user = auth.eap_id or (None if auth.id is None else str(auth.id))
    if user is None or config.user(user) is not None:
        return ""
    return NO_PASSWORD.format(auth.eap, user)
