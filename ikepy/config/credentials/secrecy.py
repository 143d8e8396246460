"""Finds weaknesses of a secret: a file that others can read, low entropy, invisible characters.

Texts here never repeat anything of the secret, nor its length.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from functools import cache
from math import log2

# An active attacker who answers in the peer's place can try secrets at leisure afterwards (RFC 7296 2.15 asks
# for as much unpredictability as the strongest key has). 70 bits are 12 characters of chance, or 15 letters.
ENOUGH_BITS = 70.0
ADVICE = 'take one that nobody can guess: "openssl rand -base64 32"'
CLASSES = ((r"[a-z]", 26), (r"[A-Z]", 26), (r"[0-9]", 10), (r"[^A-Za-z0-9]", 32))
# Common password words, in lower case; digits and signs that replace letters are mapped back to letters.
_WORDS = """
    password passwort passphrase passwd pass secret geheim preshared shared psk key schluessel ipsec
    strongswan libreswan openswan swan ikev2 ike vpn tunnel gateway router firewall cisco juniper
    fortinet mikrotik ubnt admin administrator root user guest default changeme change letmein welcome
    hello test testing demo example sample private public internal company office home site branch
    remote local server client network cloud please monkey dragon master sunshine princess football
    baseball iloveyou superman batman shadow qwerty qwertz azerty asdf asdfgh yxcv zxcv zxcvbn correct
    horse battery staple spring summer autumn winter monday friday january december me is the my our for
    and
"""
LEET = str.maketrans("0134578@$!", "oleastbasi")
RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789",
    "qwertyuiop",
    "qwertzuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1q2w3e4r5t6z",
)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # of UTF-8
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LOOKED_AT = 128  # characters of a secret that are examined; more make it no weaker


def exposure(status: os.stat_result) -> str | None:
    """Who but its owner and root may read or replace a file; None: nobody.

    Root's group counts as root.
    """
    mode, who = stat.S_IMODE(status.st_mode), ""
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        who = f"every user may {'replace' if mode & stat.S_IWOTH else 'read'} it"
    elif mode & (stat.S_IRGRP | stat.S_IWGRP) and status.st_gid != 0:
        who = f"the group {status.st_gid} may {'replace' if mode & stat.S_IWGRP else 'read'} it"
    elif status.st_uid not in (0, os.geteuid()):
        return f"it belongs to the user {status.st_uid}, who may read and replace it: chown root"
    return f"{who} (mode {mode:04o}): chmod 600, or in Kubernetes defaultMode: 0400" if who else None


def invisible(data: bytes) -> list[str]:
    """Invisible bytes in a secret as written that are probably unintended; in one that is no text, none."""
    if data.startswith(UTF_16):
        return ["it begins like UTF-16 text, and is taken byte by byte: save it as UTF-8"]
    try:
        data.decode()
    except UnicodeDecodeError:
        return []
    found = []
    if data.startswith(BYTE_ORDER_MARK):
        found.append("it begins with a byte order mark, which is a part of it: save it without")
    if data.endswith((b"\n", b"\r")):
        found.append("it ends with a line end, which is a part of it: remove it if the peer's has none")
    elif b"\n" in data or b"\r" in data:
        found.append("it holds line ends, which are a part of it: is it one secret?")
    elif data != data.strip():
        found.append("it begins or ends with a space, which is a part of it")
    return found


def weakness(secret: bytes, known: Iterable[str] = ()) -> str | None:
    """Why a secret is easy to guess; None if no reason is found, which does not prove it strong.

    `known`: what an attacker knows: names and identities of the connection. An estimate of what is left when
    words, names, repetitions and runs are taken out, each of which is worth little.
    """
    try:
        text = secret.decode()[:LOOKED_AT]
    except UnicodeDecodeError:
        text = secret.decode("latin-1")[:LOOKED_AT]
        rest = _without_repetition(text)
        bits = 8.0 * len(rest)
    else:
        rest = _without_repetition(_without_words(text, known))
        bits = _bits(rest)
    if bits >= ENOUGH_BITS:
        return None
    if len(rest) == len(text):
        return f"it is short enough to be guessed: {ADVICE}"
    return f"it is soon guessed: little is left without words, names, repetitions and runs in it: {ADVICE}"


def _bits(text: str) -> float:
    """Entropy in bits, if each character were drawn at random from the character classes in the text."""
    return len(text) * log2(sum(size for pattern, size in CLASSES if re.search(pattern, text)) or 1)


def _without_repetition(text: str) -> str:
    """Collapse repetitions: "aaaa" is "a", "abcabcabc" is "abc"."""
    return re.sub(r"(.+?)\1+", r"\1", text, flags=re.DOTALL)


def _without_words(text: str, known: Iterable[str]) -> str:
    """Count each word, name and run as one character: an attacker guesses it about as easily."""
    folded = text.lower()
    if len(folded) != len(text):
        return text  # letters whose lower case is several characters: in none of our lists
    names = [name.lower() for name in known if len(name) > 2]
    patterns = (_known_words(), _runs(), *(re.compile(re.escape(name)) for name in names))
    spans = [
        match.span()
        for where in (folded, folded.translate(LEET))
        for pattern in patterns
        for match in pattern.finditer(where)
    ]
    rest, end = "", 0
    for start, stop in sorted(spans):
        if start >= end:
            rest += text[end:start] + text[start]
        end = max(end, stop)
    return rest + text[end:]


@cache
def _known_words() -> re.Pattern[str]:
    return _any_of(_WORDS.split())


@cache
def _runs() -> re.Pattern[str]:
    """Pieces of at least 4 characters of the alphabet, the digits and the rows of keyboards, both ways."""
    ways = [way for run in RUNS for way in (run, run[::-1])]
    return _any_of({way[a:b] for way in ways for a in range(len(way)) for b in range(a + 4, len(way) + 1)})


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    """A pattern that matches any of the words, the longest first."""
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))
