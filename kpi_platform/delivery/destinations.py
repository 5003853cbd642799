"""Where messages go: the grammar of a service in the file of alerts. Secrets are named, never
written.

Belongs here: each service's settings. Does not: sending.
"""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from kpi_platform.schemas.sources_file.source_connections import Variable
from kpi_platform.schemas.sources_file.source_values import Name, Strict

_ADDRESS = re.compile(r"[^@\s<>,;:\"\\]+@[^@\s<>,;:\"\\]+")


def checked_address(address: str) -> str:
    """A mail address as it is; raises ValueError for anything else."""
    if not _ADDRESS.fullmatch(address) or not address.isprintable():
        raise ValueError("must be a mail address as name@example.com")
    return address


class Slack(Strict):
    """A channel: by an incoming webhook, or by a bot's token, which also answers in threads."""

    slack_workspace_name: str = ""
    slack_channel_name: str = ""
    webhook_env: Variable | None = None
    token_env: Variable | None = None
    api_url: str = "https://slack.com/api"

    @model_validator(mode="after")
    def _one_way(self) -> "Slack":
        if self.webhook_env is not None and self.token_env is not None:
            raise ValueError("needs either webhook_env or token_env")
        if self.webhook_env is None and not self.slack_channel_name:
            raise ValueError("needs slack_channel_name, or webhook_env")
        return self

    @property
    def token_variable(self) -> str:
        """The variable of the bot's token; that of files which name none."""
        return self.token_env or "SLACK_BOT_TOKEN"


class Smtp(Strict):
    """A mail server. `tls`: `starttls`, `tls` from the first byte, or `none`."""

    host: Name
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_env: Variable | None = None
    ca_file: str = ""

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> "Smtp":
        if self.password_env is not None and self.tls == "none":
            raise ValueError("a password is sent with tls: starttls or tls alone")
        return self


class Ses(Strict):
    """Amazon SES, with the standard AWS variables."""

    region: Name


class MailService(Strict):
    """How mail leaves: `sender` is its From, and one of the two carries it."""

    sender: Annotated[str, Field(alias="from")]
    smtp: Smtp | None = None
    ses: Ses | None = None

    @field_validator("sender")
    @classmethod
    def _address(cls, sender: str) -> str:
        return checked_address(sender)

    @model_validator(mode="after")
    def _one_way(self) -> "MailService":
        if (self.smtp is None) == (self.ses is None):
            raise ValueError("needs either smtp or ses")
        return self


class Email(Strict):
    """Addresses, each of which gets a mail of its own."""

    email_addresses: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("email_addresses")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(checked_address(address) for address in addresses))


class Web(Strict):
    """Any address that takes JSON by POST; `token_env`: sent as a bearer token."""

    url: str = ""
    url_env: Variable | None = None
    token_env: Variable | None = None

    @model_validator(mode="after")
    def _one_address(self) -> "Web":
        if (self.url_env is None) == (not self.url):
            raise ValueError("needs either url or url_env")
        if self.url and not re.match(r"https?://[^\s@]+$", self.url):
            raise ValueError("must begin with https:// and name no user; secrets go by url_env")
        return self


class Apprise(Strict):
    """One of the services of the library apprise, an optional extra: its address is secret."""

    url_env: Variable


class Service(Strict):
    """A policy's `notification_service`: one of these."""

    slack: Slack | None = None
    email: Email | None = None
    url: Web | None = None
    apprise: Apprise | None = None

    @model_validator(mode="after")
    def _one(self) -> "Service":
        if sum(each is not None for each in (self.slack, self.email, self.url, self.apprise)) != 1:
            raise ValueError("needs one of slack, email, url, apprise")
        return self

    def recipients(self) -> tuple[str, ...]:
        """To whom each message goes apart: addresses of mail; else it goes once."""
        return self.email.email_addresses if self.email else ("",)
