"""Name constraints of CAs (RFC 5280 4.2.1.10), held against the names of the certificates below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from cryptography import x509

from ikepy.crypto.x509.certificate import Certificate
from ikepy.errors import WireError
from ikepy.wire import distinguished_name
from ikepy.wire.distinguished_name import DistinguishedName

MAX_COMPARISONS = (
    1 << 15
)  # of names with constraints in one chain: a second certificate may bring many of both
EMAIL = "1.2.840.113549.1.9.1"


@dataclass(slots=True)
class NameConstraints:
    """What the CAs of a path permit and exclude, gathered from the anchor on."""

    _permitted: list[Sequence[x509.GeneralName]] = field(default_factory=list)  # one CA's each
    _excluded: list[x509.GeneralName] = field(default_factory=list)
    _comparisons: int = 0

    def add(self, ca: Certificate) -> None:
        """Those of another CA."""
        own = ca.extension(x509.NameConstraints)
        if own is not None:
            self._permitted.append(tuple(own.permitted_subtrees or ()))
            self._excluded += own.excluded_subtrees or ()

    def check(self, certificate: Certificate) -> None:
        """ValueError if a name of a certificate is not permitted, or there are too many to compare."""
        if not self._permitted and not self._excluded:
            return
        for name in _names_of(certificate):
            if any(self._is_in(name, one) for one in self._excluded):
                raise ValueError(f"name constraints exclude {_shown(name)}")
            for permitted in self._permitted:
                same = [one for one in permitted if isinstance(name, type(one))]
                if same and not any(self._is_in(name, one) for one in same):
                    raise ValueError(f"name constraints do not permit {_shown(name)}")

    def _is_in(self, name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise ValueError("it has too many names and name constraints to compare")
        return type(name) is type(subtree) and _is_in(name, subtree)


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


def _is_in(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
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
            return _begins(_decoded(name.value), _decoded(subtree.value))
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


def _begins(name: DistinguishedName, base: DistinguishedName) -> bool:
    cut = DistinguishedName(name.rdns[: len(base.rdns)])
    return len(name.rdns) >= len(base.rdns) and cut.folded == base.folded


def _shown(name: x509.GeneralName) -> str:
    text = str(_decoded(name.value)) if isinstance(name, x509.DirectoryName) else str(name.value)
    return f'"{"".join(c if c.isprintable() else "?" for c in text[:120])}"'
