"""The base of the model's sections, and the field types that several of them have."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainValidator

from ikepy.config import fields, values

MOST_IMPAIRMENTS = 32

Boolean = Annotated[bool, PlainValidator(values.boolean)]
Seconds = Annotated[float, PlainValidator(values.seconds)]
Port = Annotated[int, fields.integer(1, 65535, "a UDP port")]
OwnPort = Annotated[int, fields.integer(0, 65535, "a UDP port; 0: one that the kernel chooses at the start")]
Impairments = Annotated[tuple[str, ...], fields.each(values.text, most=MOST_IMPAIRMENTS)]


class Section(BaseModel):
    """Base of all sections: immutable, and an unknown key is a mistake."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )
