"""Builds and verifies certification paths (RFC 5280 6.1), from what a peer sent to a CA that we know.

`cryptography.x509.verification` follows the Web PKI's profile: it knows neither Ed25519 and brainpool keys
nor identities other than DNS names and addresses. So its primitives are used, and the path algorithm is here.

What a path may cost is bounded: so many certificates of the peer, so many signatures, so many names that are
compared, so long a path. A CA of ours ends it, unless another one issued that: a revoked intermediate is no
anchor because it is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import padding

from ikepy.crypto.schemes import KeyFacts
from ikepy.crypto.x509 import path_checks, public_key
from ikepy.crypto.x509.certificate import Certificate
from ikepy.crypto.x509.name_constraints import Names

MAX_SENT = 16  # certificates of a peer that are looked at
MAX_PATH = 8  # certificates, the anchor among them
MAX_SIGNATURES = 24  # that are verified for one peer
MAX_CHECKED = 16  # paths to an anchor that are looked at for one peer: a dozen certificates can make 100
MAX_CANDIDATES = 64  # CAs of one name that are tried


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate below the anchor: its key, and how it was signed. `hash`: "sha256", ...; None: EdDSA."""

    key: KeyFacts
    signed_by: KeyFacts
    hash: str | None
    pss: bool


@dataclass(frozen=True, slots=True)
class Path:
    """A valid path, end entity first, the anchor last. `links`: of all but the anchor."""

    certificates: tuple[Certificate, ...]
    links: tuple[Link, ...]

    @property
    def end(self) -> Certificate:
        return self.certificates[0]

    @property
    def until(self) -> float:
        """When the first of them expires, in seconds since 1970."""
        return min(one.not_after for one in self.certificates)


class Anchors:
    """CAs that we know, by name."""

    def __init__(self, cas: Iterable[Certificate]) -> None:
        self.cas = tuple(dict.fromkeys(cas))
        self._by_name: dict[str, list[Certificate]] = {}
        for one in self.cas:
            self._by_name.setdefault(one.subject.folded, []).append(one)

    def named(self, name: str) -> Sequence[Certificate]:
        """Those whose folded subject is `name`."""
        return self._by_name.get(name, ())

    def ends(self, ca: Certificate) -> bool:
        """Whether a path ends with a CA: it is one of these, and none of them issued it."""
        if ca not in self._by_name.get(ca.subject.folded, ()):
            return False
        return ca.is_self_issued or not self.named(ca.issuer.folded)

    def with_others(self, others: Collection[Certificate]) -> Anchors:
        return Anchors([*self.cas, *others]) if others else self


@dataclass(slots=True)
class _Search:
    """One search for a path. `why`: of the last one that was refused."""

    anchors: Anchors
    sent: dict[str, list[Certificate]]
    at: float
    requirements: path_checks.Requirements
    signatures: dict[tuple[Certificate, Certificate], Link | str] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    checked: int = 0
    why: str = ""

    def paths(self, path: tuple[Certificate, ...], links: tuple[Link, ...]) -> Iterator[Path]:
        last = path[-1]
        if len(path) > 1 and self.anchors.ends(last):
            if self._is_valid(path):
                yield Path(path, links)
            return
        if len(path) >= MAX_PATH:
            self.why = f"its chain is longer than {MAX_PATH} certificates"
            return
        issuers = [one for one in self._issuers(last) if not _repeats(one, path)]
        if not issuers and not self.why:
            self.why = f'nothing is known of its issuer "{last.issuer}"'
        for issuer in issuers:
            link = self._link(last, issuer)
            if isinstance(link, str):
                self.why = link
                continue
            yield from self.paths((*path, issuer), (*links, link))

    def _is_valid(self, path: tuple[Certificate, ...]) -> bool:
        """Why not, is in `why`. ValueError if it is of no use to look at further paths."""
        self.checked += 1
        try:
            path_checks.check(path, self.at, self.requirements, self.names)
        except ValueError as error:
            self.why = str(error)
            if self.names.left < 0:
                raise
            if self.checked >= MAX_CHECKED:
                text = f"{error}; of its chains {MAX_CHECKED} at most are looked at"
                raise ValueError(text) from None
            return False
        return True

    def _issuers(self, of: Certificate) -> list[Certificate]:
        """Ours first."""
        name = of.issuer.folded
        known = [*self.anchors.named(name)[:MAX_CANDIDATES], *self.sent.get(name, ())]
        return list(dict.fromkeys(known))

    def _link(self, certificate: Certificate, issuer: Certificate) -> Link | str:
        """How an issuer signed a certificate; why not, if it did not."""
        pair = certificate, issuer
        if pair not in self.signatures:
            if len(self.signatures) >= MAX_SIGNATURES:
                return f"its chain took more than {MAX_SIGNATURES} signatures to verify"
            try:
                self.signatures[pair] = _verified(certificate, issuer)
            except ValueError as error:
                self.signatures[pair] = f"{certificate}: {error}"
        return self.signatures[pair]


def find(
    end: Certificate,
    sent: Sequence[Certificate],
    anchors: Anchors,
    at: float,
    requirements: path_checks.Requirements = path_checks.ANYTHING,
    *,
    of_peer: bool = True,
) -> Path:
    """A valid path from an end entity's certificate. ValueError, with a text for the log, if there is none.

    `sent`: other certificates of the peer, undecided. `at`: now, in seconds since 1970. `of_peer`: whether it
    has to be one that authenticates an IKE peer.
    """
    by_name: dict[str, list[Certificate]] = {}
    for one in sent[: MAX_SENT - 1]:
        by_name.setdefault(one.subject.folded, []).append(one)
    try:
        if of_peer:
            path_checks.check_end(end)
    except ValueError as error:
        raise ValueError(f"{end}: {error}") from None
    search = _Search(anchors, by_name, at, requirements)
    for path in search.paths((end,), ()):
        return path
    raise ValueError(search.why)


def _repeats(ca: Certificate, path: Sequence[Certificate]) -> bool:
    """A loop: the same name with the same key again (RFC 4158 2.4.1)."""
    return any(ca.key_id == one.key_id and ca.raw_subject == one.raw_subject for one in path)


def _verified(certificate: Certificate, issuer: Certificate) -> Link:
    key = issuer.public_key
    signed_by = public_key.strength(key)  # before the signature: it bounds what that costs
    own = public_key.strength(certificate.public_key)
    certificate.verify_signature(key)
    hashed, parameters = certificate.signed_with
    return Link(own, signed_by, None if hashed is None else hashed.name, isinstance(parameters, padding.PSS))
