"""The file of KPI_ALERTS: a file of Dagster+ is read as it is, and mistakes are named by line."""

from datetime import UTC, datetime

import pytest

from kpi_platform.alerts.incidents import Look, fold
from kpi_platform.alerts.policies import PoliciesError, parse_alerts
from kpi_platform.schemas.findings import KINDS, Finding

AT = datetime(2026, 3, 10, tzinfo=UTC)
DAGSTER_PLUS = """
alert_policies:
- alert_targets:
  - asset_key_target:
      asset_key:
      - cleaned_events
  - asset_group_target:
      asset_group: kpis
      location_name: prod
      repo_name: __repository__
  description: Tells a channel when a check of an asset fails.
  event_types:
  - ASSET_CHECK_SEVERITY_WARN
  - ASSET_MATERIALIZATION_FAILED
  name: check-failure-alert-slack
  notification_service:
    slack:
      slack_channel_name: notifications
      slack_workspace_name: hooli
- name: everybody
  event_types: [ALL]
  notification_service:
    email:
      email_addresses: [richard.hendricks@hooli.com, nelson.bighetti@hooli.com]
email_service:
  from: kpi@hooli.com
  smtp: {host: mail.hooli.com}
"""
ONE = "alert_policies:\n- name: a\n  event_types: [ALL]\n  notification_service:\n"
URL = "    url: {url: 'https://x'}\n"
REPORTS = "reports:\n  operator: o@b.c\n  recipients:\n"
TO = "  - {{name: {}, notification_service: {{url: {{url: 'https://x'}}}}}}\n"


def wants(name: str, kind: str, asset: str, severity: str = "warn", studio: str = "all") -> bool:
    finding = Finding(kind, asset, "broken", severity="error" if severity == "error" else "warn")
    (incident,) = fold([], [Look((finding,))], AT)
    policies = {policy.name: policy for policy in parse_alerts(DAGSTER_PLUS, "f").alert_policies}
    return policies[name].wants(incident, studio, {"kpi_daily": "kpis"})


def test_a_file_of_dagster_plus_is_read_as_it_is() -> None:
    slack = "check-failure-alert-slack"
    assert wants(slack, "check_failed", "cleaned_events")
    assert not wants(slack, "check_failed", "cleaned_events", "error")
    assert wants(slack, "check_failed", "kpi_daily")
    assert not wants(slack, "check_failed", "sessions")
    assert wants(slack, "hour_failed", "cleaned_events", "error")
    assert all(wants("everybody", kind, "anything") for kind in KINDS)
    # That a policy's own messages do not arrive, the others tell.
    assert wants(slack, "alerts_undelivered", "everybody")
    assert not wants(slack, "alerts_undelivered", slack)


def test_a_studio_is_a_target() -> None:
    text = ONE + "    url: {url: 'https://example.com/'}\n"
    text += "  alert_targets: [{studio_target: {studio: north}}]\n"
    (policy,) = parse_alerts(text, "f").alert_policies
    (incident,) = fold([], [Look((Finding("files_held", "raw_telemetry", "gone"),))], AT)
    assert [policy.wants(incident, s, {}) for s in ("north", "south", "all")] == [True, False, True]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("alert_policies: [", 1, ""),
        ("alert_policies: a", 1, "alert_policies: must be a list"),
        ("- a", 1, "file: must have fields"),
        (ONE.replace("event_types", "event_typs") + URL, 3, "event_typs: there is no such field"),
        (ONE.replace("  event_types: [ALL]\n", "") + URL, 2, "event_types: is missing"),
        (ONE.replace("[ALL]", "ALL") + URL, 3, "event_types: must be a list"),
        (ONE.replace("[ALL]", "[]") + URL, 3, "event_types: must not be empty"),
        (ONE.replace("name: a", "name: ''") + URL, 2, "name: must not be blank"),
        (ONE + URL + "  enabled: perhaps\n", 6, "enabled: must be true or false"),
        ("alert_polices: []", 1, "alert_polices"),
        (ONE, 4, "notification_service"),
        (ONE + "    slack: {}\n", 5, "slack_channel_name"),
        (ONE + "    slack: {webhook_env: A, token_env: B}\n", 5, "either"),
        (ONE + "    slack: {webhook_env: 'https://hooks.slack.com/planted'}\n", 5, "webhook_env"),
        (ONE + "    url: {url: 'ftp://x'}\n", 5, "https://"),
        (ONE + "    url: {url: 'https://u:planted@x'}\n", 5, "url_env"),
        (ONE + "    pagerduty: {integration_key: planted}\n", 5, "pagerduty"),
        (ONE + "    email: {email_addresses: ['a b']}\n", 5, "mail address"),
        (ONE + '    email: {email_addresses: ["a@b.c\\nBcc: d"]}\n', 5, "mail address"),
        (ONE + "    email: {email_addresses: [a@b.c]}\n", 1, "email_service is missing"),
        (ONE.replace("ALL", "OOPS") + "    url: {url: 'https://x'}\n", 3, "no event"),
        (
            ONE + "    url: {url: 'https://x'}\n  policy_options: {heartbeat: maybe}\n",
            6,
            "heartbeat",
        ),
        ("heartbeat_hour: 24", 1, "heartbeat_hour"),
        ("reports:\n  deadline_hour: 12\n", 1, "operator"),
        ("reports:\n  operator: 'a b'\n", 2, "mail address"),
        ("reports:\n  operator: a@b.c\n  deadline_hour: 24\n", 3, "deadline_hour"),
        (REPORTS + TO.format("a") + TO.format("a"), 3, "two recipients"),
        (
            REPORTS + "  - {name: a, notification_service: {email: {email_addresses: [a@b.c]}}}\n",
            1,
            "email_service is missing: 'a'",
        ),
        (REPORTS + TO.format("a") + ONE.replace("name: a", "name: report a") + URL, 1, "report a"),
        ("email_service: {from: a@b.c}", 1, "either smtp or ses"),
        (
            "email_service:\n  from: a@b.c\n"
            "  smtp: {host: h, tls: none, user: u, password_env: P}\n",
            3,
            "starttls",
        ),
    ],
)
def test_a_mistake_is_named_by_line_and_field_and_no_secret_is_repeated(
    text: str, line: int, said: str
) -> None:
    with pytest.raises(PoliciesError) as error:
        parse_alerts(text, "alerts.yaml")
    assert f"KPI_ALERTS: alerts.yaml line {line}: " in str(error.value)
    assert said in str(error.value)
    assert "planted" not in str(error.value)


def test_two_policies_have_two_names() -> None:
    text = ONE + "    url: {url: 'https://x'}\n"
    with pytest.raises(PoliciesError, match="two policies are called 'a'"):
        parse_alerts(text + text.partition("\n")[2], "f")


def test_the_least_limit_of_restatements_counts_and_by_default_the_platforms() -> None:
    assert parse_alerts("", "f").limit() == parse_alerts(DAGSTER_PLUS, "f").limit()
    text = ONE + "    url: {url: 'https://x'}\n  policy_options: {restatement_share: 0.001}\n"
    assert parse_alerts(text, "f").limit().share == 0.001
