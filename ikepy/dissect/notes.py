"""Why each field is there: an RFC section and two sentences, by the key that a reader gives its field."""

from __future__ import annotations

Note = tuple[str, str]  # the RFC and its section; the note

_HEADER: dict[str, Note] = {
    "header": (
        "RFC 7296 3.1",
        "Every message begins with these 28 octets. They say which IKE SA and which exchange it belongs "
        "to, and are never encrypted.",
    ),
    "header.spi_i": (
        "RFC 7296 2.6",
        "The original initiator chose it to tell its IKE SAs apart. It stays the same for the life of "
        "the IKE SA and may never be zero.",
    ),
    "header.spi_r": (
        "RFC 7296 2.6",
        "The responder chose it. It is zero in the very first request, as the responder has not spoken yet.",
    ),
    "header.next": (
        "RFC 7296 3.2",
        "It names the type of the first payload. Payloads form a chain: each one names the type of the next.",
    ),
    "header.version": (
        "RFC 7296 2.5",
        "Major and minor version, 2.0 for IKEv2. A higher major version is refused; a higher minor one "
        "is not looked at.",
    ),
    "header.exchange": (
        "RFC 7296 1.2 to 1.4",
        "It says what the request and its response are for. It decides which payloads may stand in the "
        "message.",
    ),
    "header.flags": (
        "RFC 7296 3.1",
        "Initiator is set by the end that began the IKE SA, in requests and responses alike. Response "
        "tells an answer from a request, so that both ends can ask at the same time.",
    ),
    "header.id": (
        "RFC 7296 2.2",
        "It pairs a response with its request and tells a retransmission from a new message. Each end "
        "counts its own requests from zero, and a number is never used twice under the same keys.",
    ),
    "header.length": (
        "RFC 7296 3.1",
        "Octets of the whole message with this header. It must agree with the datagram, or the message "
        "is dropped.",
    ),
}

_GENERIC: dict[str, Note] = {
    "generic": (
        "RFC 7296 3.2",
        "Every payload begins with these four octets. A receiver that doesn't know the payload can skip "
        "it by them.",
    ),
    "generic.next": (
        "RFC 7296 3.2",
        "The type of the payload behind this one; 0 ends the chain. In an Encrypted payload it names "
        "the first payload inside.",
    ),
    "generic.critical": (
        "RFC 7296 2.5",
        "It says what to do with a payload of an unknown type: refuse the whole message if it is set, "
        "skip the payload if not. For known types it is ignored.",
    ),
    "generic.length": (
        "RFC 7296 3.2",
        "Octets of this payload with its generic header. The next payload begins right behind it.",
    ),
}

_SA: dict[str, Note] = {
    "33": (
        "RFC 7296 3.3",
        "It negotiates the algorithms: the initiator offers proposals, the responder chooses one. Who "
        "offers weak ones may get them, so what is offered is all that is ever acceptable.",
    ),
    "sa.proposal": (
        "RFC 7296 3.3.1",
        "One alternative, for one protocol: IKE, ESP or AH. Of each transform type exactly one "
        "transform is chosen from it.",
    ),
    "sa.number": (
        "RFC 7296 3.3.1",
        "Proposals are counted from 1. The response repeats the number of the one it chose.",
    ),
    "sa.protocol": (
        "RFC 7296 3.3.1",
        "What the SA will protect: this IKE SA itself, or packets by ESP or AH. Transform types that "
        "make sense depend on it.",
    ),
    "sa.spi": (
        "RFC 7296 3.3.1",
        "By this number the sender will know packets that are for it. Each end chooses the SPI of what "
        "it receives.",
    ),
    "sa.transform": (
        "RFC 7296 3.3.2",
        "One algorithm that the sender accepts. Transforms of the same type are alternatives to each other.",
    ),
    "sa.transform.type": (
        "RFC 7296 3.3.2",
        "What the algorithm is for: encryption, pseudorandom function, integrity, key exchange, "
        "sequence numbers. Types 6 to 12 are additional key exchanges (RFC 9370).",
    ),
    "sa.transform.id": (
        "RFC 7296 3.3.2",
        "The algorithm, by its number at IANA. What a number means depends on the transform type.",
    ),
    "sa.key_length": (
        "RFC 7296 3.3.5",
        "The key's length in bits, for algorithms that have keys of several lengths. A responder "
        "returns it unchanged.",
    ),
}

_PAYLOADS: dict[str, Note] = {
    "34": (
        "RFC 7296 3.4",
        "The public value of a key exchange: both ends compute the same secret from their own private "
        "value and this one. Whoever only listens can't.",
    ),
    "ke.group": (
        "RFC 7296 3.4",
        "The key exchange method that the public value is of. If the responder wants another one it "
        "says so in INVALID_KE_PAYLOAD, and the initiator asks again.",
    ),
    "ke.data": (
        "RFC 7296 3.4",
        "The public value; its length follows from the method. It is drawn anew for each IKE SA (or "
        "nearly so), which gives forward secrecy.",
    ),
    "35": (
        "RFC 7296 3.5",
        "Who the initiator says it is. AUTH proves it, and the responder looks up its policy by it.",
    ),
    "36": (
        "RFC 7296 3.5",
        "Who the responder is; from the initiator: whom it wants to speak to. One address may serve "
        "several identities.",
    ),
    "37": (
        "RFC 7296 3.6",
        "A certificate, or a part of its chain. It brings the public key that the signature in AUTH is "
        "verified by.",
    ),
    "38": (
        "RFC 7296 3.7",
        "The certification authorities that the sender trusts, as hashes of their public keys. The "
        "other end may choose a certificate by it, but need not.",
    ),
    "39": (
        "RFC 7296 2.15",
        "The proof of identity: a MAC or a signature over the sender's first message, the other end's "
        "nonce and its own identity. It also proves that nobody changed the unprotected first exchange.",
    ),
    "auth.method": (
        "RFC 7296 3.8",
        "How the proof was made. The two ends may use different methods.",
    ),
    "auth.data": (
        "RFC 7296 2.15",
        'The MAC or the signature itself. With a shared key: prf(prf(key, "Key Pad for IKEv2"), signed '
        "octets).",
    ),
    "40": (
        "RFC 7296 2.10",
        "Fresh random octets of each end. All keys depend on them, so that old messages can't be played "
        "again.",
    ),
    "41": (
        "RFC 7296 3.10",
        "An error, or a status: what the sender supports, detected, or wants. Types below 16384 are errors.",
    ),
    "notify.protocol": (
        "RFC 7296 3.10",
        "The protocol of the SA that the SPI names. It means nothing where there is no SPI.",
    ),
    "notify.type": (
        "RFC 7296 3.10.1",
        "What is told. Unknown status types are ignored, unknown errors fail the request.",
    ),
    "42": (
        "RFC 7296 3.11",
        "SAs that the sender has deleted. For ESP they are its inbound ones, and the other end answers "
        "with the opposite direction.",
    ),
    "43": (
        "RFC 7296 3.12",
        "It names an implementation or one of its private extensions. Nobody has to understand it.",
    ),
    "44": (
        "RFC 7296 2.9",
        "Which traffic the initiator's side of the CHILD_SA may carry: addresses, protocol, ports. The "
        "responder may narrow it.",
    ),
    "45": (
        "RFC 7296 2.9",
        "Which traffic the responder's side of the CHILD_SA may carry: addresses, protocol, ports. "
        "Packets beside the selectors are dropped.",
    ),
    "ts.selector": (
        "RFC 7296 3.13.1",
        "A range of addresses with a protocol and a range of ports; all bounds count in. Several "
        "selectors are alternatives.",
    ),
    "46": (
        "RFC 7296 3.14",
        "It hides all payloads inside and protects the whole message against change. It is always the "
        "last payload.",
    ),
    "53": (
        "RFC 7383 2.5",
        "A part of a message that was too long for one packet, encrypted on its own. So a forged "
        "fragment is found at once, and IP needs not fragment.",
    ),
    "skf.number": (
        "RFC 7383 2.5",
        "Which fragment this is, counted from 1. Only the first one names the type of the first payload "
        "inside.",
    ),
    "skf.total": (
        "RFC 7383 2.5",
        "How many fragments the message has. A sender that tries smaller ones raises it, and the "
        "receiver starts over.",
    ),
    "sk.iv": (
        "RFC 7296 3.14",
        "The initialization vector. It makes equal messages look different; an AEAD must never see one "
        "twice under the same key.",
    ),
    "sk.encrypted": (
        "RFC 7296 3.14",
        "The payloads with padding, encrypted by SK_ei or SK_er. Who has no keys sees nothing but their "
        "length.",
    ),
    "sk.icv": (
        "RFC 7296 3.14",
        "The integrity checksum over the whole message up to here. A message whose checksum is wrong is "
        "dropped without a word.",
    ),
    "sk.padding": (
        "RFC 7296 3.14",
        "It fills the block of the cipher. Its last octet says how much of it there is.",
    ),
    "47": (
        "RFC 7296 3.15",
        "What a client asks of the gateway's network, and what it gets: an inner address, name servers, "
        "subnets. An empty attribute asks for a value.",
    ),
    "48": (
        "RFC 7296 2.16",
        "A packet of EAP (RFC 3748), by which a user proves who it is. It replaces the initiator's AUTH "
        "until EAP has succeeded.",
    ),
}

_NOTIFIES: dict[str, Note] = {
    "notify.NAT_DETECTION_SOURCE_IP": (
        "RFC 7296 2.23",
        "SHA-1 of both SPIs and the sender's address and port. If the receiver computes another value, "
        "a NAT stands in front of the sender.",
    ),
    "notify.NAT_DETECTION_DESTINATION_IP": (
        "RFC 7296 2.23",
        "SHA-1 of both SPIs and the receiver's address and port. If it doesn't match, the receiver "
        "itself is behind a NAT.",
    ),
    "notify.COOKIE": (
        "RFC 7296 2.6",
        "A responder under load wants it back before it remembers anything. Whoever forges its address "
        "never sees it.",
    ),
    "notify.IKEV2_FRAGMENTATION_SUPPORTED": (
        "RFC 7383 2.3",
        "Both ends must say so before one may send fragments. Big certificates would need IP fragments "
        "otherwise, which many firewalls drop.",
    ),
    "notify.SIGNATURE_HASH_ALGORITHMS": (
        "RFC 7427 4",
        "The hash functions that the sender can verify signatures with. Without it the method Digital "
        "Signature may not be used.",
    ),
    "notify.MOBIKE_SUPPORTED": (
        "RFC 4555 3.2",
        "The IKE SA may move to other addresses. Only its original initiator decides when.",
    ),
    "notify.INITIAL_CONTACT": (
        "RFC 7296 2.4",
        "This is the only IKE SA between the two identities that the sender knows. The other end "
        "deletes older ones: the sender has lost them.",
    ),
    "notify.REKEY_SA": (
        "RFC 7296 1.3.3",
        "The CREATE_CHILD_SA replaces the CHILD_SA with this SPI. The old one is deleted once the new "
        "one is in use.",
    ),
    "notify.ESP_TFC_PADDING_NOT_SUPPORTED": (
        "RFC 7296 1.3.1",
        "The sender doesn't accept padding beyond what ESP needs. Such padding would hide the packets' "
        "lengths.",
    ),
    "notify.USE_TRANSPORT_MODE": (
        "RFC 7296 1.3.1",
        "The CHILD_SA is to protect packets of the two ends themselves, without an outer IP header. "
        "Without it tunnel mode is used.",
    ),
    "notify.INVALID_KE_PAYLOAD": (
        "RFC 7296 1.2",
        "The responder wants the key exchange method that the data names. The initiator repeats its "
        "request with that one.",
    ),
    "notify.NO_PROPOSAL_CHOSEN": (
        "RFC 7296 2.7",
        "None of the proposals is acceptable. Compare both ends' algorithms, key lengths and groups.",
    ),
    "notify.AUTHENTICATION_FAILED": (
        "RFC 7296 2.21.2",
        "The proof of identity was not accepted, and the IKE SA is not set up. A wrong key, identity or "
        "certificate are the usual causes; the message doesn't say which.",
    ),
    "notify.TS_UNACCEPTABLE": (
        "RFC 7296 2.9",
        "Nothing of the traffic that was asked for is permitted. Compare the selectors of both ends.",
    ),
    "notify.INVALID_SYNTAX": (
        "RFC 7296 3.10.1",
        "A message was malformed or had a value out of range. One of the two implementations has a fault.",
    ),
    "notify.INTERMEDIATE_EXCHANGE_SUPPORTED": (
        "RFC 9242 3.1",
        "Exchanges between IKE_SA_INIT and IKE_AUTH are possible. They carry what is too big for "
        "IKE_SA_INIT, as post-quantum key exchanges are.",
    ),
    "notify.CHILDLESS_IKEV2_SUPPORTED": (
        "RFC 6023 3",
        "The responder accepts an IKE_AUTH that asks for no CHILD_SA. So an IKE SA can be set up first "
        "and its children later.",
    ),
    "notify.REDIRECT_SUPPORTED": (
        "RFC 5685 3",
        "The client lets itself be sent to another gateway. A gateway that is full or goes down uses this.",
    ),
    "notify.USE_PPK": (
        "RFC 8784 3",
        "A preshared key can be mixed into the keys. It keeps them safe from a quantum computer that "
        "records today.",
    ),
    "notify.TEMPORARY_FAILURE": (
        "RFC 7296 2.25",
        "The other end is busy with an exchange that this one would collide with. The request may be "
        "tried again later.",
    ),
    "notify.CHILD_SA_NOT_FOUND": (
        "RFC 7296 2.25",
        "The CHILD_SA that was to be rekeyed is not there. It was perhaps deleted at the same moment.",
    ),
    "notify.ADDITIONAL_KEY_EXCHANGE": (
        "RFC 9370 2.2.4",
        "It links an IKE_FOLLOWUP_KE to the exchange that it continues. The data is opaque to the initiator.",
    ),
    "notify.EAP_ONLY_AUTHENTICATION": (
        "RFC 5998 3",
        "The initiator is content if EAP authenticates the responder, too. It then sends no certificate.",
    ),
    "notify.UPDATE_SA_ADDRESSES": (
        "RFC 4555 3.5",
        "The addresses of this message are those to use from now on, for the IKE SA and its children. "
        "The other end may test them first.",
    ),
}

_ESP: dict[str, Note] = {
    "esp": (
        "RFC 4303 2",
        "A packet of the tunnel, encrypted and authenticated. Only the SPI and the sequence number are "
        "readable.",
    ),
    "esp.spi": (
        "RFC 4303 2.1",
        "It names the SA at the receiver, which has chosen it. Keys and algorithms are found by it.",
    ),
    "esp.sequence": (
        "RFC 4303 2.2",
        "It counts the packets of the SA. The receiver drops what comes twice, or too late for its window.",
    ),
    "esp.padding": (
        "RFC 4303 2.4",
        "1, 2, 3 and so on up to the block of the cipher, at least to four octets. It can hide the "
        "packet's length.",
    ),
    "esp.next_header": (
        "RFC 4303 2.6",
        "What was inside: 4 an IPv4 packet, 41 an IPv6 packet, 59 a dummy that is thrown away. In "
        "transport mode it is the upper protocol.",
    ),
    "esp.icv": (
        "RFC 4303 2.8",
        "The integrity check value over the packet. A packet whose value is wrong is dropped and counted.",
    ),
    "marker": (
        "RFC 3948 2.2",
        "Four zero octets in front of IKE on port 4500. ESP begins with an SPI there, which is never zero.",
    ),
    "keepalive": (
        "RFC 3948 2.3",
        "One octet 0xFF that keeps a NAT's mapping alive. The receiver ignores it.",
    ),
}

_FRAMES: dict[str, Note] = {
    "frame.ethernet": (
        "",
        "It brings the frame over one link only. Every router takes it off, and puts on one of its own.",
    ),
    "frame.ipv4": (
        "RFC 791 3.1",
        "Routers read this header and nothing behind it. In tunnel mode there are two: the one outside goes "
        "from gateway to gateway, the one inside from host to host.",
    ),
    "frame.ipv6": (
        "RFC 8200 3",
        "Routers read this header and nothing behind it. In tunnel mode there are two: the one outside goes "
        "from gateway to gateway, the one inside from host to host.",
    ),
    "frame.length": (
        "RFC 791 3.1",
        "It grows with each header that is put around the packet. That is why the tunnel's MTU is smaller "
        "than the link's.",
    ),
    "frame.ttl": (
        "RFC 791 3.2",
        "Each router takes one off, so that a loop ends. The tunnel counts as one hop, however many routers "
        "the outer packet passes.",
    ),
    "frame.udp": (
        "RFC 768",
        "Ports, a length and a checksum. NATs understand it, which is why ESP hides in it behind a NAT.",
    ),
    "frame.vxlan": (
        "RFC 7348 5",
        "The pods share an Ethernet segment that does not exist as a cable. Its frames travel in UDP between "
        "the hosts.",
    ),
    "frame.vni": (
        "RFC 7348 4",
        "It tells the segments apart that share one network. A host with another number never sees the "
        "frame.",
    ),
    "frame.segment": (
        "RFC 7348 4",
        "The pod's own frame, as it left its interface. Whoever can read the network below can read it all.",
    ),
    "frame.icmp": (
        "RFC 792",
        "A ping asks with an echo request, and the other host sends all of it back. Identifier and sequence "
        "number pair the two.",
    ),
}

NOTES: dict[str, Note] = {**_HEADER, **_GENERIC, **_SA, **_PAYLOADS, **_NOTIFIES, **_ESP, **_FRAMES}
