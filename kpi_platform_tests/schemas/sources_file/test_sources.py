"""The sources file: who is active when, what is unassigned, and mistakes that say where."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform.engine.platform import read_sources
from kpi_platform.schemas.sources_file.sources import SourcesError, parse_sources
from kpi_platform.simulator import demo_sources_yaml

TEXT = """
studios:
  - key: north
    games:
      - key: rails
        sources:
          - {key: rails, telemetry: rails-folder, since: 2026-01-01T05:00:00+02:00}
          - {key: old, telemetry: old, until: 2026-01-01T05:00:00Z, player_ids: local}
"""
AT_THREE = datetime(2026, 1, 1, 3, tzinfo=UTC)


def test_a_source_is_active_from_since_until_until() -> None:
    sources = parse_sources(TEXT, "x.yaml")
    hour = timedelta(hours=1)
    assert sources.active_in(AT_THREE - hour) == ["old"]
    assert sources.active_in(AT_THREE) == ["rails", "old"]
    assert sources.active_in(AT_THREE + 2 * hour) == ["rails"]


def test_a_folder_is_its_sources_or_its_own() -> None:
    sources = parse_sources(TEXT, "x.yaml")
    assert sources.source_of_folder("rails-folder") == "rails"
    assert sources.source_of_folder("stranger") == "stranger"
    rows = sources.frame(["rails", "stranger"]).select("source", "studio", "game").rows()
    assert rows == [
        ("rails", "north", "rails"),
        ("old", "north", "rails"),
        ("stranger", "unassigned", "stranger"),
    ]


def test_a_strange_folder_called_like_a_source_is_not_taken_for_it() -> None:
    sources = parse_sources(TEXT, "x.yaml")
    assert sources.source_of_folder("rails") == "unassigned:rails"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("studios: [", "line 1"),
        ("studios:\n  - key: a\n\tgames: []", "line 3"),
        ("studios: [{kee: a}]", "studios.0.key"),
        ("studios: [{key: a, extra: 1}]", "studios.0.extra"),
        (TEXT.replace("old, until", "rails-folder, until"), "telemetry used twice: rails-folder"),
        (TEXT.replace("key: old", "key: rails"), "key used twice: rails"),
        (TEXT.replace("telemetry: old", "telemetry: ../old"), "telemetry"),
        (TEXT.replace("local", "both"), "player_ids"),
        ("- a list", "file"),
    ],
)
def test_a_mistake_names_line_or_field(text: str, said: str) -> None:
    with pytest.raises(SourcesError, match=r"^KPI_SOURCES: x\.yaml") as error:
        parse_sources(text, "x.yaml")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match=r"KPI_SOURCES: .*nowhere\.yaml: No such file"):
        read_sources(tmp_path / "nowhere.yaml")


def test_the_shipped_sources_are_those_of_the_synthetic_world() -> None:
    shipped = Path(__file__).parents[3] / "kpi_platform" / "simulator" / "sources.yaml"
    assert read_sources(shipped) == parse_sources(demo_sources_yaml(), "demo")
