"""The keys and certificates of a whole lab: a root CA, an intermediate, gateways, users, CRLs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from ikepy.pki import certificates, crl, files, keys
from ikepy.pki.certificates import Contents
from ikepy.pki.keys import PrivateKey

ORGANIZATION = "ikepy lab"
DAYS = 365.0
GATEWAY_FLAGS = ("serverAuth", "clientAuth", "ikeIntermediate")


@dataclass(frozen=True, slots=True)
class Member:
    """A name with its private key and certificate. `private` is for its owner alone."""

    name: str
    key: PrivateKey = field(repr=False)
    certificate: x509.Certificate

    def write(self, directory: Path, *, overwrite: bool = False) -> tuple[Path, Path]:
        """Make `<name>.crt` and `<name>.key` there; returns both. Raises ValueError."""
        certificate, key = directory / f"{self.name}.crt", directory / f"{self.name}.key"
        files.write(key, keys.private_bytes(self.key), private=True, overwrite=overwrite)
        made = certificates.encode(self.certificate, "pem")
        files.write(certificate, made, private=False, overwrite=overwrite)
        return certificate, key


@dataclass(frozen=True, slots=True)
class LabSet:
    """`gateways`, `users`: certified by `ca`, which `root` has certified. `crls`: of both, in DER."""

    root: Member
    ca: Member
    gateways: tuple[Member, ...]
    users: tuple[Member, ...]

    def crls(self) -> dict[str, bytes]:
        """Empty CRLs, by the name of the CA."""
        return {
            one.name: certificates.encode(crl.sign(one.key, one.certificate, lifetime=DAYS), "der")
            for one in (self.root, self.ca)
        }

    def write(self, directory: Path, *, overwrite: bool = False) -> list[Path]:
        """Make all files in a directory, which is made if it is not there. Raises ValueError."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"{directory}: can't be made: {error.strerror}") from None
        made: list[Path] = []
        for member in (self.root, self.ca, *self.gateways, *self.users):
            made += member.write(directory, overwrite=overwrite)
        for name, data in self.crls().items():
            path = directory / f"{name}.crl"
            files.write(path, data, private=False, overwrite=overwrite)
            made.append(path)
        return made


def make(
    gateways: Sequence[str],
    users: Sequence[str] = (),
    *,
    kind: str = "ecdsa",
    size: int | None = 256,
    crl_uri: str | None = None,
    ocsp_uri: str | None = None,
) -> LabSet:
    """Make all of it. `gateways`: "name" or "name,alternative name,..."; `users`: "user@name". ValueError.

    Of a gateway the first word is its DNS name, and the name of its files.
    """
    root_key, ca_key = (keys.generate(kind, size) for _ in range(2))
    named = f"O={ORGANIZATION}"
    root = certificates.self_signed(root_key, Contents(dn=f"{named}, CN=root", ca=True, lifetime=DAYS))
    below = Contents(dn=f"{named}, CN=CA", ca=True, path_length=0, lifetime=DAYS)
    ca = certificates.issue(ca_key.public_key(), root_key, root, below)

    def member(name: str, san: tuple[str, ...], flags: tuple[str, ...]) -> Member:
        key = keys.generate(kind, size)
        contents = Contents(
            dn=f"{named}, CN={name}",
            san=san,
            flags=flags,
            lifetime=DAYS,
            crl=() if crl_uri is None else (crl_uri,),
            ocsp=() if ocsp_uri is None else (ocsp_uri,),
        )
        return Member(name, key, certificates.issue(key.public_key(), ca_key, ca, contents))

    split = [tuple(part.strip() for part in one.split(",")) for one in gateways]
    for name in (*(one[0] for one in split), *users):
        if not name or "/" in name or name.startswith((".", "-")):
            raise ValueError(f'"{name}" is no name of a gateway or user: files are called by it')
    return LabSet(
        Member("root", root_key, root),
        Member("ca", ca_key, ca),
        tuple(member(one[0], one, GATEWAY_FLAGS) for one in split),
        tuple(member(one, (one,), ("clientAuth",)) for one in users),
    )
