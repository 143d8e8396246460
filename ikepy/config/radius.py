"""The RADIUS servers that users authenticate at, in the words of strongSwan's eap-radius plugin."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, PlainValidator, model_validator

from ikepy.config import fields, values
from ikepy.config.credentials import secret_source
from ikepy.config.section import Boolean, Seconds, Section
from ikepy.config.values import Address
from ikepy.crypto.secret import Secret

MAX_SERVERS = 16
UDP_PORT = "a UDP port"


class RadiusServer(Section):
    """One server. `preference`: the higher one is asked first."""

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True)

    name: str
    address: Annotated[Address | str, PlainValidator(values.host)]
    auth_port: Annotated[int, fields.integer(1, 65535, UDP_PORT)] = 1812
    acct_port: Annotated[int, fields.integer(1, 65535, UDP_PORT)] = 1813
    preference: Annotated[int, fields.integer(0, 1000, "the higher one is asked first")] = 0
    text: Annotated[Secret | None, PlainValidator(secret_source.from_text)] = Field(None, alias="secret")
    file: Annotated[Secret | None, PlainValidator(secret_source.from_file)] = Field(None, alias="secret_file")
    environment: Annotated[Secret | None, PlainValidator(secret_source.from_environment)] = Field(
        None, alias="secret_env"
    )

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if len([one for one in (self.text, self.file, self.environment) if one is not None]) != 1:
            raise ValueError("exactly one of secret, secret_file, secret_env must be given")
        return self

    @property
    def secret(self) -> Secret:
        """What we share with it."""
        return next(one for one in (self.text, self.file, self.environment) if one is not None)


class Radius(Section):
    """How RADIUS servers are asked. Times in seconds.

    `accounting_interval`: of interim reports; 0: as the server says. A request is sent `retransmit_tries`
    times more, after `retransmit_timeout`, and each time `retransmit_base` times as long.
    """

    servers: dict[str, RadiusServer] = Field(default_factory=dict)
    nas_identifier: Annotated[str, PlainValidator(values.sent_name)] = "ikepy"
    accounting: Boolean = False
    accounting_interval: Seconds = 0.0
    station_id_with_port: Boolean = True
    retransmit_timeout: Annotated[float, fields.number(0.1, 60, "seconds")] = 2.0
    retransmit_base: Annotated[float, fields.number(1, 10)] = 1.4
    retransmit_tries: Annotated[int, fields.integer(0, 10, "times more")] = 3

    @property
    def in_order(self) -> list[RadiusServer]:
        """The servers, in the order in which they are asked."""
        return sorted(self.servers.values(), key=lambda one: -one.preference)
