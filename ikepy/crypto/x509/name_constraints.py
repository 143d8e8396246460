"""Name constraints of CAs (RFC 5280 4.2.1.10), held against the names of the certificates below them.

A second certificate may bring many names for the constraints of a first, and a few more make many paths of
them: names are read once for a peer, and what is compared is bounded for all its paths together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from cryptography import x509

from ikepy.crypto.x509.certificate import Certificate
from ikepy.errors import WireError
from ikepy.wire import distinguished_name
from ikepy.wire.distinguished_name import DistinguishedName

MAX_COMPARISONS = 1 << 15  # of names with constraints, for one peer
EMAIL = "1.2.840.113549.1.9.1"


@dataclass(frozen=True, slots=True)
class _Name:
    """A name or subtree. `parts`: of a directory name, as they are compared."""

    general: x509.GeneralName
    parts: tuple[str, ...] = ()


@dataclass(slots=True)
class Names:
    """Those of one peer's certificates, and of the CAs above. `left`: comparisons that may be made yet; less
    than 0: it is of no use to look at further paths."""

    left: int = MAX_COMPARISONS
    _of: dict[Certificate, Sequence[_Name]] = field(default_factory=dict)
    _constraints: dict[Certificate, tuple[Sequence[_Name], Sequence[_Name]] | None] = field(
        default_factory=dict
    )

    def of(self, certificate: Certificate) -> Sequence[_Name]:
        if certificate not in self._of:
            self._of[certificate] = _all(_names_of(certificate))
        return self._of[certificate]

    def constraints(self, ca: Certificate) -> tuple[Sequence[_Name], Sequence[_Name]] | None:
        """What a CA permits and excludes; None if it has no constraints."""
        if ca not in self._constraints:
            own = ca.extension(x509.NameConstraints)
            self._constraints[ca] = (
                None if own is None else (_all(own.permitted_subtrees), _all(own.excluded_subtrees))
            )
        return self._constraints[ca]

    def spend(self, comparisons: int) -> None:
        """ValueError if so many are too many."""
        self.left -= comparisons
        if self.left < 0:
            raise ValueError("it has too many names and name constraints to compare")


@dataclass(slots=True)
class NameConstraints:
    """What the CAs of a path permit and exclude, gathered from the anchor on."""

    names: Names
    _permitted: list[Sequence[_Name]] = field(default_factory=list)  # one CA's each
    _excluded: list[_Name] = field(default_factory=list)

    def add(self, ca: Certificate) -> None:
        """Those of another CA."""
        own = self.names.constraints(ca)
        if own is not None:
            self._permitted.append(own[0])
            self._excluded += own[1]

    def check(self, certificate: Certificate) -> None:
        """ValueError if a name of a certificate is not permitted, or there are too many to compare."""
        subtrees = len(self._excluded) + sum(map(len, self._permitted))
        if not subtrees:
            return
        for name in self.names.of(certificate):
            self.names.spend(subtrees)
            if any(_is_in(name, one) for one in self._excluded):
                raise ValueError(f"name constraints exclude {_shown(name.general)}")
            for permitted in self._permitted:
                same = [one for one in permitted if isinstance(name.general, type(one.general))]
                if same and not any(_is_in(name, one) for one in same):
                    raise ValueError(f"name constraints do not permit {_shown(name.general)}")


def _names_of(certificate: Certificate) -> Iterator[x509.GeneralName]:
    """Subject and alternative names; an e-mail address of the subject where these have none."""
    alternative = certificate.extension(x509.SubjectAlternativeName) or ()
    yield from alternative
    if certificate.subject.rdns:
        yield x509.DirectoryName(certificate.found.subject)
    if not any(isinstance(one, x509.RFC822Name) for one in alternative):
        for rdn in certificate.subject.rdns:
            for attribute in rdn:
                if attribute.oid == EMAIL and attribute.text is not None and attribute.text.isascii():
                    yield x509.RFC822Name(attribute.text)


def _all(names: Iterable[x509.GeneralName] | None) -> Sequence[_Name]:
    return [_read(one) for one in names or ()]


def _read(name: x509.GeneralName) -> _Name:
    """ValueError for a directory name that is malformed, or too long."""
    if not isinstance(name, x509.DirectoryName):
        return _Name(name)
    rdns = _decoded(name.value).rdns
    return _Name(name, tuple(DistinguishedName((rdn,)).folded for rdn in rdns))


def _is_in(named: _Name, within: _Name) -> bool:
    name, subtree = named.general, within.general
    if type(name) is not type(subtree):
        return False
    match name, subtree:
        case x509.DNSName(), x509.DNSName():
            host, base = name.value.lower(), subtree.value.lower()
            return _is_host_in(host, base) if base.startswith(".") else _is_host_in(host, f".{base}")
        case x509.RFC822Name(), x509.RFC822Name():
            return _is_mailbox_in(name.value, subtree.value)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            return _is_uri_in(name.value, subtree.value.lower())
        case x509.IPAddress(), x509.IPAddress():
            network = subtree.value
            assert isinstance(network, IPv4Network | IPv6Network)
            return name.value.version == network.version and name.value in network
        case x509.DirectoryName(), x509.DirectoryName():
            return named.parts[: len(within.parts)] == within.parts
    raise ValueError(f"name constraints for {_shown(name)}, a kind of name that is not known here")


def _is_host_in(host: str, base: str) -> bool:
    """`base` begins with a dot, or is "." for all."""
    return base == "." or host == base[1:] or host.endswith(base)


def _is_mailbox_in(mailbox: str, base: str) -> bool:
    """A mailbox, those of a host, or with a dot ahead those of the hosts of a domain."""
    local, _, host = mailbox.rpartition("@")
    if "@" in base:
        base_local, _, base_host = base.rpartition("@")
        return local == base_local and host.lower() == base_host.lower()
    return host.lower().endswith(base.lower()) if base.startswith(".") else host.lower() == base.lower()


def _is_uri_in(uri: str, base: str) -> bool:
    authority = uri.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = authority.partition(":")[0].lower()
    if not host:
        raise ValueError("name constraints for a URI without a host")
    return host.endswith(base) if base.startswith(".") else host == base


def _decoded(name: x509.Name) -> DistinguishedName:
    try:
        return distinguished_name.decode(name.public_bytes())
    except WireError:
        raise ValueError("name constraints with a malformed name") from None


def _shown(name: x509.GeneralName) -> str:
    text = str(_decoded(name.value)) if isinstance(name, x509.DirectoryName) else str(name.value)
    return f'"{"".join(c if c.isprintable() else "?" for c in text[:120])}"'
