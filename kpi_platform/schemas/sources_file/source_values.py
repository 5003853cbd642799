"""Where a value of a conformed event comes from: a column, a path into its JSON, or a literal.

Belongs here: the grammar of values, times and conditions in mappings. Does not: applying them.
"""

import re
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

TimeUnit = Literal["timestamp", "date", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "text"]
EPOCH_PER_SECOND = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
Name = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    """Names that are not in the grammar are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_column(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


def _as_literal(value: object) -> object:
    return {"literal": value} if isinstance(value, str) else value


def as_list(value: object) -> object:
    """A text alone stands for a list of one; anything else is left to the validation."""
    return [value] if isinstance(value, str) else value


class When(Strict):
    """A condition on one column: it equals one of the texts, or, without any, it says yes.

    A column says yes unless it is null, false, zero, blank, `f`, `false`, `n` or `no`.
    """

    column: Name
    equals: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()


class Value(Strict):
    """A value: of a column (or a path into the JSON it holds), or always the same literal.

    `names` renames values found; `scale` multiplies a number exactly (cents: 0.01), and
    `negative_when` makes it negative, as for refunds, whichever sign these are kept with.
    """

    column: Name | None = None
    path: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    literal: str | None = None
    names: dict[str, str] = Field(default_factory=dict)
    scale: Decimal = Decimal(1)
    negative_when: When | None = None

    @field_validator("scale")
    @classmethod
    def _usable(cls, scale: Decimal) -> Decimal:
        if not scale.is_finite() or scale == 0:
            raise ValueError("must be a number that is not zero")
        return scale

    @model_validator(mode="after")
    def _one_origin(self) -> "Value":
        if (self.column is None) == (self.literal is None):
            raise ValueError("needs either column or literal")
        if self.path and self.column is None:
            raise ValueError("path needs a column")
        return self

    def columns(self) -> set[str]:
        """The columns the value is made from."""
        columns = {self.column} if self.column else set()
        return columns | ({self.negative_when.column} if self.negative_when else set())


class Time(Strict):
    """An instant: what the column holds, and the zone of what has no offset of its own.

    `format` (strptime) is of texts that are not ISO 8601.
    """

    column: Name
    path: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    unit: TimeUnit = "timestamp"
    zone: str = "UTC"
    format: str | None = None

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone; write it as Europe/Berlin") from None
        return zone

    @model_validator(mode="after")
    def _format_is_of_text(self) -> "Time":
        if self.format is not None and self.unit != "text":
            raise ValueError("format needs unit: text")
        return self


def comparable(time: Time | None) -> Time | None:
    """A database compares a text watermark as text: its parts must come greatest first.

    Raises ValueError if the watermark is not a column that can be compared.
    """
    if time is not None and time.path:
        raise ValueError("a watermark is a column of its own, not a path into one")
    if time is not None and time.format is not None:
        parts = re.findall(r"%([A-Za-z])", time.format)
        if not parts or parts != list("YmdHMS")[: len(parts)]:
            raise ValueError("the parts of a watermark must be %Y %m %d %H %M %S in this order")
    return time


# In YAML a plain text stands for the column; an event's name, of which there is one, for itself.
ColumnValue = Annotated[Value, BeforeValidator(_as_column)]
EventName = Annotated[Value, BeforeValidator(_as_literal)]
ColumnTime = Annotated[Time, BeforeValidator(_as_column)]
Watermark = Annotated[Time, BeforeValidator(_as_column)]
ColumnWhen = Annotated[When, BeforeValidator(_as_column)]
