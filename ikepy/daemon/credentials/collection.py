"""All certificates, CAs, CRLs and public keys of a daemon: those of its configuration, and those of VICI.

Each change makes another `Known` of them, which the store uses from then on: SAs notice nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ikepy.config.model import Config, Connection
from ikepy.crypto.x509.certificate import Certificate
from ikepy.crypto.x509.crl import Crl
from ikepy.crypto.x509.path import Anchors
from ikepy.crypto.x509.public_key import PublicKey
from ikepy.daemon.credentials.certificate_state import CertificateState
from ikepy.daemon.credentials.known import Known, parsed
from ikepy.daemon.credentials.revocation_check import AtHand, Places
from ikepy.daemon.credentials.store import Store

MOST = 4096  # certificates, CRLs and keys that VICI has loaded
MOST_AUTHORITIES = 1024
NONE, CA, AA, OCSP = "NONE", "CA", "AA", "OCSP"  # charon's flags of a certificate
Credential = Certificate | Crl | PublicKey


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA, and where it answers. `cert_uri_base` is listed, no more."""

    cacert: Certificate
    crl_uris: tuple[str, ...] = ()
    ocsp_uris: tuple[str, ...] = ()
    cert_uri_base: str | None = None


@dataclass(slots=True)
class Collection:
    """`store`: uses what is known after each change."""

    store: Store
    _config: Config = field(default_factory=Config)
    _loaded: dict[bytes, tuple[Credential, str]] = field(default_factory=dict)  # DER -> with its flag
    _authorities: dict[str, Authority] = field(default_factory=dict)

    def configure(self, config: Config) -> None:
        """Another configuration is in use; what VICI has loaded stays."""
        self._config = config
        self._tell()

    def load(self, found: Credential, flag: str) -> None:
        """Keep one by VICI; of CRLs that replace one another the latest. ValueError if there are too many."""
        if isinstance(found, Crl):
            older = self._of_series(found)
            if any(other.issued > found.issued for other in older):
                return
            for other in older:
                del self._loaded[other.der]
        if found.der not in self._loaded and len(self._loaded) >= MOST:
            raise ValueError(f"there are {MOST} certificates, as many as there may be: clear the credentials")
        self._loaded[found.der] = found, flag
        self._tell()

    def _of_series(self, crl: Crl) -> list[Crl]:
        loaded = (one for one, _ in self._loaded.values())
        return [one for one in loaded if isinstance(one, Crl) and one.series == crl.series]

    def flush(self) -> None:
        """Forget what was fetched."""
        self.store.forget_fetched()

    def clear(self) -> None:
        """Forget what VICI has loaded; authorities keep theirs."""
        self._loaded.clear()
        self._tell()

    def load_authorities(self, loaded: Mapping[str, Authority]) -> None:
        """By VICI, each in place of one of its name. ValueError if there are too many."""
        if len(self._authorities.keys() | loaded.keys()) > MOST_AUTHORITIES:
            raise ValueError(f"there are {MOST_AUTHORITIES} authorities at most: unload some")
        self._authorities |= loaded
        self._tell()

    def unload_authority(self, name: str) -> bool:
        """Whether VICI had loaded one of this name."""
        found = self._authorities.pop(name, None)
        self._tell()
        return found is not None

    @property
    def of_vici(self) -> list[str]:
        """The names of authorities that VICI has loaded."""
        return list(self._authorities)

    @property
    def authorities(self) -> dict[str, Authority]:
        """Of both; VICI's stands in place of the file's of its name."""
        of_file = {
            name: Authority(one.cacert, one.crl_uris, one.ocsp_uris)
            for name, one in self._config.authorities.items()
        }
        return of_file | self._authorities

    def all(self) -> Iterator[tuple[Credential, str]]:
        """Each with its flag."""
        beside = self._config.directories
        found: dict[bytes, tuple[Credential, str]] = {}
        for authority in self.authorities.values():
            found[authority.cacert.der] = authority.cacert, CA
        for flag, several in (
            (CA, beside.cas),
            (NONE, beside.certificates),
            (OCSP, beside.responders),
            (NONE, beside.crls),
            (NONE, beside.public_keys),
        ):
            found.update((one.der, (one, flag)) for one in several)
        return iter((found | self._loaded).values())

    def states(self) -> Iterator[CertificateState]:
        """All certificates, each once for each connection that names it."""
        for found, _ in self.all():
            if isinstance(found, Certificate):
                yield _state("", found)
        for name, connection in self._config.connections.items():
            for one in dict.fromkeys(_named(connection)):
                yield _state(name, parsed(one))

    def _tell(self) -> None:
        known = list(self.all())
        cas = [one for one, flag in known if isinstance(one, Certificate) and flag == CA]
        places = {one.cacert.der: Places(one.crl_uris, one.ocsp_uris) for one in self.authorities.values()}
        self.store.known = Known(
            tuple(one for one, flag in known if isinstance(one, Certificate) and flag == NONE),
            Anchors(cas),
            tuple(one for one, _ in known if isinstance(one, PublicKey)),
            AtHand(
                tuple(one for one, _ in known if isinstance(one, Crl)),
                tuple(one for one, flag in known if isinstance(one, Certificate) and flag == OCSP),
                places,
            ),
        )


def _named(connection: Connection) -> Iterator[bytes]:
    """The certificates that a connection names, DER."""
    for local in filter(None, (connection.local, connection.local2)):
        yield from local.certs
    for remote in filter(None, (connection.remote, connection.remote2)):
        yield from (*remote.certs, *remote.cacerts)


def _state(connection: str, one: Certificate) -> CertificateState:
    subject, serial = str(one.subject)[:200], f"{one.found.serial_number:x}"
    return CertificateState(connection, subject, serial, one.is_ca, one.not_after)
