"""The base of the model's sections, and the field types that several of them have."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainValidator

from ikepy.config import values

Boolean = Annotated[bool, PlainValidator(values.boolean)]
Seconds = Annotated[float, PlainValidator(values.seconds)]


class Section(BaseModel):
    """Base of all sections: immutable, and an unknown key is a mistake."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )
