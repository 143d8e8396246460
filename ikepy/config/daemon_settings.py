"""Settings of the whole daemon, and of its HTTP server: `[daemon]` and `[daemon.http]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import PlainValidator

from ikepy.config import fields, values
from ikepy.config.dns_name import DnsName
from ikepy.config.fields import LogFormat, LogLevel, Ready, Subsystem, Sysctls
from ikepy.config.section import Boolean, Impairments, OwnPort, Seconds, Section
from ikepy.config.values import Address
from ikepy.wire.message import MAX_FRAGMENTS, MAX_MESSAGE, MAX_PAYLOADS
from ikepy.wire.proposal import MAX_PROPOSALS

_SYSCTLS = {word: word for word in ("check", "set", "ignore")}
_READY = {word: word for word in ("all", "any", "none")}
_LEVELS = {word: word for word in ("debug", "info", "warning", "error")}


class Http(Section):
    """The HTTP server: metrics, health and SAs, to read only.

    `ready`: which of the children with `start_action = "start"` must be up for /readyz. `strongswan_names`:
    add the metrics of ipsec-prometheus-exporter. `ladder`: a page that shows the messages of IKE.
    """

    listen: Annotated[tuple[Address, int], PlainValidator(values.listen)]
    ready: Annotated[Ready, fields.choice("condition", _READY)] = "all"
    strongswan_names: Boolean = False
    ladder: Boolean = False


class Daemon(Section):
    """Settings of the whole daemon; the retransmission defaults are charon's. Times in seconds."""

    port: OwnPort = 500
    port_nat_t: OwnPort = 4500
    retransmit_timeout: Annotated[float, fields.number(0.01, 600, "seconds")] = 4.0
    retransmit_base: Annotated[float, fields.number(1, 10)] = 1.8
    retransmit_tries: Annotated[int, fields.integer(0, 100)] = 5
    retransmit_jitter: Annotated[int, fields.integer(0, 20, "percent")] = 10  # charon's default is 0
    retransmit_limit: Seconds = 0.0  # of one interval; 0: none
    # Requests a peer may have outstanding; above 1 it is announced by SET_WINDOW_SIZE (RFC 7296 2.3).
    window_size: Annotated[int, fields.integer(1, 64, "requests at once")] = 1
    keep_alive: Seconds = 20.0  # 0: no NAT keepalives
    # Octets of a whole IP packet; 0: 576 over IPv4, 1280 over IPv6.
    fragment_size: Annotated[int, fields.fragment_size] = 1280
    # Seconds that a replaced secret is accepted beside its successor; 0: refused at once.
    old_secret_grace: Seconds = 600.0
    half_open_timeout: Annotated[float, fields.number(0.1, 3600, "seconds")] = 30.0
    cookie_threshold: Annotated[int, fields.integer(0, 1_000_000, "half-open IKE_SAs; 0: no cookies")] = 30
    cookie_threshold_ip: Annotated[
        int, fields.integer(0, 1_000_000, "half-open IKE_SAs of one address; 0: no cookies")
    ] = 3
    block_threshold: Annotated[
        int, fields.integer(0, 1_000_000, "half-open IKE_SAs of one address; 0: no limit")
    ] = 5
    # charon's name. charon refuses new ones at the limit (default 0); here the oldest are dropped.
    init_limit_half_open: Annotated[
        int, fields.integer(0, 1_000_000, "half-open IKE_SAs in all; 0: no limit")
    ] = 2000
    # Where all clients that support REDIRECT (RFC 5685) are sent that begin; None: they are served here.
    redirect_to: Annotated[Address | DnsName | None, PlainValidator(values.gateway)] = None
    # Seconds for which the tickets that we grant are valid (RFC 5723).
    ticket_lifetime: Annotated[float, fields.number(60, 86400, "seconds")] = 3600.0
    # CPU budget for handshakes with unauthenticated peers.
    strangers_cpu: Annotated[float, fields.number(0, 1000, "percent of one CPU; 0: no limit")] = 25.0
    # Send rate-limited INVALID_SELECTORS for packets outside an SA's selectors (RFC 4301 5.2).
    invalid_selectors: Boolean = True
    # Largest IKE message received in one UDP datagram, in octets; charon's default.
    max_packet: Annotated[int, fields.integer(1280, MAX_MESSAGE, "octets of a message")] = 10000
    # Octets of the fragments of one message together (RFC 7383 5); from strangers never more than 24576.
    max_message: Annotated[int, fields.integer(1280, MAX_MESSAGE, "octets of all fragments")] = MAX_MESSAGE
    max_fragments: Annotated[int, fields.integer(1, MAX_FRAGMENTS, "fragments of a message")] = MAX_FRAGMENTS
    max_payloads: Annotated[int, fields.integer(8, MAX_PAYLOADS, "payloads of a message")] = MAX_PAYLOADS
    max_proposals: Annotated[int, fields.integer(1, MAX_PROPOSALS, "of an SA payload")] = MAX_PROPOSALS
    workers: Annotated[int | None, fields.integer(1, 256)] = None  # None: the CPUs it may use
    # Real-time priority of workers under load, ahead of ordinary processes as the kernel's network stack is.
    worker_priority: Annotated[int, fields.integer(0, 99, "real-time; 0: ordinary")] = 1
    # Whom control becomes once a privileged process has its rights; "": nobody, it keeps them. None: "ikepy"
    # if there is such a user, else "nobody".
    user: str | None = None
    worker_user: str = "nobody"  # "": the one that starts the daemon
    socket: Annotated[Path, PlainValidator(values.absolute_path)] = Path("/run/ikepy/ikepy.sock")
    # Where keys are kept that outlive the process, as of tokens (RFC 6290) and tickets (RFC 5723), and the
    # leases of pools; None: they end with it.
    state_dir: Annotated[Path | None, PlainValidator(values.absolute_path)] = None
    # Tell peers under the protection of IKE_SAs how we say that we lost them; needs `state_dir`.
    crash_detection: Boolean = True
    # Where all keys are written, for Wireshark and `ikepy decode`; None: nowhere.
    keylog_dir: Annotated[Path | None, PlainValidator(values.absolute_path)] = None
    socket_group: str = ""  # whose members may use it; "": only root and who starts the daemon
    log_level: Annotated[LogLevel, fields.choice("level", _LEVELS)] = "info"
    log_levels: Annotated[tuple[tuple[Subsystem, LogLevel], ...], fields.each(fields.subsystem_level)] = ()
    log_format: Annotated[LogFormat, fields.choice("format", {"text": "text", "json": "json"})] = "text"
    # What becomes of kernel settings that a gateway needs.
    sysctls: Annotated[Sysctls, fields.choice("way", _SYSCTLS)] = "check"
    http: Http | None = None
    # Whether `impairments`, here and in connections, may ask for a daemon that breaks the protocol.
    impairments_allowed: Boolean = False
    impairments: Impairments = ()
