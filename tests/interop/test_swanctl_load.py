"""`swanctl --load-all` at our VICI socket and at charon's: the same files, the same answers, a tunnel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import PublicFormat

from ikepy.lab import pair
from ikepy.lab.netns import LabError, run
from ikepy.lab.strongswan import Connection, StrongSwan
from tests import certificates
from tests.certificates import DER, PEM
from tests.interop.bed import Bed
from tests.pki import chain

THEIRS = Connection(
    local_addrs=pair.RIGHT, remote_addrs=pair.LEFT, local_ts=pair.RIGHT_NET, remote_ts=pair.LEFT_NET
)
OURS = Connection(
    local_addrs=pair.LEFT,
    remote_addrs=pair.RIGHT,
    local_id=THEIRS.remote_id,
    remote_id=THEIRS.local_id,
    local_ts=pair.LEFT_NET,
    remote_ts=pair.RIGHT_NET,
    child_options={"start_action": "start", "hw_offload": "auto"},
)
# What charon and swanctl read and check certificates and keys with.
PLUGINS = "pem pkcs1 pkcs8 x509 pubkey constraints revocation"
EMPTY = '[daemon]\nlog_level = "debug"\n'


@dataclass(frozen=True, slots=True)
class Files:
    """A directory as /etc/swanctl, and the daemon that it is loaded into."""

    directory: Path
    uri: str

    def swanctl(self, *arguments: str) -> str:
        """What swanctl prints; LabError with its words if it fails."""
        settings = self.directory / "strongswan.conf"
        settings.write_text(f"swanctl {{\n load = nonce random openssl {PLUGINS}\n}}\n")
        environment = (f"SWANCTL_DIR={self.directory}", f"STRONGSWAN_CONF={settings}")
        return run("env", *environment, "swanctl", *arguments, "--uri", self.uri)

    def load(self, config: str | Connection, *arguments: str) -> str:
        """Write swanctl.conf and load all of it."""
        text = config.text() if isinstance(config, Connection) else config
        (self.directory / "swanctl.conf").write_text(text)
        return self.swanctl(*(arguments or ("--load-all", "--noprompt")))


@pytest.fixture
def both(bed: Bed, tmp_path: Path) -> tuple[Files, Files]:
    """Our daemon and charon, neither of which has a connection: their files."""
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, plugins=PLUGINS)
    bed.theirs.start()
    bed.ours.start(EMPTY)
    found = []
    for name, socket in (("ours", bed.ours.socket), ("theirs", None)):
        directory = tmp_path / f"swanctl-{name}"
        directory.mkdir(mode=0o700)
        found.append(Files(directory, f"unix://{socket or bed.theirs.run_directory / 'vici'}"))
    return found[0], found[1]


def test_all_is_loaded_and_carries_packets(bed: Bed, both: tuple[Files, Files]) -> None:
    ours, theirs = both
    assert theirs.load(THEIRS) == ours.load(OURS)
    bed.wait_for_children(1)
    bed.expect_traffic()
    assert bed.ours.log().count("children.net.hw_offload: ESP is done in user space") == 1
    before = bed.our_sa
    assert theirs.load(THEIRS) == ours.load(OURS)  # as it is
    changed = [replace(one, options={"dpd_delay": "30"}) for one in (THEIRS, OURS)]
    assert theirs.load(changed[0]) == ours.load(changed[1])
    assert bed.our_sa["spi_i"] == before["spi_i"]
    bed.expect_traffic()
    assert theirs.load("") == ours.load("")
    bed.wait_for_nothing()
    for files in both:
        assert files.swanctl("--list-conns") == ""


def test_certificates_and_keys_by_swanctl_alone(bed: Bed, both: tuple[Files, Files]) -> None:
    """Neither daemon reads a file: swanctl sends them connections, certificates, CRLs and keys."""
    pki = chain()
    for files, own, ends in (
        (both[1], pki.sun, replace(THEIRS, local_id="sun.example.org", remote_id="CN=*")),
        (
            both[0],
            pki.moon,
            replace(OURS, local_id="moon.example.org", remote_id="sun.example.org"),
        ),
    ):
        for name, data in {
            "x509/own.pem": own.pem,
            "x509ca/root.pem": pki.root.pem,
            "x509ca/between.der": own.chain[1],
            "x509crl/root.crl": pki.crl(root=True),
            "x509crl/ca.crl": pki.crl(),
            "private/own.pem": own.pkcs8_pem,
        }.items():
            (files.directory / name).parent.mkdir(exist_ok=True)
            (files.directory / name).write_bytes(data)
        remote = "auth = pubkey\n revocation = strict\n"
        text = ends.text().replace("auth = psk\n", "auth = pubkey\n certs = own.pem\n", 1)
        text = text.replace("auth = psk\n", remote, 1).replace("id = CN=*", 'id = "C=CH, O=ikepy, CN=*"')
        text = text.replace("id = moon.example.org", f'id = "{own.dn}"')
        said = files.load(text.partition("secrets {")[0])
        assert "loaded certificate from" in said
    bed.wait_for_children(1)
    bed.expect_traffic()
    assert bed.our_sa["remote_id"] == "sun.example.org"
    assert bed.their_sa["remote-id"] == "C=CH, O=ikepy, CN=moon"


def test_parts_are_loaded_alone(both: tuple[Files, Files]) -> None:
    for option in ("--load-creds", "--load-conns", "--load-authorities", "--load-pools"):
        ours, theirs = (files.load(OURS, option) for files in both)
        assert ours == theirs
    ours, theirs = (files.swanctl("--load-creds", "--clear", "--noprompt") for files in both)
    assert ours == theirs


def test_a_bad_connection_is_named(both: tuple[Files, Files]) -> None:
    bad = replace(OURS, options={"mobike": "perhaps"})
    for files in both:
        with pytest.raises(LabError, match="loading connection 'net' failed"):
            files.load(bad)
        assert files.swanctl("--list-conns") == ""
    with pytest.raises(LabError, match=r"connections\.net\.mobike"):
        both[0].load(bad)


def test_certificates_authorities_and_pools(both: tuple[Files, Files]) -> None:
    """From the directories beside swanctl.conf; what swanctl prints of them then."""
    authority, end = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    content = {
        "x509ca/ca.pem": certificates.certificate("CA", authority, authority, ca=True).public_bytes(PEM),
        "x509/gwa.der": certificates.certificate("gwa", end, authority).public_bytes(DER),
        "x509crl/ca.crl": certificates.crl(authority).public_bytes(DER),
        "pubkey/end.pem": end.public_key().public_bytes(PEM, PublicFormat.SubjectPublicKeyInfo),
        "private/gwa.pem": certificates.private(end, PEM),
        "ecdsa/ca.der": certificates.traditional(authority),
    }
    sections = (
        "authorities { ca { cacert = ca.pem\n crl_uris = http://192.0.2.9/a, http://192.0.2.8/a } }\n"
        "pools { small { addrs = 10.9.0.0/29\n dns = 192.0.2.53, fd00::53 } }\n"
    )
    said = []
    for files in both:
        for name, data in content.items():
            path = files.directory / name
            path.parent.mkdir(mode=0o700)
            path.write_bytes(data)
        lines = [files.load(sections), files.load(sections, "--load-creds", "--noprompt")]
        for option in ("--list-authorities", "--list-pools"):
            lines.append(files.swanctl(option))
        for kind in ("x509", "x509_crl", "pubkey"):
            lines.append(files.swanctl("--list-certs", "--type", kind))
        lines.append(files.load(""))
        said.append("\n".join(lines).replace(str(files.directory), ""))
    ours, theirs = (sorted(text.splitlines()) for text in said)
    assert ours == theirs
    assert "loaded certificate from '/x509ca/ca.pem'" in ours
    assert any(line.startswith("small ") for line in ours)
    assert any("has private key" in line for line in ours)
