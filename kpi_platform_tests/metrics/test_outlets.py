"""Every outlet writes the numbers of the report and no other, and none can stop a run."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from filelock import FileLock

from kpi_platform.engine.books import waiting_reports
from kpi_platform.engine.books.run_ledger import write_reports
from kpi_platform.engine.books.waiting_reports import keep_reports, tell_kept
from kpi_platform.engine.run_report import FIGURE_NAMES, RunReport
from kpi_platform.metrics import outlets
from kpi_platform.metrics.cloudwatch import metric_data, put_metrics
from kpi_platform.metrics.emf import emf_line
from kpi_platform.metrics.metric_names import METRICS, NAMESPACE
from kpi_platform.metrics.outlets import OUTLETS, tell
from kpi_platform.metrics.prometheus import prometheus_text
from kpi_platform.schemas.texts.hidden_secrets import remember_secret
from kpi_platform.settings import METRIC_OUTLETS, Settings
from kpi_platform.storage.lake.lake import Lake

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
# A backfill of long ago.
REPORT = RunReport(
    *("6f1c", "sessions", "sessions", NOW - timedelta(minutes=1)),
    *(NOW - timedelta(days=400), NOW - timedelta(days=399)),
    **{name: number for number, name in enumerate(FIGURE_NAMES, start=1)},  # type: ignore[arg-type]
)
OTHER = RunReport("6f1c", 'odd"\\\nname', 'odd"\\\nname', NOW, rows=5)


def test_every_figure_is_a_metric_and_every_metric_is_documented() -> None:
    assert {metric.name for metric in METRICS} == set(FIGURE_NAMES)
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    listed = page.split("| name | unit | meaning |")[1]
    rows = {line for line in listed.splitlines() if line.startswith("| `")}
    assert rows == {f"| `{m.name}` | {m.unit} | {m.words} |" for m in METRICS}


def test_emf_is_one_object_whose_hours_are_properties() -> None:
    line = emf_line(REPORT, NOW)
    assert "\n" not in line
    told = json.loads(line)
    (directive,) = told["_aws"]["CloudWatchMetrics"]
    assert told["_aws"]["Timestamp"] == NOW.timestamp() * 1000
    assert (directive["Namespace"], directive["Dimensions"]) == (NAMESPACE, [["asset"]])
    named = {metric["Name"] for metric in directive["Metrics"]}
    assert {name: told[name] for name in named} == REPORT.figures()
    assert told["first_hour"].startswith("2025-02-03")


def test_prometheus_reads_each_value_with_its_labels() -> None:
    text = prometheus_text([REPORT, OTHER])
    sample = re.compile(r'(kpi_run_\w+)\{step="((?:[^"\\]|\\.)*)",asset="(?:[^"\\]|\\.)*"\} (\S+)$')
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = [sample.match(line) for line in lines]
    assert all(found), lines
    values = {m[1].removeprefix("kpi_run_"): float(m[3]) for m in found if m and m[2] == "sessions"}
    assert values.pop("started_at_seconds") == REPORT.started_at.timestamp()
    assert values == REPORT.figures()
    # One declaration for each metric, before its values.
    kinds = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds)) == len(METRICS) + 1


def test_cloudwatch_takes_what_is_sent_in_requests_it_allows() -> None:
    client = boto3.Session().client(
        "cloudwatch", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    reports = [REPORT] * 80
    data = metric_data(reports, NOW)
    with Stubber(client) as stub:
        # The service's own model refuses a field, unit or number of metrics that it does not have.
        for first in range(0, len(data), 1000):
            expected = {"Namespace": NAMESPACE, "MetricData": data[first : first + 1000]}
            stub.add_response("put_metric_data", {}, expected)
        put_metrics(reports, NOW, client)
        stub.assert_no_pending_responses()
    assert {each["Timestamp"] for each in data} == {NOW}
    sent = {each["MetricName"]: each["Value"] for each in data[: len(METRICS)]}
    assert sent == REPORT.figures()


def test_prometheus_file_is_replaced_whole(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, metrics=("prometheus",))
    for report in (OTHER, REPORT, REPORT):
        assert tell(settings, [RunReport(**{**vars(report), "step": "sessions"})]) == []
    assert [path.name for path in (tmp_path / "metrics").iterdir()] == ["sessions.prom"]
    assert 'asset="sessions"' in (tmp_path / "metrics" / "sessions.prom").read_text()


def test_an_outlet_that_breaks_stops_neither_the_run_nor_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    remember_secret("PLANTED", "Pl4nted")

    def breaks(*_: object) -> None:
        raise RuntimeError("no Pl4nted\nmore")

    monkeypatch.setitem(outlets.OUTLETS, "cloudwatch", breaks)
    settings = Settings(home=tmp_path, metrics=("cloudwatch", "emf"))
    assert tell(settings, [REPORT]) == ["KPI_METRICS: cloudwatch: RuntimeError: no ***"]
    assert json.loads(capsys.readouterr().out)["asset"] == "sessions"


def test_the_setting_names_outlets_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(METRIC_OUTLETS) == set(OUTLETS)
    monkeypatch.setenv("KPI_METRICS", " emf, prometheus,emf ,")
    assert Settings().metrics == ("emf", "prometheus")
    monkeypatch.setenv("KPI_METRICS", "emf,statsd")
    with pytest.raises(ValueError, match="'statsd' is none of emf"):
        Settings()


def test_the_ledger_keeps_each_report(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    write_reports(lake, [])
    assert lake.tables() == []
    write_reports(lake, [REPORT, OTHER])
    write_reports(lake, [OTHER])
    rows = lake.scan("run_ledger").collect().sort("asset", "started_at").to_dicts()
    assert [row["asset"] for row in rows] == [OTHER.asset, OTHER.asset, "sessions"]
    assert {name: rows[-1][name] for name in FIGURE_NAMES} == REPORT.figures()
    assert rows[-1]["first_hour"] == REPORT.first_hour


def test_a_run_is_told_in_one_commit_and_one_that_was_killed_by_the_next(tmp_path: Path) -> None:
    lake, home = Lake(str(tmp_path / "lake")), tmp_path / "home"

    def told() -> list[str]:
        return sorted(lake.scan("run_ledger").collect()["run_id"])

    def keep(run_id: str) -> None:
        for report in (REPORT, OTHER):
            keep_reports(home, [replace(report, run_id=run_id)])

    def end(*, is_alive: bool) -> dict[Path, FileLock]:
        """What this process holds is another's, which may have been killed."""
        others = dict(waiting_reports._own)
        waiting_reports._own.clear()
        for lock in () if is_alive else others.values():
            lock.release()
        return others

    keep("killed")
    [left] = end(is_alive=False)
    with left.open("a") as file:
        file.write('\n{"run_id": "cut sho')
    keep("goes on")
    going_on = end(is_alive=True)
    tell_kept(lake, home)
    assert lake.tables() == []
    keep("next")
    as_left = left.read_text()
    tell_kept(lake, home)
    assert told() == ["killed", "killed", "next", "next"]
    assert lake.version("run_ledger") == 1
    # Killed between telling and forgetting.
    left.write_text(as_left)
    waiting_reports._own.update(going_on)
    tell_kept(lake, home)
    assert told() == ["goes on"] * 2 + ["killed"] * 2 + ["next"] * 2
    assert list((home / "waiting_reports").iterdir()) == []


def test_what_others_left_stops_no_run_from_being_told(tmp_path: Path) -> None:
    lake, home = Lake(str(tmp_path / "lake")), tmp_path / "home"
    folder = home / "waiting_reports"
    keep_reports(home, [replace(REPORT, run_id="full")])
    [place] = waiting_reports._own
    with place.open("a") as file:
        file.write('\n{"cut by a full disk')
    keep_reports(home, [replace(OTHER, run_id="full")])
    known = json.loads(place.read_text().splitlines()[1])
    left = {
        "of-a-later-release": json.dumps(known | {"run_id": "later", "new": 1}).encode(),
        "no-text": b"\xff\xfe",
        "no-report": b'{"run_id": 1}\n[]\n' + json.dumps(known | {"rows": "many"}).encode(),
        "no-time": json.dumps(known | {"started_at": None}).encode(),
    }
    for name, content in left.items():
        (folder / f"{name}.jsonl").write_bytes(content)
    # Not even root may open this one, as others may not what is root's.
    (folder / "a-folder.jsonl").mkdir()
    tell_kept(lake, home)
    told = lake.scan("run_ledger").collect()["run_id"]
    assert sorted(told) == ["full", "full", "later"]
    kept = {f"{name}.unreadable" for name in ("no-text", "no-report", "no-time", place.stem)}
    found = {each.name for each in folder.iterdir() if each.suffix != ".lock"}
    assert found == kept | {"a-folder.jsonl"}


def test_two_runs_that_end_at_once_are_both_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, home = Lake(str(tmp_path / "lake")), tmp_path / "home"
    keep_reports(home, [REPORT])
    gone = home / "waiting_reports" / "told-meanwhile.jsonl"
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda *given: [*glob(*given), gone])
    tell_kept(lake, home)
    assert lake.scan("run_ledger").collect().height == 1
