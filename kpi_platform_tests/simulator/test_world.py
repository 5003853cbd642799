"""The default world has everything real life makes, and its truth agrees with its files."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from kpi_platform.simulator import SimulationSummary, demo_sources_yaml
from kpi_platform.simulator.files.schedule import REASONS
from kpi_platform.simulator.world import all_sources
from kpi_platform_tests.simulator.reading import (
    contents,
    is_whole_gzip,
    landing_files,
    whole_lines,
)

KEY = ["source", "p_ingest_date_utc", "p_ingest_hour_utc"]


def _truth(world: SimulationSummary, name: str) -> pl.DataFrame:
    return pl.read_parquet(world.out / "truth" / f"{name}.parquet")


def test_every_line_is_accounted_for(world: SimulationSummary) -> None:
    hours = _truth(world, "hours")
    accounted = pl.col("rows") + pl.col("quarantined") + pl.col("duplicates")
    assert hours.filter(pl.col("lines") != accounted).height == 0
    assert hours["duplicates"].min() == 0
    assert hours.select(KEY).is_unique().all()
    sums = _truth(world, "quarantined").group_by(KEY).agg(pl.col("count").sum())
    joined = hours.join(sums, on=KEY, how="left").with_columns(pl.col("count").fill_null(0))
    assert joined.filter(pl.col("count") != pl.col("quarantined")).height == 0


def test_the_truth_counts_the_files(world: SimulationSummary) -> None:
    lines: Counter[tuple[str, str]] = Counter()
    files: Counter[tuple[str, str]] = Counter()
    for path in landing_files(world.out / "landing"):
        source, *hour = path.relative_to(world.out / "landing").parts[:-1]
        files[source, "/".join(hour)] += 1
        if not path.name.startswith("damaged"):
            lines[source, "/".join(hour)] += len(whole_lines(path))
    for row in _truth(world, "hours").iter_rows(named=True):
        folder = f"{row['p_ingest_date_utc']:%Y/%m/%d}/{row['p_ingest_hour_utc']:02d}"
        assert row["lines"] == lines.pop((row["source"], folder), 0), (row, folder)
        assert row["files"] == files.pop((row["source"], folder), 0), (row, folder)
    assert not lines
    assert not files


def test_every_reason_is_there_and_damage_is_rare(world: SimulationSummary) -> None:
    counts = _truth(world, "quarantined").group_by("reason").agg(pl.col("count").sum())
    assert set(counts["reason"]) == set(REASONS)
    assert counts.filter(pl.col("reason") == "line_too_long")["count"].item() <= 3
    assert 0.002 < world.quarantined / world.lines < 0.015
    assert 0.002 < world.duplicates / world.lines < 0.02
    assert 40_000 < world.lines < 120_000
    assert world.bytes < 10_000_000


def test_files_come_in_every_form(world: SimulationSummary) -> None:
    paths = list(landing_files(world.out / "landing"))
    endings = {"".join(path.suffixes) for path in paths}
    assert endings == {f".{form}{end}" for form in ("tsv", "jsonl") for end in ("", ".gz", ".zst")}
    assert {"late", "again"} <= {path.name.split("-")[0] for path in paths}
    whole = [path for path in paths if not path.name.startswith("damaged")]
    cut = [path for path in whole if path.suffix == ".gz" and not is_whole_gzip(path)]
    assert len(cut) == _truth(world, "hours")["truncated_files"].sum() > 0
    tsv = [contents(path) for path in whole if ".tsv" in path.name]
    assert any(data.startswith(b"\xef\xbb\xbf") for data in tsv)
    assert any(b"\r\n" in data for data in tsv)
    assert any(b"\n\n" in data for data in tsv)
    assert any(data.startswith(b"Category\t") for data in tsv)
    assert any(b"Telemetry  20" in data for data in tsv)
    assert any(b"Captain's Log" in data for data in tsv)


def test_hours_are_empty_or_missing(world: SimulationSummary) -> None:
    hours = _truth(world, "hours").filter(pl.col("files") == 0)
    folders = [
        world.out
        / "landing"
        / row["source"]
        / f"{row['p_ingest_date_utc']:%Y/%m/%d}/{row['p_ingest_hour_utc']:02d}"
        for row in hours.iter_rows(named=True)
    ]
    assert {folder.is_dir() for folder in folders} == {True, False}


def test_an_unlisted_folder_arrives(world: SimulationSummary) -> None:
    listed = yaml.safe_load((world.out / "sources.yaml").read_text())
    folders = {
        source["telemetry"]
        for studio in listed["studios"]
        for game in studio["games"]
        for source in game["sources"]
        if "telemetry" in source
    }
    landed = {path.name for path in (world.out / "landing").iterdir()}
    assert landed - folders == {"skunkworks"}
    assert folders - landed == set()


def test_the_sources_file_names_three_studios_with_three_games() -> None:
    studios = yaml.safe_load(demo_sources_yaml())["studios"]
    assert [len(studio["games"]) for studio in studios] == [3, 3, 3]
    named = {
        source["key"]
        for studio in studios
        for game in studio["games"]
        for source in game["sources"]
        if "telemetry" in source
    }
    assert named == {source for source, _, studio in all_sources() if studio != "unassigned"}


def test_players_go_back_and_have_two_devices(world: SimulationSummary) -> None:
    intervals = _truth(world, "intervals")
    key = ["player_id", "service_name", "device"]
    number = pl.col("version").str.extract_all(r"\d+").list.eval(pl.element().str.zfill(5))
    ordered = intervals.with_columns(number=number.list.join("."))
    before = pl.col("number").shift(1).over(key, order_by="valid_from")
    assert ordered.filter(pl.col("number") < before).height > 0
    assert ordered.filter(pl.col("number") > before).height > 10
    devices = intervals.group_by("player_id", "service_name").agg(pl.col("device").n_unique())
    assert devices["device"].max() > 1
    assert intervals["device"].is_in(["unknown"]).any()


def test_intervals_follow_each_other(world: SimulationSummary) -> None:
    intervals = _truth(world, "intervals")
    key = ["player_id", "service_name", "device"]
    following = intervals.with_columns(
        next_from=pl.col("valid_from").shift(-1).over(key, order_by="valid_from"),
        next_version=pl.col("version").shift(-1).over(key, order_by="valid_from"),
    )
    assert following["valid_to"].equals(following["next_from"])
    assert following.filter(pl.col("version") == pl.col("next_version")).height == 0
    players = _truth(world, "players")
    assert set(players["player_id"]) == set(intervals["player_id"])


def test_sessions_are_heard_again(world: SimulationSummary) -> None:
    sessions = _truth(world, "sessions")
    key = ["source", "service_name", "session_id"]
    again = sessions.filter(pl.len().over(key) > 1).sort(*key, "started_at")
    silence = again.select(
        (pl.col("started_at") - pl.col("ended_at").shift(1).over(key)).drop_nulls()
    ).to_series()
    assert len(silence) > 0
    assert min(silence.to_list()) > timedelta(hours=24)
    assert sessions["player_id"].null_count() > 0
    assert (sessions["session_id"] == "").sum() == 0


def test_days_add_up(world: SimulationSummary) -> None:
    daily = _truth(world, "daily")
    games = daily.filter(pl.col("game") != "all").group_by("date").agg(pl.col("sessions").sum())
    whole = daily.filter(pl.col("studio") == "all").select("date", "sessions")
    assert games.sort("date").equals(whole.sort("date"))
    assert _truth(world, "sessions").height == whole["sessions"].sum()
    assert daily.filter(pl.col("payers") > pl.col("dau")).height == 0


@pytest.mark.parametrize("studio", ["kumo", "northlight"])
def test_local_ids_carry_their_studio(world: SimulationSummary, studio: str) -> None:
    sources = [source for source, _, owner in all_sources() if owner == studio]
    ids = _truth(world, "sessions").filter(pl.col("source").is_in(sources))["player_id"]
    assert set(ids.drop_nulls().str.starts_with("kumo:")) == {studio == "kumo"}


def test_the_summary_is_the_sum_of_the_truth(world: SimulationSummary) -> None:
    sums = _truth(world, "hours").select(pl.col("lines", "rows", "files").sum()).row(0)
    assert sums == (world.lines, world.rows, world.files)
    on_disk = sum(path.stat().st_size for path in landing_files(Path(world.out / "landing")))
    assert world.bytes == on_disk
