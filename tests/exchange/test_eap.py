"""Users authenticate by EAP in IKE_AUTH, the gateway by a secret (RFC 7296 2.16); what is refused, how."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.crypto.secret import Secret
from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.path import Anchors
from ikepy.daemon.credentials.known import Known
from ikepy.daemon.credentials.store import Store
from ikepy.sa.api.commands import Initiate, Rekey
from tests.pki import Entity, chain

from .credentials import KeyOf
from .eap_tls import Store as TlsStore
from .network import Network, Options, assert_joined
from .test_authenticators import INIT_LADDER, assert_nothing_left, round_of

ALICE = """
[secrets.eap-alice]
ids = ["alice@example.org"]
secret = "{}"
"""


def options(
    word: str, *, user: str = "alice@example.org", ours: str = "open sesame", theirs: str = "open sesame"
) -> tuple[Options, Options]:
    """a is the user, b the gateway."""
    a = Options(
        local=f'auth = "{word}"\neap_id = "{user}"',
        more=ALICE.replace("alice@example.org", user).format(ours),
    )
    b = Options(remote=f'auth = "{word}"\neap_id = "%any"', more=ALICE.format(theirs))
    return a, b


def begun(a: Options, b: Options) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=1))
    return net


def connect(a: Options, b: Options) -> Network:
    net = begun(a, b)
    net.run(5)
    return net


WORDS = pytest.mark.parametrize("word", ["eap-md5", "eap-mschapv2"])


@WORDS
def test_a_user_is_let_in(word: str) -> None:
    net = connect(*options(word))
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)
    rounds = {"eap-md5": 4, "eap-mschapv2": 5}[word]
    assert net.ladder == INIT_LADDER + [line for number in range(1, rounds + 1) for line in round_of(number)]
    (sa,) = net.b.manager.list_sas(net.now)
    assert sa.eap_id == "alice@example.org"
    assert [str(sa.local_id), str(sa.remote_id)] == ["gwb", "gwa"]


def test_identity_stays_over_a_rekey() -> None:
    net = connect(*options("eap-mschapv2"))
    net.command("a", Rekey(ike="ab", ticket=2))
    net.run(5)
    assert net.a.outcomes[2].ok
    (sa,) = net.b.manager.list_sas(net.now)
    assert sa.eap_id == "alice@example.org"


def test_ike_identity_is_the_user_where_none_is_asked_for() -> None:
    a, b = options("eap-mschapv2", user="gwa")
    b = replace(
        b,
        remote='auth = "eap-mschapv2"',
        more=ALICE.format("open sesame").replace("alice@example.org", "gwa"),
    )
    net = connect(a, b)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert len(net.ladder) == 2 + 2 * 4


def test_another_method_is_negotiated() -> None:
    a, b = options("eap-mschapv2")
    net = connect(a, replace(b, remote='auth = "eap-dynamic"\neap_id = "%any"'))
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text


def test_a_method_that_the_user_has_not_is_refused() -> None:
    a, b = options("eap-mschapv2")
    net = connect(a, replace(b, remote='auth = "eap-md5"\neap_id = "%any"'))
    assert not net.a.outcomes[1].ok
    assert any("EAP-MSCHAPV2 in place of EAP-MD5" in one for one in net.b.errors())
    assert_nothing_left(net)


@WORDS
def test_unknown_and_wrong_users_look_the_same(word: str) -> None:
    wrong = connect(*options(word, ours="a guess"))
    unknown = connect(*options(word, user="mallory@example.org", ours="a guess"))
    assert any("a wrong password of the user" in one for one in wrong.b.errors())
    assert any("no password is configured for the user" in one for one in unknown.b.errors())
    assert wrong.ladder == unknown.ladder
    for net in (wrong, unknown):
        assert "AUTHENTICATION_FAILED" in net.a.outcomes[1].text
        assert_nothing_left(net)


def test_a_peer_that_no_connection_is_for_is_asked_as_others_are() -> None:
    a, b = options("eap-mschapv2")
    known, stranger = (
        connect(replace(a, more=ALICE.format("a guess")), b),
        connect(replace(a, local_id="gwx"), b),
    )
    assert known.ladder == stranger.ladder
    assert "AUTHENTICATION_FAILED" in stranger.a.outcomes[1].text
    assert_nothing_left(stranger)


def test_a_gateway_without_the_secret_is_not_believed_whatever_eap_says() -> None:
    a, b = options("eap-mschapv2")
    net = connect(a, replace(b, secret="another one"))
    assert "authentication of the peer" in net.a.outcomes[1].text
    assert len(net.ladder) < 2 + 2 * 5
    assert_nothing_left(net)


def test_failed_attempts_are_counted() -> None:
    """Though they took several rounds: whoever guesses is not heard for a while."""
    net = begun(*options("eap-md5", ours="a guess"))
    net.run(1)
    for number in range(2, 12):
        net.command("a", Initiate("ab", "net", ticket=number))
        net.run(1)
    assert any("no further attempt is heard" in log.text for log in net.b.logs)


# -- EAP alone (RFC 5998) --------------------------------------------------------------------------


@WORDS
def test_eap_alone_takes_a_method_that_proves_both_ends(word: str) -> None:
    a, b = options(word)
    a = replace(a, remote=f'auth = "{word}"')
    b = replace(b, local=f'auth = "{word}"')
    net = connect(a, b)
    assert not net.a.outcomes[1].ok
    assert any("RFC 5998 4" in one for one in net.b.errors() + net.a.errors())
    assert_nothing_left(net)


@pytest.mark.parametrize("word", ["eap", "eap-mschapv2", "eap-md5"])
def test_eap_alone_tells_nobody_what_passwords_can_be_tried_on(word: str) -> None:
    """Nothing has authenticated a responder that asks for a weak method: it hears no answer to that."""
    a, b = options("eap-mschapv2")
    a = replace(a, local=a.local.replace("eap-mschapv2", word), remote='auth = "eap"')
    b = replace(
        b, local='auth = "eap-tls"', remote=b.remote.replace("mschapv2", "md5") if "5" in word else b.remote
    )
    net = connect(a, b)
    assert any("RFC 5998 4" in one for one in net.a.errors())
    assert [one for one in net.ladder if one.startswith("a -> b IKE_AUTH")] == ["a -> b IKE_AUTH request 1"]
    assert_nothing_left(net)


def test_eap_alone_is_not_forced_upon_a_peer_that_does_not_announce_it() -> None:
    a, b = options("eap-mschapv2")
    net = connect(a, replace(b, local='auth = "eap-mschapv2"'))
    assert any("does not support EAP alone" in one for one in net.b.errors())
    assert_nothing_left(net)


# -- who is who ------------------------------------------------------------------------------------


def test_users_are_told_apart_though_they_call_themselves_the_same_in_ike() -> None:
    """Whoever claims another's IKE identity, and to begin anew, ends nothing of that one's."""
    a, b = options("eap-mschapv2")
    bob = a.more.replace("alice", "bob") + a.more.replace("eap-alice", "eap-x")
    net = connect(a, replace(b, connection='unique = "replace"', more=bob))
    (alice,) = net.b.manager.list_sas(net.now)
    other = Network(replace(a, local=a.local.replace("alice", "bob"), more=bob), b, seed="another")
    net.a = other.a
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    users = {sa.eap_id: sa.ike_id for sa in net.b.manager.list_sas(net.now)}
    assert users == {"alice@example.org": alice.ike_id, "bob@example.org": alice.ike_id + 1}


def test_the_same_user_replaces_itself() -> None:
    a, b = options("eap-mschapv2")
    net = connect(a, replace(b, connection='unique = "replace"'))
    net.a = Network(a, b, seed="another").a
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    assert len(net.b.manager.list_sas(net.now)) == 1


# -- behind another proof (RFC 4739) ---------------------------------------------------------------


def twice(password: str = "open sesame") -> tuple[Options, Options]:
    """A secret first, then a user."""
    a, b = options("eap-mschapv2", ours=password)
    section = '[connections.ab.{}2]\nauth = "eap-mschapv2"\neap_id = "{}"\n'
    a = replace(a, local="", more=a.more + section.format("local", "alice@example.org"))
    return a, replace(b, remote="", more=b.more + section.format("remote", "%any"))


def test_a_secret_and_a_user_are_both_asked_for() -> None:
    net = connect(*twice())
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)
    (sa,) = net.b.manager.list_sas(net.now)
    assert sa.eap_id == "alice@example.org"


def test_the_first_proof_does_not_do_for_the_second() -> None:
    net = connect(*twice("a guess"))
    assert not net.a.outcomes[1].ok
    assert any("a wrong password of the user" in one for one in net.b.errors())
    assert_nothing_left(net)


def test_a_user_alone_does_not_do_where_a_secret_is_asked_for_too() -> None:
    _, b = twice()
    net = connect(options("eap-mschapv2")[0], b)
    assert not net.a.outcomes[1].ok
    assert_nothing_left(net)


class KeyForTls(KeyOf):
    def private_key(self, key_id: str) -> Secret | None:
        return Secret(self.of.pkcs8)


def by_certificate(pattern: str, claimed: str, user: Entity) -> Network:
    """A client without a name of EAP's own, which the gateway knows by its IKE identity."""
    made = chain()
    server = made.issue("gwb", san=("gwb",))
    store = Store(keys=KeyForTls(server))
    store.known = Known(
        (certificate(server.der),), Anchors([certificate(one.der) for one in (made.root, made.ca)])
    )
    net = Network(
        Options(local='auth = "eap-tls"', local_id=claimed),
        Options(remote='auth = "eap-tls"', remote_id=pattern),
        credentials=(TlsStore(user, {"gwb": server}), store),
    )
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    return net


@pytest.mark.parametrize(
    ("pattern", "claimed", "common", "names"),
    [
        ("*.example.org", "gw.example.org", "gw", ("gw.example.org",)),
        ("*@example.org", "alice@example.org", "alice", ("alice@example.org",)),
        ("C=CH, O=ikepy, CN=*", "C=CH, O=ikepy, CN=gw.example.org", "gw.example.org", ()),
    ],
)
def test_a_certificate_proves_the_ike_identity(
    pattern: str, claimed: str, common: str, names: tuple[str, ...]
) -> None:
    net = by_certificate(pattern, claimed, chain().issue(common, san=names))
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)


@pytest.mark.parametrize(
    ("pattern", "claimed", "common", "names"),
    [
        ("*.example.org", "fqdn:C=CH, O=ikepy, CN=gw.example.org", "gw.example.org", ()),
        ("*.example.org", "fqdn:alice@vpn.example.org", "alice", ("alice@vpn.example.org",)),
        ("*@example.org", "email:C=CH, O=ikepy, CN=x@example.org", "x@example.org", ()),
    ],
)
def test_a_certificate_of_the_same_text_and_another_type_does_not(
    pattern: str, claimed: str, common: str, names: tuple[str, ...]
) -> None:
    """A CA that lets people choose their subject, or proves their mailbox, does not vouch for an FQDN."""
    net = by_certificate(pattern, claimed, chain().issue(common, san=names))
    assert not net.a.outcomes[1].ok
    assert any("it is not of" in one for one in net.b.errors())
    assert_nothing_left(net)
