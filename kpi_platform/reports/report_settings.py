"""Who gets daily reports and until when they wait: `reports` in the file of KPI_ALERTS.

Belongs here: the grammar. Does not: those who subscribed themselves (`recipients.py`).
"""

from typing import Annotated

from pydantic import Field, field_validator

from kpi_platform.delivery.destinations import Service, checked_address
from kpi_platform.schemas.restatement_limits import Limit
from kpi_platform.schemas.sources_file.source_values import Name, Strict

ALL = "all"


class Recipient(Strict):
    """Somebody who gets the report of everything, or, with `studio`, of that studio alone."""

    name: Name
    studio: Name = ALL
    notification_service: Service

    @property
    def route(self) -> str:
        """What its messages are kept under."""
        return f"report {self.name}"


class Reports(Strict):
    """`operator`: the address of who subscribes people and takes them off; `deadline_hour`: the
    hour (UTC) of the next day at which a report leaves though its day is not complete; the least
    change of a figure that was sent which is told."""

    operator: str
    deadline_hour: Annotated[int, Field(ge=0, le=23)] = 12
    recipients: tuple[Recipient, ...] = ()
    restatement_share: Annotated[float, Field(ge=0)] = Limit.share
    restatement_units: Annotated[float, Field(ge=0)] = Limit.units

    @field_validator("operator")
    @classmethod
    def _address(cls, operator: str) -> str:
        return checked_address(operator)

    @field_validator("recipients")
    @classmethod
    def _names_once(cls, recipients: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
        names = [recipient.name for recipient in recipients]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two recipients are called {name!r}")
        return recipients

    @property
    def limit(self) -> Limit:
        """The least restatement of a figure that was sent which is told."""
        return Limit(self.restatement_share, self.restatement_units)
