"""Rounds with policies and real servers: who is told what, once, whatever happens in between."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from kpi_platform.alerts import alert_round as rounds
from kpi_platform.alerts.alert_pass import Places, acknowledge_incident
from kpi_platform.alerts.alert_round import Round, alert_round
from kpi_platform.cli.cli import app
from kpi_platform.delivery import outbox
from kpi_platform.engine.books.hour_ledger import mark_failed
from kpi_platform.engine.platform import Platform
from kpi_platform.settings import load_settings
from kpi_platform_tests.alerts.test_alert_pass import ran
from kpi_platform_tests.delivery.loopback import WebServer, mail_server, web_server

HOUR = datetime(2026, 3, 10, 3, tzinfo=UTC)
ONE = timedelta(hours=1)
AT = HOUR + 2 * ONE
MINUTE = timedelta(minutes=1)
HOSTILE = "<!channel>\n`x`"
POLICIES = """
alert_policies:
- name: slack
  event_types: [ALL]
  notification_service: {slack: {slack_channel_name: "#kpi", token_env: BOT, api_url: URL}}
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_ALERTS", str(tmp_path / "alerts.yaml"))
    monkeypatch.setenv("BOT", "xoxb-planted-secret")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        yield Places(Platform(load_settings()), instance, {}, {})


@pytest.fixture
def server(places: Places, tmp_path: Path) -> Iterator[WebServer]:
    with web_server() as server:
        (tmp_path / "alerts.yaml").write_text(POLICIES.replace("URL", server.url))
        yield server


def said(server: WebServer) -> list[tuple[str, bool]]:
    """The headings that came, and whether each went into a thread."""
    bodies = [body for _, _, body in server.requests]
    return [(b["blocks"][0]["text"]["text"], "thread_ts" in b) for b in bodies]


def broken(places: Places, *hours: datetime) -> None:
    for hour in hours:
        mark_failed(places.parts.lake, hour, f"no such thing: {HOSTILE}", ["rails"])


def test_one_cause_is_told_once_grows_in_its_thread_and_ends_there(
    places: Places, server: WebServer
) -> None:
    ran(places, HOUR, HOUR + ONE)
    broken(places, HOUR)
    alert_round(places, AT)
    alert_round(places, AT + MINUTE)
    assert said(server) == [(":red_circle: An hour failed", False)]
    assert "<!channel>" not in json.dumps(server.requests[0][2])
    # Soon after nothing is added; an hour later that it grew.
    broken(places, HOUR + ONE)
    alert_round(places, AT + 2 * MINUTE)
    assert len(server.requests) == 1
    broken(places, HOUR + 2 * ONE)
    alert_round(places, AT + ONE)
    alert_round(places, AT + ONE + MINUTE)
    assert said(server)[1:] == [(":red_circle: More of: An hour failed", True)]
    ran(places, HOUR, HOUR + ONE, HOUR + 2 * ONE)
    alert_round(places, AT + ONE + 2 * MINUTE)
    alert_round(places, AT + ONE + 3 * MINUTE)
    assert said(server)[2:] == [(":large_green_circle: Right again: An hour failed", True)]


def test_what_a_round_that_was_killed_found_the_next_one_tells(
    places: Places, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(places, HOUR, HOUR + ONE)
    alert_round(places, AT - MINUTE)
    broken(places, HOUR)

    class KilledError(BaseException):
        pass

    def kill(*_: object) -> None:
        raise KilledError

    for victim in ("write_entries", "deliver"):
        with monkeypatch.context() as patch:
            patch.setattr(rounds, victim, kill)
            with pytest.raises(KilledError):
                alert_round(places, AT)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_note", kill)
        with pytest.raises(KilledError):
            alert_round(places, AT + MINUTE)
    assert said(server) == [(":red_circle: An hour failed", False)]
    alert_round(places, AT + 2 * MINUTE)
    # It had been sent, which nobody knew: told twice, never not at all.
    assert said(server) == [(":red_circle: An hour failed", False)] * 2


def test_what_came_and_went_while_no_round_could_tell_is_told(
    places: Places, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(places, HOUR, HOUR + ONE)
    alert_round(places, AT - MINUTE)
    broken(places, HOUR)
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "_write_down", lambda *_: None)
        alert_round(places, AT)
        ran(places, HOUR)
        alert_round(places, AT + MINUTE)
    alert_round(places, AT + 2 * MINUTE)
    ((_, _, body),) = server.requests
    assert "right since" in json.dumps(body)


def test_a_service_that_is_down_for_an_hour_is_an_incident_itself(
    places: Places, server: WebServer
) -> None:
    ran(places, HOUR, HOUR + ONE)
    broken(places, HOUR)
    server.answers += [(500, {}, "boom"), (429, {"Retry-After": "1"}, ""), "close"]
    first = alert_round(places, AT)
    assert (first.waiting, first.messages[0].state) == (1, "waiting")
    server.answers += [(404, {}, "no such channel")]
    found = alert_round(places, AT + ONE)
    (incident,) = [i for i in found.changed if i.key.kind == "alerts_undelivered"]
    assert (incident.key.asset, found.waiting) == ("slack", 1)
    assert "answers" in incident.cause or "no answer" in incident.cause
    assert "planted" not in str(found.figures()) + incident.cause
    last = alert_round(places, AT + 2 * ONE)
    assert last.waiting == 0
    assert [i.closed_by for i in alert_round(places, AT + 2 * ONE + MINUTE).changed] == ["itself"]


def test_a_heartbeat_comes_once_a_day_and_names_what_is_open(
    places: Places, server: WebServer
) -> None:
    ran(places, HOUR, HOUR + ONE)
    broken(places, HOUR)
    for hour in range(6, 9):
        alert_round(places, HOUR.replace(hour=hour))
    beats = [b for b in (r[2] for r in server.requests) if "watched" in json.dumps(b["blocks"][0])]
    assert len(beats) == 1
    assert "An hour failed" in json.dumps(beats[0]) and "thread_ts" not in beats[0]
    alert_round(places, HOUR.replace(hour=8, day=11))
    assert len([r for r in server.requests if "watched" in json.dumps(r[2])]) == 2


def test_acknowledged_incidents_are_silent_until_they_are_right(
    places: Places, server: WebServer
) -> None:
    ran(places, HOUR, HOUR + ONE)
    broken(places, HOUR)
    (incident,) = alert_round(places, AT).changed
    acknowledge_incident(places.parts, incident.incident_id, AT + MINUTE)
    broken(places, HOUR + ONE)
    alert_round(places, AT + 1.5 * ONE)
    assert len(server.requests) == 1
    ran(places, HOUR, HOUR + ONE)
    alert_round(places, AT + 1.6 * ONE)
    assert said(server)[1:] == [(":large_green_circle: Right again: An hour failed", True)]


def test_every_address_gets_a_mail_of_its_own_and_trials_say_what_happened(
    places: Places, tmp_path: Path
) -> None:
    ran(places, HOUR, HOUR + ONE)
    broken(places, HOUR)
    with mail_server(tmp_path) as server:
        (tmp_path / "alerts.yaml").write_text(
            "alert_policies: [{name: m, event_types: [hour_failed], notification_service: "
            "{email: {email_addresses: [a@example.com, b@example.com]}}}]\n"
            f"email_service: {{from: kpi@example.com, smtp: {{host: 127.0.0.1, port: {server.port},"
            f" ca_file: {server.certificate}}}}}\n"
        )
        done = alert_round(places, AT)
        assert sorted(server.recipients) == ["a@example.com", "b@example.com"]
        assert [m.state for m in done.messages] == ["sent", "sent"]
        server.refusals += ["550 nobody", "250 fine"]
        result = CliRunner().invoke(app, ["alerts", "test"])
    assert result.exit_code == 1
    assert "m a@example.com: failed: 127.0.0.1 answers 550: nobody" in result.stdout
    assert "m b@example.com: taken" in result.stdout


def test_without_a_file_nobody_is_told_and_a_wrong_one_is_named(
    places: Places, tmp_path: Path
) -> None:
    with pytest.raises(rounds.PoliciesError, match="No such file"):
        alert_round(places, AT)
    (tmp_path / "alerts.yaml").write_text("")
    ran(places, HOUR, HOUR + ONE)
    broken(places, HOUR)
    done: Round = alert_round(places, AT)
    assert (len(done.changed), done.messages, done.waiting) == (1, (), 0)
    assert CliRunner().invoke(app, ["alerts", "test"]).exit_code == 2
