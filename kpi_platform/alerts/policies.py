"""Who is told what: the file of KPI_ALERTS, in the shape of Dagster+'s alert policies.

Belongs here: the grammar of the file, its mistakes, and whether a policy wants an incident. Does
not: the services (`delivery/destinations.py`), and what is said (`telling.py`).

Dagster+'s events are names for kinds of ours. Those that say that something went well are taken
and tell nothing. https://docs.dagster.io/guides/observe/alerts/yaml-reference
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from kpi_platform.alerts.incidents import Incident
from kpi_platform.delivery.destinations import MailService, Service
from kpi_platform.reports.recipients import SUBSCRIBED
from kpi_platform.reports.report_settings import Reports
from kpi_platform.schemas.findings import KINDS
from kpi_platform.schemas.restatement_limits import Limit
from kpi_platform.schemas.sources_file.source_values import Name, Strict
from kpi_platform.schemas.sources_file.yaml_lines import YamlError, parse
from kpi_platform.schemas.texts.hidden_secrets import SafeError

_BY_CHECKS = (
    *("check_failed", "files_held", "schema_drifted", "attribute_silent", "source_silent"),
    *("erasure_overdue", "figure_restated"),
)
_FRESHNESS = ("data_not_fresh", "source_silent")
_FAILURES = ("run_failed", "hour_failed")
# Dagster+'s events: the kinds that they stand for, and the severity if it matters.
_EVENTS: dict[str, tuple[tuple[str, ...], str]] = {
    "JOB_FAILURE": ((*_FAILURES, "backfill_hangs"), ""),
    "JOB_LONG_RUNNING": (("backfill_hangs",), ""),
    "TICK_FAILURE": (("sensor_failed",), ""),
    "AGENT_UNAVAILABLE": (("sensor_failed",), ""),
    "CODE_LOCATION_ERROR": (("sensor_failed",), ""),
    "ASSET_MATERIALIZATION_FAILURE": (_FAILURES, ""),
    "ASSET_MATERIALIZATION_FAILED": (_FAILURES, ""),
    "ASSET_CHECK_EXECUTION_FAILURE": (("run_failed",), ""),
    "ASSET_CHECK_SEVERITY_WARN": (_BY_CHECKS, "warn"),
    "ASSET_CHECK_SEVERITY_ERROR": (_BY_CHECKS, "error"),
    "ASSET_FRESHNESS_WARN": (_FRESHNESS, ""),
    "ASSET_FRESHNESS_FAIL": (_FRESHNESS, ""),
    "ASSET_OVERDUE": (_FRESHNESS, ""),
    "ASSET_HEALTH_WARNING": (tuple(KINDS), "warn"),
    "ASSET_HEALTH_DEGRADED": (tuple(KINDS), "error"),
    **dict.fromkeys(
        (
            *("JOB_SUCCESS", "ASSET_MATERIALIZATION_SUCCESS", "ASSET_CHECK_PASSED"),
            *("ASSET_FRESHNESS_PASS", "ASSET_HEALTH_HEALTHY"),
        ),
        ((), ""),
    ),
}


class PoliciesError(SafeError, ValueError):
    """KPI_ALERTS is wrong; the message is one line that names the line and the field."""


class AssetKeyTarget(Strict):
    """One asset, by the parts of its key."""

    asset_key: tuple[str, ...]


class GroupTarget(Strict):
    """The assets of a group. Where it is loaded from matters to Dagster+ alone."""

    asset_group: Name
    location_name: str = ""
    repo_name: str = ""


class StudioTarget(Strict):
    """What touches a studio."""

    studio: Name


class Target(Strict):
    """What a policy is about: one of these."""

    asset_key_target: AssetKeyTarget | None = None
    asset_group_target: GroupTarget | None = None
    studio_target: StudioTarget | None = None

    @model_validator(mode="after")
    def _one(self) -> "Target":
        targets = (self.asset_key_target, self.asset_group_target, self.studio_target)
        if sum(target is not None for target in targets) != 1:
            raise ValueError("needs one of asset_key_target, asset_group_target, studio_target")
        return self


class Options(Strict):
    """`tell_resolved`: say when it is right again; `heartbeat`: say once a day that all is well;
    the least restatement that is told."""

    tell_resolved: bool = True
    heartbeat: bool = True
    restatement_share: Annotated[float, Field(ge=0)] = Limit.share
    restatement_units: Annotated[float, Field(ge=0)] = Limit.units

    @property
    def limit(self) -> Limit:
        """The least restatement that is told."""
        return Limit(self.restatement_share, self.restatement_units)


class Policy(Strict):
    """One policy. Without targets it is about everything."""

    name: Name
    description: str = ""
    enabled: bool = True
    event_types: Annotated[tuple[str, ...], Field(min_length=1)]
    alert_targets: tuple[Target, ...] = ()
    notification_service: Service
    policy_options: Options = Options()

    @field_validator("event_types")
    @classmethod
    def _known(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        for event in events:
            if event not in _EVENTS and event not in KINDS and event != "ALL":
                raise ValueError(f"{event!r} is no event; ours are ALL, {', '.join(KINDS)}")
        return events

    @property
    def studios(self) -> tuple[str, ...]:
        """The studios that it is about; none if it is about more than studios."""
        targets = [target.studio_target for target in self.alert_targets]
        return tuple(each.studio for each in targets if each) if all(targets) else ()

    def wants(self, incident: Incident, studio: str, groups: Mapping[str, str]) -> bool:
        """Whether it is to tell the incident, which is of this studio (`all`: of every one).

        `groups`: the group of each asset. That alerts do not arrive every other policy tells.
        """
        if incident.key.kind == "alerts_undelivered":
            return incident.key.asset != self.name
        is_event = any(_is(event, incident) for event in self.event_types)
        targets = self.alert_targets
        return is_event and (
            not targets or any(_meets(t, incident, studio, groups) for t in targets)
        )


class Alerts(Strict):
    """The file. `email_service`: how mail leaves. `heartbeat_hour`: the hour of the day (UTC) from
    which on the day's heartbeat is sent. `reports`: who gets daily reports."""

    alert_policies: tuple[Policy, ...] = ()
    email_service: MailService | None = None
    heartbeat_hour: Annotated[int, Field(ge=0, le=23)] = 7
    runbook_url: str = ""
    reports: Reports | None = None

    @field_validator("alert_policies")
    @classmethod
    def _names_once(cls, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        names = [policy.name for policy in policies]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two policies are called {name!r}")
        return policies

    @model_validator(mode="after")
    def _mail_can_leave(self) -> "Alerts":
        recipients = self.reports.recipients if self.reports else ()
        mails = [p.name for p in self.alert_policies if p.notification_service.email is not None]
        mails += [r.name for r in recipients if r.notification_service.email is not None]
        if mails and self.email_service is None:
            raise ValueError(f"email_service is missing: {mails[0]!r} sends mail")
        return self

    @model_validator(mode="after")
    def _routes_once(self) -> "Alerts":
        recipients = self.reports.recipients if self.reports else ()
        routes = {SUBSCRIBED, *(recipient.route for recipient in recipients)}
        for policy in self.alert_policies:
            if policy.name in routes:
                raise ValueError(f"{policy.name!r} is a policy and what reports are sent under")
        return self

    @property
    def enabled(self) -> tuple[Policy, ...]:
        """The policies that are on."""
        return tuple(policy for policy in self.alert_policies if policy.enabled)

    def limit(self) -> Limit:
        """The least restatement that any policy tells; by default what the semantics say."""
        limits = [policy.policy_options.limit for policy in self.enabled] or [Limit()]
        return Limit(min(each.share for each in limits), min(each.units for each in limits))


def parse_alerts(text: str, name: str) -> Alerts:
    """Parse the YAML text of a file called `name`. Raises PoliciesError."""
    try:
        return parse(Alerts, text, name)
    except YamlError as error:
        raise PoliciesError(f"KPI_ALERTS: {error}") from None


def _is(event: str, incident: Incident) -> bool:
    if event in KINDS:
        return event == incident.key.kind
    kinds, severity = _EVENTS.get(event, (tuple(KINDS), ""))
    return incident.key.kind in kinds and severity in ("", incident.severity)


def _meets(target: Target, incident: Incident, studio: str, groups: Mapping[str, str]) -> bool:
    asset = incident.key.asset
    if target.asset_key_target is not None:
        return asset == target.asset_key_target.asset_key[-1]
    if target.asset_group_target is not None:
        return groups.get(asset) == target.asset_group_target.asset_group
    return target.studio_target is not None and studio in ("all", target.studio_target.studio)
