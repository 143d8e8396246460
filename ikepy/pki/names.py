"""Names in certificates: subjects, alternative names (RFC 5280 4.2.1.6) and name constraints, from text."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from cryptography import x509

from ikepy.wire import distinguished_name
from ikepy.wire.distinguished_name import DistinguishedName


def subject(text: str) -> x509.Name:
    """A distinguished name as strongSwan writes it, "C=CH, O=ikepy, CN=gw". ValueError."""
    name = DistinguishedName.parse(text)
    if name.is_pattern:
        raise ValueError(f'"{text}" has a wildcard: it is the name of nobody')
    return x509.Name.from_bytes(name.encode())


def alternative(text: str) -> x509.GeneralName:
    """A subjectAltName as pki(1) takes it: an address, a name, user@name, a DN, or one with a prefix.

    Prefixes: dns: (also fqdn:), email: (rfc822:), ip:, uri:, dn:. ValueError.
    """
    prefix, colon, rest = text.partition(":")
    try:
        match prefix.lower() if colon else "":
            case "dns" | "fqdn":
                return x509.DNSName(_plain(rest))
            case "email" | "rfc822":
                return x509.RFC822Name(_plain(rest))
            case "ip" | "ipv4" | "ipv6":
                return x509.IPAddress(ip_address(rest))
            case "uri":
                return x509.UniformResourceIdentifier(_plain(rest))
            case "dn" | "asn1dn":
                return x509.DirectoryName(subject(rest))
        return _by_look(text)
    except ValueError as error:
        raise ValueError(
            f'"{text}" is no name: {error}; allowed: an address, a name, user@name, a distinguished name, '
            "or one behind dns:, email:, ip:, uri: or dn:"
        ) from None


def _by_look(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        pass
    if "=" in text:
        return x509.DirectoryName(subject(text))
    if text.startswith("@"):
        return x509.DNSName(_plain(text[1:]))
    return x509.RFC822Name(_plain(text)) if "@" in text else x509.DNSName(_plain(text))


def _plain(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("empty, or with characters that such a name can't have")
    return text


def constraint(text: str) -> x509.GeneralName:
    """A subtree of name constraints (RFC 5280 4.2.1.10): a network, a domain, a mail domain, a DN."""
    try:
        return x509.IPAddress(ip_network(text.removeprefix("ip:")))
    except ValueError:
        return alternative(text)


def general_text(name: x509.GeneralName) -> str:
    """As `ikepy pki print` shows it; "?" for what can't be printed."""
    value = name.value
    text = text_of(value) if isinstance(value, x509.Name) else str(value)
    return "".join(c if c.isprintable() else "?" for c in text)


def text_of(name: x509.Name) -> str:
    """A distinguished name as strongSwan prints it."""
    return str(distinguished_name.decode(name.public_bytes()))
