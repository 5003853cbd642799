"""Whether anybody is told: the file of KPI_ALERTS can be read, and what it names is there.

Belongs here: the check. Does not: whether what was sent arrived (`table_checks.py`); whether it
would, which `kpi alerts test` tries.
"""

from collections.abc import Iterator

from kpi_platform.alerts.alert_round import read_alerts
from kpi_platform.alerts.policies import Alerts
from kpi_platform.delivery.destinations import Service
from kpi_platform.engine.platform import Platform
from kpi_platform.operations.findings import Finding
from kpi_platform.settings import secret

_CHECK = "policies"


def check_policies(platform: Platform) -> list[Finding]:
    """Raises PoliciesError or SourcesError, which say what is wrong and where."""
    if platform.settings.alerts is None:
        said = "KPI_ALERTS is not set: incidents are found, and nobody is told"
        return [Finding(_CHECK, "note", said, "docs/alerts.md")]
    alerts = read_alerts(platform)
    if not alerts.enabled:
        said = "KPI_ALERTS names no policy that is on: nobody is told of incidents"
        return [Finding(_CHECK, "note", said, "docs/alerts.md")]
    studios = {"unassigned", *(studio.key for studio in platform.sources.studios)}
    wrong = [*_unset(alerts), *_unknown_studios(alerts, studios)]
    well = Finding(_CHECK, "well", f"policies that are on: {len(alerts.enabled)}")
    return wrong or [well]


def _unset(alerts: Alerts) -> Iterator[Finding]:
    senders = {f"policy {each.name}": each.notification_service for each in alerts.enabled}
    if alerts.reports is not None:
        named = alerts.reports.recipients
        senders |= {f"reports to {each.name}": each.notification_service for each in named}
    mail = alerts.email_service
    for name, service in senders.items():
        variables = list(_variables(service))
        if service.email is not None and mail is not None and mail.smtp is not None:
            variables.append(mail.smtp.password_env)
        for variable in variables:
            if variable is not None and secret(variable) is None:
                mend = f"set {variable}, then: kpi alerts test"
                yield Finding(_CHECK, "wrong", f"{name}: {variable} is not set", mend)


def _variables(service: Service) -> Iterator[str | None]:
    """The variables that a service cannot do without."""
    if service.slack is not None:
        yield service.slack.webhook_env or service.slack.token_variable
    if service.url is not None:
        yield from (service.url.url_env, service.url.token_env)
    if service.apprise is not None:
        yield service.apprise.url_env


def _unknown_studios(alerts: Alerts, studios: set[str]) -> Iterator[Finding]:
    for policy in alerts.enabled:
        for studio in policy.studios:
            if studio not in studios:
                said = f"policy {policy.name}: KPI_SOURCES names no studio {studio!r}"
                yield Finding(_CHECK, "wrong", said, "correct its alert_targets in KPI_ALERTS")
