"""IKE_AUTH by public keys, both ends: every kind of key, what they ask and show, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.config.model import AuthRemote
from ikepy.crypto.schemes import Scheme
from ikepy.sa.admission.connection_match import ConnectionMatch
from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Rank
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.auth.credentials import Presented
from ikepy.wire.constants import NotifyType
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import CertReqPayload, NotifyPayload, Payload
from tests.pki import Chain, chain

from .credentials import Memory
from .network import ADDRESS_A, ADDRESS_B, Network, Options, assert_joined, deliver_all

MOON, SUN = "moon.example.org", "sun.example.org"
PUBKEY = 'auth = "pubkey"'
REFUSED = "AUTHENTICATION_FAILED"


def options(a: str, b: str, *, local: str = PUBKEY, remote: str = PUBKEY, connection: str = "") -> Options:
    return Options(local_id=a, remote_id=b, local=local, remote=remote, connection=connection)


A, B = options(MOON, SUN), options(SUN, MOON)


def memories(pki: Chain, other: Chain | None = None) -> tuple[Memory, Memory]:
    """Of both sites; b's certificate is of `other`."""
    theirs = other or pki
    return Memory(pki.moon, (theirs.root.der,)), Memory(theirs.sun, (pki.root.der,))


def set_up(ours: tuple[Memory, Memory], a: Options = A, b: Options = B) -> Network:
    net = Network(a, b, credentials=ours)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1.0)
    return net


def told(net: Network, of: str) -> str:
    return "\n".join(log.text for log in net.site(of).logs)


KINDS = {
    "rsa": Scheme.PSS_SHA256,  # as both announce that they verify it (RFC 9593)
    "ecdsa": Scheme.ECDSA_SHA256,
    "brainpool": Scheme.ECDSA_SHA256,
    "ed25519": Scheme.ED25519,
    "ed448": Scheme.ED448,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key(kind: str) -> None:
    ours = memories(chain(kind))
    net = set_up(ours)
    assert_joined(net)
    assert all(set(one.signed) == {KINDS[kind]} for one in ours)
    assert f"authenticated by certificate C=CH, O=ikepy, CN=moon, {KINDS[kind].value}" in told(net, "b")
    assert f"authenticated by certificate C=CH, O=ikepy, CN=sun, {KINDS[kind].value}" in told(net, "a")


@pytest.mark.parametrize("size", [44, 65, 87])
def test_ml_dsa_by_its_switch(size: int) -> None:
    """draft-ietf-ipsecme-ikev2-pqc-auth, between our own ends: IKE_AUTH has some 15 KB."""
    ours = memories(chain(f"mldsa{size}"))
    switch = "experimental_mldsa = true"
    net = set_up(ours, replace(A, connection=switch), replace(B, connection=switch))
    assert_joined(net)
    assert set(ours[0].signed) == {Scheme(f"ml-dsa-{size}")}


@pytest.mark.parametrize("who", ["a", "b"])
def test_ml_dsa_without_the_switch(who: str) -> None:
    switch = "experimental_mldsa = true"
    a, b = (A, replace(B, connection=switch)) if who == "a" else (replace(A, connection=switch), B)
    net = set_up(memories(chain("mldsa44")), a, b)
    assert not net.a.plane.inbound
    if who == "b":
        assert "its signature algorithm is not supported: 300b" in told(net, "b")
    else:
        assert "verifies no signature of a ml-dsa-44 key" in net.a.outcomes[1].text


def test_each_end_by_another_kind() -> None:
    net = set_up(memories(chain("ed25519"), chain("ecdsa")))
    assert_joined(net)


def test_one_end_by_a_secret_the_other_by_a_certificate() -> None:
    a = replace(A, local='auth = "psk"')
    b = replace(B, remote='auth = "psk"')
    net = set_up(memories(chain()), a, b)
    assert_joined(net)
    assert "authenticated by certificate" in told(net, "a")
    assert "authenticated by certificate" not in told(net, "b")


def test_jobs_that_wait_do_so_apart_from_key_exchanges() -> None:
    net = set_up(memories(chain()))
    waiting = [(site, job.rank) for site, job in net.computed if job.waits]
    assert waiting == [("a", Rank.OURS), ("b", Rank.STRANGER), ("b", Rank.STRANGER), ("a", Rank.OURS)]


# -- what is asked for and shown -------------------------------------------------------------------


def test_cas_are_asked_for_and_the_whole_chain_is_shown() -> None:
    pki = chain()
    ours = memories(pki)
    set_up(ours)
    for one in ours:
        (root,) = one.cas(None)  # type: ignore[arg-type]
        assert one.asked[-1] == {root}
    assert ours[1].shown[-1] == Presented(certificates=pki.moon.chain)
    assert ours[0].shown[-1] == Presented(certificates=pki.sun.chain)


@pytest.mark.parametrize(
    ("send_cert", "send_certreq", "shown"),
    [
        ("ifasked", True, True),
        ("ifasked", False, False),
        ("never", True, False),
        ("always", False, True),
    ],
)
def test_send_cert_and_send_certreq(send_cert: str, send_certreq: bool, shown: bool) -> None:
    ours = memories(chain())
    a = replace(A, connection=f'send_cert = "{send_cert}"')
    b = replace(B, connection=f"send_certreq = {str(send_certreq).lower()}")
    net = set_up(ours, a, b)
    assert bool(ours[1].shown[-1].certificates) is shown
    assert bool(net.b.plane.inbound) is shown
    if not shown:
        assert "certificate: it sent none" in told(net, "b")


def test_raw_public_keys() -> None:
    pki = chain("ed25519")
    ours = (
        Memory(pki.moon, raw={SUN: pki.sun.spki}, bare=True),
        Memory(pki.sun, raw={MOON: pki.moon.spki}, bare=True),
    )
    always = 'send_cert = "always"'
    net = set_up(ours, replace(A, connection=always), replace(B, connection=always))
    assert_joined(net)
    assert ours[1].shown[-1] == Presented(raw_keys=(pki.moon.spki,))


# -- what auth permits -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "remote", "scheme"),
    [
        ("ike:rsa/pss-sha512", "pubkey", Scheme.PSS_SHA512),
        ("ike:rsa-sha384", "pubkey", Scheme.PSS_SHA384),
        ("ike:rsa-pss-sha512-sha256", "rsa-3072-sha256", Scheme.PSS_SHA512),
        ("pubkey", "ike:rsa/pss-sha384", Scheme.PSS_SHA384),
    ],
)
def test_what_is_signed_with_is_what_both_ends_permit(local: str, remote: str, scheme: Scheme) -> None:
    ours = memories(chain("rsa"))
    remote_b = remote if "sha256" not in remote or "512" not in local else "rsa-3072-sha256-sha512"
    net = set_up(ours, replace(A, local=f'auth = "{local}"'), replace(B, remote=f'auth = "{remote_b}"'))
    assert_joined(net)
    assert set(ours[0].signed) == {scheme}


@pytest.mark.parametrize(
    ("kind", "remote", "why"),
    [
        ("rsa", "rsa-4096", 'auth = "rsa-4096" does not permit its rsa-3072 key'),
        ("rsa", "ecdsa", 'auth = "ecdsa" does not permit its rsa-3072 key'),
        ("ecdsa", "ecdsa-384", 'auth = "ecdsa-384" does not permit its ecdsa-256 key'),
        ("ecdsa", "ecdsa-256-sha384", "does not permit a certificate signed with SHA2_256"),
        ("ed25519", "rsa", 'auth = "rsa" does not permit its ed25519-256 key'),
    ],
)
def test_a_chain_that_auth_does_not_permit(kind: str, remote: str, why: str) -> None:
    net = set_up(memories(chain(kind)), A, replace(B, remote=f'auth = "{remote}"'))
    assert REFUSED in net.a.outcomes[1].text
    assert why in told(net, "b")


def test_a_signature_that_ike_does_not_permit() -> None:
    """The peer announces what it takes, and we have no other key: we try it, and it refuses."""
    net = set_up(memories(chain("ecdsa")), A, replace(B, remote='auth = "ike:rsa/pss"'))
    assert "remote.auth does not permit its signature, ecdsa-sha256 by its ecdsa-256 key" in told(net, "b")


# -- what is refused -------------------------------------------------------------------------------


def test_an_unknown_ca() -> None:
    pki, other = chain("ecdsa"), chain("ecdsa", "other")
    ours = Memory(pki.moon, (pki.root.der,)), Memory(pki.sun, (other.root.der,))
    net = set_up(ours)
    assert REFUSED in net.a.outcomes[1].text
    assert "certificate: nothing is known of its issuer" in told(net, "b")


def test_an_identity_that_is_not_in_the_certificate() -> None:
    pki = chain()
    ours = Memory(pki.carol, (pki.root.der,)), Memory(pki.sun, (pki.root.der,))
    net = set_up(ours)
    assert f"certificate: {MOON} is not in it" in told(net, "b")


def test_the_responder_is_verified_too() -> None:
    pki, other = chain("ecdsa"), chain("ecdsa", "other")
    ours = Memory(pki.moon, (other.root.der,)), Memory(pki.sun, (pki.root.der,))
    net = set_up(ours)
    assert not net.a.plane.inbound
    assert not net.b.manager.ike_sas
    assert "certificate: nothing is known of its issuer" in net.a.outcomes[1].text


def test_another_private_key_than_the_certificates() -> None:
    pki = chain()
    forged = replace(pki.moon, key=pki.carol.key, certificate=pki.moon.certificate)
    ours = Memory(forged, (pki.root.der,)), Memory(pki.sun, (pki.root.der,))
    net = set_up(ours)
    assert "its signature is wrong" in told(net, "b")


def test_nothing_to_sign_with() -> None:
    pki = chain()
    net = set_up((Memory(None, (pki.root.der,)), Memory(pki.sun, (pki.root.der,))))
    assert "certificate: none with a private key is for our FQDN" in net.a.outcomes[1].text
    assert len(net.ladder) == 2  # nothing of IKE_AUTH was sent


def test_a_secret_where_a_signature_is_due_and_the_reverse() -> None:
    psk = Options(local_id=MOON, remote_id=SUN)
    net = set_up(memories(chain()), psk, B)
    assert 'it authenticates by shared key mic, and auth = "pubkey" is configured for it' in told(net, "b")
    net = set_up(memories(chain()), A, Options(local_id=SUN, remote_id=MOON))
    assert "it authenticates by " in told(net, "b")
    assert 'and auth = "psk" is configured for it' in told(net, "b")


def test_unknown_and_wrong_peers_hear_the_same_and_cost_the_same() -> None:
    pki, other = chain("ecdsa"), chain("ecdsa", "other")
    wrong = set_up((Memory(pki.moon, (pki.root.der,)), Memory(pki.sun, (other.root.der,))))
    unknown = set_up(memories(pki), A, options(SUN, "somebody.example.org"))
    assert wrong.a.outcomes[1].text == unknown.a.outcomes[1].text
    assert wrong.ladder == unknown.ladder
    jobs = [[(site, job.waits) for site, job in net.computed] for net in (wrong, unknown)]
    assert jobs[0] == jobs[1]
    assert "no remote.id" in told(unknown, "b")


# -- rounds ----------------------------------------------------------------------------------------


def test_a_certificate_and_then_a_secret() -> None:
    pki = chain()
    a = replace(A, local='auth = "pubkey"\n[connections.ab.local2]\nauth = "psk"\nid = "user"')
    b = replace(B, remote='auth = "pubkey"\n[connections.ab.remote2]\nauth = "psk"\nid = "user"')
    net = set_up(memories(pki), a, b)
    assert_joined(net)
    assert net.ladder[-2:] == ["a -> b IKE_AUTH request 2", "b -> a IKE_AUTH response 2"]


def test_a_second_identity_that_is_another_one() -> None:
    a = replace(A, local='auth = "pubkey"\n[connections.ab.local2]\nauth = "psk"\nid = "user"')
    b = replace(B, remote='auth = "pubkey"\n[connections.ab.remote2]\nauth = "psk"\nid = "other"')
    net = set_up(memories(chain()), a, b)
    assert "its second identity" in told(net, "b")
    assert not net.b.plane.inbound


def test_reauthentication() -> None:
    pki = chain()
    times = "reauth_time = 100\nrekey_time = 0\nover_time = 10\nrand_time = 0"
    ours = memories(pki)
    net = set_up(ours, replace(A, connection=times), replace(B, connection=times))
    net.run(150)
    assert_joined(net)
    assert (
        net.ladder.count("a -> b IKE_SA_INIT request 0") + net.ladder.count("b -> a IKE_SA_INIT request 0")
        >= 2
    )
    assert len(ours[0].signed) > 2


# -- what IKE_SA_INIT says -------------------------------------------------------------------------


def said_in_init(a: Options, b: Options) -> list[list[Payload]]:
    """The payloads of the request and of the response."""
    datagrams: list[bytes] = []

    def keep(line: str, nth: int, data: bytes) -> list[float]:
        datagrams.append(data)
        return deliver_all(line, nth, data)

    net = Network(a, b, credentials=memories(chain()))
    net.script = keep
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1.0)
    return [list(decode_message(one).payloads) for one in datagrams[:2]]


def notifies(payloads: list[Payload]) -> set[int]:
    return {one.notify for one in payloads if isinstance(one, NotifyPayload)}


ABOUT_KEYS = {NotifyType.SIGNATURE_HASH_ALGORITHMS, NotifyType.SUPPORTED_AUTH_METHODS}


def test_what_is_said_of_keys() -> None:
    request, response = said_in_init(A, B)
    assert ABOUT_KEYS & notifies(request) == {NotifyType.SIGNATURE_HASH_ALGORITHMS}
    assert ABOUT_KEYS & notifies(response) == ABOUT_KEYS
    assert any(isinstance(one, CertReqPayload) for one in response)
    assert NotifyType.MULTIPLE_AUTH_SUPPORTED not in notifies(response)


def test_who_has_secrets_alone_says_nothing_of_keys() -> None:
    psk = Options(local_id=MOON, remote_id=SUN), Options(local_id=SUN, remote_id=MOON)
    for payloads in said_in_init(*psk):
        assert not ABOUT_KEYS & notifies(payloads)
        assert not any(isinstance(one, CertReqPayload) for one in payloads)


def test_several_rounds_are_announced() -> None:
    b = replace(B, remote='auth = "pubkey"\n[connections.ab.remote2]\nauth = "psk"\nid = "user"')
    _, response = said_in_init(A, b)
    assert NotifyType.MULTIPLE_AUTH_SUPPORTED in notifies(response)


class Counting(Memory):
    """Counts how often CAs are asked for."""

    asked_for_cas = 0

    def cas(self, auth: AuthRemote) -> tuple[bytes, ...]:
        self.asked_for_cas += 1
        return super().cas(auth)


def test_a_stranger_costs_no_more_where_many_connections_want_the_same_cas() -> None:
    others = "".join(
        f"""
        [connections.of{number}]
        local_addrs = ["192.0.2.2"]
        remote_addrs = ["%any"]
        proposals = ["aes128gcm16-prfsha256-x25519"]
        [connections.of{number}.local]
        id = "{SUN}"
        auth = "pubkey"
        [connections.of{number}.remote]
        id = "peer{number}"
        auth = "pubkey-rsa-{2048 + number}"
        [connections.of{number}.children.net]
        """
        for number in range(40)
    )
    pki = chain("ed25519")
    ours, _ = memories(pki)
    theirs = Counting(pki.sun, (pki.root.der,))
    net = set_up((ours, theirs), b=replace(B, more=others))
    assert_joined(net)
    path = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))
    candidates = ConnectionMatch(net.b.config, NameTable()).candidates(path)
    assert len(candidates.wanted.remotes) == 41
    assert theirs.asked_for_cas == 1
