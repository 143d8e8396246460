"""The keys and certificates of a whole lab: a root CA, an intermediate, gateways, users, CRLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from ikepy.pki import certificates, crl, files, keys
from ikepy.pki.certificates import Contents
from ikepy.pki.keys import PrivateKey

ORGANIZATION = "ikepy lab"
ROOT, CA = "root", "ca"  # what their files are called
DAYS = 365.0
GATEWAY_FLAGS = ("serverAuth", "clientAuth", "ikeIntermediate")


@dataclass(frozen=True, slots=True)
class Member:
    """A name with its private key and certificate. `private` is for its owner alone."""

    name: str
    key: PrivateKey = field(repr=False)
    certificate: x509.Certificate

    def files(self) -> Iterator[tuple[str, bytes, bool]]:
        """`<name>.crt` and `<name>.key`: their content in PEM, and whether it is for their owner alone."""
        yield f"{self.name}.crt", certificates.encode(self.certificate, "pem"), False
        yield f"{self.name}.key", keys.private_bytes(self.key), True


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
        """Make all files in a directory, which is made if it is not there: none, if one of them is there and
        `overwrite` is not told. Raises ValueError."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"{directory}: can't be made: {error.strerror}") from None
        made = [(directory / name, data, private) for name, data, private in self._files()]
        if not overwrite:
            for path, _, _ in made:
                files.check_new(path)
        for path, data, private in made:
            files.write(path, data, private=private, overwrite=overwrite)
        return [path for path, _, _ in made]

    def _files(self) -> Iterator[tuple[str, bytes, bool]]:
        for member in (self.root, self.ca, *self.gateways, *self.users):
            yield from member.files()
        for name, data in self.crls().items():
            yield f"{name}.crl", data, False


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
    split = [tuple(part.strip() for part in one.split(",")) for one in gateways]
    _check_names([*(one[0] for one in split), *users])
    named = f"O={ORGANIZATION}"
    root_key, ca_key = (keys.generate(kind, size) for _ in range(2))
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

    return LabSet(
        Member(ROOT, root_key, root),
        Member(CA, ca_key, ca),
        tuple(member(one[0], one, GATEWAY_FLAGS) for one in split),
        tuple(member(one, (one,), ("clientAuth",)) for one in users),
    )


def _check_names(names: Sequence[str]) -> None:
    """That each can be the name of files, and that no two share them. ValueError."""
    taken = {ROOT, CA}
    for name in names:
        if not name or "/" in name or name.startswith((".", "-")):
            raise ValueError(f'"{name}" is no name of a gateway or user: files are called by it')
        if name in taken:
            whose = "of a CA's files" if name in (ROOT, CA) else "of another gateway or user"
            raise ValueError(f'"{name}" is the name {whose}: give each its own')
        taken.add(name)
