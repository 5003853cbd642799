"""KPI_LOG_FORMAT=json: one object a line from runs, commands and bare processes,
with nothing secret in any field."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.cli.cli import main
from kpi_platform.orchestration.log_json import json_of, set_up_logs
from kpi_platform.schemas.texts import hidden_secrets
from kpi_platform.schemas.texts.hidden_secrets import remember_secret
from kpi_platform.schemas.texts.log_lines import log_line

PLANTED = "Pl4nted/Wr0ng"
EVERY_LINE = {"@timestamp", "log.level", "message", "ecs.version", "service.name", "process.pid"}


@pytest.fixture(autouse=True)
def _json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("KPI_LOG_FORMAT", "json")
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setattr(hidden_secrets, "_secrets", {})
    hidden_secrets._pattern.cache_clear()
    # What is set up for the whole process is put back.
    monkeypatch.setattr(logging.StreamHandler, "format", logging.StreamHandler.format)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    yield
    logging.captureWarnings(capture=False)
    hidden_secrets._pattern.cache_clear()


def objects(text: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in text.splitlines()]
    assert all(set(each) >= EVERY_LINE for each in found)
    return found


def test_a_runs_lines_name_run_asset_and_hours(capfd: pytest.CaptureFixture[str]) -> None:
    remember_secret("PLANTED", PLANTED)
    set_up_logs()
    hours = dg.HourlyPartitionsDefinition("2026-01-01-00:00")

    @dg.asset(partitions_def=hours)
    def well(context: dg.AssetExecutionContext) -> None:
        context.log.warning(f"said {PLANTED}\nin two lines \x1b[31m")

    @dg.asset(deps=[well], partitions_def=hours)
    def fails() -> None:
        raise ValueError(f"no {PLANTED}")

    done = dg.materialize([well, fails], partition_key="2026-01-01-05:00", raise_on_error=False)
    out, err = capfd.readouterr()
    assert PLANTED not in out + err
    lines = objects(err)
    said = next(line for line in lines if str(line["message"]).startswith("said"))
    assert said["message"] == "said ***\nin two lines \\x1b[31m"
    assert said["dagster.run.id"] == done.run_id
    assert said["trace.id"] == done.run_id.replace("-", "")
    assert (said["log.level"], said["kpi.asset"], said["kpi.hours"]) == (
        *("warning", "well"),
        "2026-01-01-05:00",
    )
    failed = [line for line in lines if line.get("dagster.step.key") == "fails"]
    (error,) = [line for line in failed if "error.type" in line]
    assert (error["error.type"], error["error.message"]) == ("ValueError", "ValueError: no ***")
    assert "in fails" in str(error["error.stack_trace"])


@pytest.mark.parametrize("arguments", ["query", "nonsense", "verify --from yesterday"])
def test_what_a_command_says_is_logged(
    arguments: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["kpi", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert objects(capfd.readouterr().err)[-1]["log.level"] == "error"


_PROCESS = """
import logging, sys
import kpi_platform.orchestration.dagster_state
from dagster._utils.log import configure_loggers
from kpi_platform.schemas.texts.hidden_secrets import remember_secret
remember_secret("PLANTED", "Pl4nted/Wr0ng")
configure_loggers()
logging.getLogger("dagster.daemon").info("started with %s", "Pl4nted/Wr0ng")
logging.getLogger("dagster.daemon").info("%d", "does not fit")
raise RuntimeError("ended by Pl4nted/Wr0ng")
"""


def test_the_daemons_process_logs_and_dies_in_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS],
        env={"PATH": os.environ["PATH"], "KPI_HOME": str(tmp_path), "KPI_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Pl4nted" not in done.stdout + done.stderr
    said, odd = objects(done.stdout)
    assert (said["message"], said["log.logger"]) == ("started with ***", "dagster.daemon")
    assert "does not fit" in str(odd["message"])
    (died,) = objects(done.stderr)
    assert (died["error.type"], died["message"]) == ("RuntimeError", "ended by ***")


def test_files_keep_their_own_format(tmp_path: Path) -> None:
    set_up_logs()
    handler = logging.FileHandler(tmp_path / "log")
    handler.emit(logging.makeLogRecord({"msg": "plain"}))
    handler.close()
    assert (tmp_path / "log").read_text() == "plain\n"


def test_text_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_LOG_FORMAT", "text")
    set_up_logs()
    handler = logging.StreamHandler()
    assert handler.format(logging.makeLogRecord({"msg": "as it is"})) == "as it is"


@settings(deadline=None)
@given(st.text(), st.dictionaries(st.sampled_from(["kpi.asset", "kpi.hours"]), st.text()))
def test_any_text_is_one_line_of_ascii(message: str, fields: dict[str, str]) -> None:
    record = logging.makeLogRecord({"msg": message})
    line = json_of(record)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    told = json.loads(log_line(datetime.now(UTC), "INFO", message, fields))
    assert told.get("message", "") == message
