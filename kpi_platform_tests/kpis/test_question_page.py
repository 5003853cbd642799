"""The page of the twelve questions says what the models say, and the demo shows its examples."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform.kpis.question_page import EXAMPLES, PAGE, page, published_tables
from kpi_platform.simulator import simulate
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform_tests.whole_platform import new_platform, run_hours, run_marts

START = datetime(2026, 1, 1, tzinfo=UTC)
# As `kpi demo` has them.
HOURS, PLAYERS, SEED = 240, 300, 7


def test_there_is_an_example_of_every_question() -> None:
    models = [n for n in read_manifest()["nodes"].values() if n["resource_type"] == "model"]
    questions = {n["name"]: n["description"].split(":")[0] for n in models}
    numbered = {
        name: int(text.removeprefix("Question "))
        for name, text in questions.items()
        if text.startswith("Question ")
    }
    assert sorted(numbered, key=lambda name: numbered[name]) == list(EXAMPLES)
    assert sorted(numbered.values()) == list(range(1, 13))


@pytest.mark.slow
def test_the_page_is_what_the_demo_shows(tmp_path: Path) -> None:
    world = tmp_path / "world"
    simulate(world, START, HOURS, PLAYERS, SEED)
    platform = new_platform(tmp_path / "home", world / "landing", world / "sources.yaml")
    run_hours(platform, [START + timedelta(hours=number) for number in range(HOURS)])
    run_marts(platform)

    expected = page(read_manifest(), published_tables(platform))

    assert PAGE.read_text() == expected, "run make demo, then make questions"
