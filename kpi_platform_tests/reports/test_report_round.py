"""The daily report leaves once, when its day is complete or at the deadline, and is corrected."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from kpi_platform.cli.cli import app
from kpi_platform.delivery import outbox
from kpi_platform.engine.books.hour_ledger import mark_failed
from kpi_platform.reports import report_round
from kpi_platform_tests.published.pages.page_world import GRAINS, HOSTILE, daily
from kpi_platform_tests.reports.conftest import ALERTS, DAWN, DAY, MINUTE, NOON, ONE_DAY, World

# One process makes what all of it reads.
pytestmark = pytest.mark.xdist_group("report_round")

POLICY = (
    "alert_policies: [{name: a, event_types: [hour_failed], "
    "notification_service: {slack: {webhook_env: HOOK}}}]\n"
)


def text_of(world: World, number: int = -1) -> str:
    part = world.mails()[number].get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def subjects(world: World) -> list[str]:
    return [str(mail["Subject"]) for mail in world.mails()]


def complete(world: World, day: date = DAY) -> pl.DataFrame:
    return world.changed(day, is_complete=True)


def test_a_report_leaves_once_when_its_day_is_complete(world: World) -> None:
    world.publish()
    assert world.round(DAWN).messages == ()
    world.publish(complete(world))
    world.round(DAWN + MINUTE)
    world.round(DAWN + 2 * MINUTE)
    world.round(NOON + MINUTE)
    assert subjects(world) == ["Daily KPI report, 2026-02-09"]
    assert text_of(world).startswith(
        "DAILY KPI REPORT\nMonday, 9 February 2026: 139 active players"
    )
    assert len(world.web.requests) == 1


def test_a_mail_has_plain_text_a_page_with_its_pictures_and_a_way_out(world: World) -> None:
    world.publish(complete(world))
    world.round(DAWN)
    (mail,) = world.mails()
    assert mail.get_content_type() == "multipart/alternative"
    plain, related = list(mail.iter_parts())
    assert (plain.get_content_type(), related.get_content_type()) == (
        "text/plain",
        "multipart/related",
    )
    page, *pictures = list(related.iter_parts())
    assert [p.get_content_type() for p in pictures] == ["image/png", "image/png"]
    for picture in pictures:
        assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in page.get_content()
        assert picture.get_content()[:4] == b"\x89PNG"
        assert picture.get_content_disposition() == "inline"
    assert str(mail["List-Unsubscribe"]).strip() == (
        "<mailto:ops@studios.example?subject=unsubscribe%20ann%40studios.example>"
    )
    assert "kpi reports unsubscribe ann@studios.example" in plain.get_content()
    # Whatever a studio or game is called is text, in every part.
    assert "<script" not in page.get_content() and "<!channel>" not in page.get_content()
    assert "data:image" not in page.get_content()


def test_days_share_a_thread_and_no_message_id(world: World) -> None:
    world.publish(complete(world))
    world.round(DAWN)
    world.publish(world.next_day(DAY + ONE_DAY, is_complete=True))
    world.round(DAWN + ONE_DAY)
    first, second = world.mails()
    assert first["References"] == second["References"] == second["In-Reply-To"]
    assert first["Message-ID"] != second["Message-ID"]
    assert first["List-Id"] == second["List-Id"]


def test_at_the_deadline_the_first_line_says_what_is_missing(world: World) -> None:
    world.ran(DAY, range(20, 21), "ironvale", "odd", "mochi")
    world.ran(DAY, range(21, 24), "ironvale", "odd")
    world.publish()
    world.round(NOON - MINUTE)
    assert world.mails() == []
    world.round(NOON)
    (first, *_) = text_of(world).split("\n")
    assert first == (
        "NOT COMPLETE: hours 00:00-20:00 have not been processed;"
        " nothing has come from mochi 21:00-24:00 (UTC)."
    )
    assert subjects(world) == ["Daily KPI report, 2026-02-09 (not complete)"]
    page = world.mails()[0].get_body(("html",))
    assert page is not None and "Not complete:" in page.get_content()
    said = world.web.requests[0][2]["blocks"][1]["text"]["text"]
    assert said.startswith("```\nNOT COMPLETE: hours 00:00-20:00 have not been processed; nothing")
    assert "ironvale" not in said


def test_what_became_complete_with_another_value_is_said_first_next_time(world: World) -> None:
    world.publish()
    world.round(NOON)
    rows = world.changed(DAY, is_complete=True)
    is_kumo = (pl.col("studio") == "kumo") & (pl.col("date") == DAY)
    dau = pl.when(is_kumo).then(pl.col("dau") + 1).otherwise("dau")
    world.publish(rows.with_columns(dau=dau))
    world.round(NOON + MINUTE)
    assert len(world.mails()) == 1
    world.publish(world.next_day(DAY + ONE_DAY, is_complete=True))
    world.round(DAWN + ONE_DAY)
    first, second, third, *_ = text_of(world).split("\n")
    assert first == "CORRECTED since it was sent:"
    said = "- Daily active players (DAU) of kumo, 2026-02-09: 539 is now 540"
    assert (second, third) == (f"{said}, which was not complete", "")
    assert subjects(world)[-1] == "Daily KPI report, 2026-02-10 (corrects earlier ones)"
    # It is said once.
    world.publish(world.next_day(DAY + 2 * ONE_DAY, is_complete=True))
    world.round(DAWN + 2 * ONE_DAY)
    assert text_of(world).startswith("DAILY KPI REPORT")


def test_a_figure_that_was_sent_is_corrected_once_it_is_restated_beyond_the_limit(
    world: World,
) -> None:
    world.publish(complete(world))
    world.round(DAWN)
    # 4 of 139 are fewer than the 5 units; 3 more are more than the limit together.
    for number, dau in enumerate((143, 146), start=1):
        is_it = (pl.col("date") == DAY) & (pl.col("studio") == "all")
        value = pl.when(is_it).then(pl.lit(dau)).otherwise("dau").cast(pl.Int64)
        world.rows = world.rows.with_columns(dau=value)
        world.publish(world.next_day(DAY + number * ONE_DAY, is_complete=True), DAY)
        world.round(DAWN + number * ONE_DAY)
    assert text_of(world, 1).startswith("DAILY KPI REPORT")
    said = "CORRECTED since it was sent:\n- Daily active players (DAU), 2026-02-09: 139 is now 146"
    assert text_of(world, 2).startswith(f"{said}\n\nDAILY")


def test_a_studio_gets_nothing_but_its_own(world: World) -> None:
    world.publish(complete(world))
    world.round(DAWN)
    ((_, _, body),) = world.web.requests
    said = json.dumps(body)
    assert "mochi-dash" in said and "539" in said
    for foreign in ("ironvale", "northlight", "Northlight", "script", "139"):
        assert foreign not in said
    assert body["text"] == "Daily KPI report: kumo, 2026-02-09"


def test_hostile_names_are_text_in_slack(world: World) -> None:
    world.alerts(ALERTS.replace("studio: kumo", "studio: northlight"))
    world.publish(complete(world))
    world.round(DAWN)
    ((_, _, body),) = world.web.requests
    sections = [b["text"]["text"] for b in body["blocks"] if b["type"] == "section"]
    for said in (body["text"], *sections):
        assert not set(said.replace("&lt;", "").replace("&gt;", "")) & set("<>")
    # A mention that needs no brackets stands where Slack reads none.
    assert "@here" in sections[0] and all(s.startswith("```") for s in sections)


@pytest.mark.parametrize(
    "victim", ["write_report", "write_told", "write_entries", "_mark", "_note"]
)
def test_a_killed_pass_loses_no_report_and_what_it_wrote_down_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    world.publish(complete(world))

    class KilledError(BaseException):
        pass

    def kill(*_: object) -> None:
        raise KilledError

    module = outbox if victim == "_note" else report_round
    with monkeypatch.context() as patch:
        patch.setattr(module, victim, kill)
        with pytest.raises(KilledError):
            world.round(DAWN)
    # Meanwhile the figures change: what was written down is told all the same.
    world.publish(world.changed(DAY, dau=1000))
    world.round(DAWN + MINUTE)
    world.round(DAWN + 2 * MINUTE)
    # Noting that it was sent is the one step that repeats a message.
    assert len(world.mails()) == (2 if victim == "_note" else 1)
    assert ("1,000 active" if victim == "write_report" else "139 active") in text_of(world)


def test_a_report_that_cannot_be_made_keeps_no_incident_from_being_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.alerts(POLICY + ALERTS)
    world.publish(complete(world))
    mark_failed(world.places.parts.lake, DAWN - ONE_DAY, "the disk is full", ["ironvale"])

    def breaks(*_: object) -> None:
        raise OSError("no table")

    with monkeypatch.context() as patch:
        patch.setattr(report_round, "make_report_row", breaks)
        with pytest.raises(OSError, match="no table"):
            world.round(DAWN)
    ((_, _, body),) = world.web.requests
    assert "An hour failed" in json.dumps(body)
    world.round(DAWN + MINUTE)
    assert len(world.mails()) == 1


def test_a_report_that_cannot_be_read_back_keeps_no_message_behind_it(world: World) -> None:
    world.alerts(POLICY + ALERTS)
    world.publish(complete(world))
    world.mail.refusals += ["450 later"] * 3
    assert world.round(DAWN).waiting == 1
    for file in (world.folder / "lake" / "daily_reports").rglob("*.parquet"):
        file.unlink()
    mark_failed(world.places.parts.lake, DAWN - ONE_DAY, "the disk is full", ["ironvale"])
    passed = world.round(DAWN + 5 * MINUTE)
    assert "An hour failed" in json.dumps(world.web.requests[-1][2])
    assert [(m.event, m.state, m.attempts) for m in passed.messages if m.event == "report"] == [
        ("report", "waiting", 2)
    ]


def test_a_report_that_cannot_be_made_keeps_no_other_from_being_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(complete(world))
    makes = report_round.make_report_row

    def breaks_for_all(*arguments: Any) -> Mapping[str, Any]:
        if arguments[3][0] == "all":
            raise OSError("no chart")
        return makes(*arguments)

    monkeypatch.setattr(report_round, "make_report_row", breaks_for_all)
    with pytest.raises(OSError, match="no chart"):
        world.round(DAWN)
    # The studio's own, by its channel.
    assert len(world.web.requests) == 1


def test_after_days_without_a_pass_every_day_is_told_in_order(world: World) -> None:
    world.publish(complete(world))
    world.round(DAWN)
    for number in range(1, 4):
        world.publish(world.next_day(DAY + number * ONE_DAY, is_complete=number != 2))
    world.round(DAWN + 3 * ONE_DAY)
    ends = [subject.partition(", ")[2] for subject in subjects(world)]
    assert ends == ["2026-02-09", "2026-02-10", "2026-02-11 (not complete)", "2026-02-12"]


def test_a_platform_without_hours_says_nothing(world: World) -> None:
    world.places.parts.lake.delete("hour_ledger", "true")
    world.round(NOON)
    assert world.mails() == []


def test_a_trial_sends_everybody_the_newest_report_and_counts_for_nothing(world: World) -> None:
    def trial() -> str:
        result = CliRunner().invoke(app, ["alerts", "test", "--at", "2026-02-10T07:00:00Z"])
        assert result.exit_code == 0, result.output
        return result.output

    said = "report all ann@studios.example: taken\nreport kumo: taken\n"
    assert trial() == said
    assert "No report was written yet" in text_of(world)
    world.publish(complete(world))
    world.round(DAWN)
    before, sent = world.places.parts.lake.scan("alert_messages").collect(), len(world.mails())
    assert trial() == said
    assert len(world.mails()) == sent + 1
    assert subjects(world)[-1] == "Trial: Daily KPI report, 2026-02-09"
    assert "A trial: somebody typed" in text_of(world)
    slack = str(world.web.requests[-1][2])
    assert "A trial" in slack
    # Charts are bars of text where no picture is shown.
    assert "By day, 13 Jan to 09 Feb" in slack
    assert "▁" in slack
    assert "█" in slack
    assert world.places.parts.lake.scan("alert_messages").collect().equals(before)


def test_people_subscribe_and_leave(world: World) -> None:
    def kpi(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["reports", *arguments], catch_exceptions=False)
        return result.exit_code, result.stdout

    assert kpi("subscribe", "Bob@studios.example", "--studio", "kumo")[0] == 0
    assert "already" in kpi("subscribe", "bob@studios.example", "--studio", "kumo")[1]
    assert kpi("subscribe", "bob@studios.example", "--studio", "nobody")[0] == 2
    assert kpi("subscribe", "bob")[0] == 2
    world.publish(complete(world))
    world.round(DAWN)
    assert sorted(world.mail.recipients) == ["Bob@studios.example", "ann@studios.example"]
    assert "all" in kpi("unsubscribe", "ANN@studios.example")[1]
    assert kpi("unsubscribe", "ann@studios.example")[1] == "ann@studios.example gets no report\n"
    listed = json.loads(kpi("list", "--json")[1])
    assert [(each["report"], each["address"]) for each in listed] == [
        ("kumo", ""),
        ("kumo", "Bob@studios.example"),
    ]
    # Who left gets none that the file names later, unless it is asked for.
    channel, address = (
        "slack: {webhook_env: HOOK}",
        "email: {email_addresses: [Ann@studios.example]}",
    )
    world.alerts(ALERTS.replace(channel, address))
    assert len(json.loads(kpi("list", "--json")[1])) == 1
    assert kpi("subscribe", "ann@studios.example", "--studio", "kumo")[0] == 0
    assert len(json.loads(kpi("list", "--json")[1])) == 2
    assert kpi("unsubscribe", "ann@studios.example")[0] == 0
    world.alerts(ALERTS)
    # What waits for somebody who leaves is not sent any more.
    world.mail.refusals += ["450 later"] * 3
    world.publish(world.next_day(DAY + ONE_DAY, is_complete=True))
    assert world.round(DAWN + ONE_DAY).waiting == 1
    assert kpi("unsubscribe", "bob@studios.example")[0] == 0
    assert world.round(NOON + ONE_DAY).waiting == 0
    assert len(world.mails()) == 2


def test_a_report_of_very_many_studios_keeps_slacks_limits(world: World) -> None:
    world.alerts(ALERTS.replace("studio: kumo", "studio: all"))
    grains = [*GRAINS, *((f"studio {n} & {HOSTILE}", "all") for n in range(300))]
    world.publish(daily(41, grains, ("all",)).filter(pl.col("date") <= DAY))
    world.round(DAWN)
    ((_, _, body),) = world.web.requests
    assert len(body["blocks"]) <= 50 and len(body["text"]) <= 4000
    assert all(len(b["text"]["text"]) <= 3000 for b in body["blocks"])
    assert "more lines" in json.dumps(body)
