"""The replay of real weeks keeps their shares by version, week by week."""

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform_tests.replay import read_weeks, replay

WEEKS = Path(__file__).with_name("openttd_weeks.csv")


def _sessions_by_week(landing: Path) -> dict[date, Counter[str]]:
    weeks: dict[date, Counter[str]] = defaultdict(Counter)
    for path in landing.rglob("*.tsv"):
        for line in path.read_text().splitlines():
            _, stamp, _, _, _, body = line.split("\t")
            if "SoftwareVersion" in body:
                day = datetime.fromisoformat(stamp).date()
                version = body.split("'Version': ")[1].split(",")[0]
                weeks[day - timedelta(days=day.weekday())][version] += 1
    return weeks


def test_weekly_counts_by_version_are_the_scaled_ones(tmp_path: Path) -> None:
    count = replay(WEEKS, tmp_path, "openttd", slice(1, 3), 0.02, 1)
    found = _sessions_by_week(tmp_path / "openttd")
    expected: dict[date, Counter[str]] = defaultdict(Counter)
    for row in read_weeks(WEEKS):
        expected[row.week_start.date()][row.version] += round(row.sessions * 0.02)
    chosen = sorted(expected)[1:3]
    assert found == {week: expected[week] for week in chosen}
    assert count == sum(expected[week].total() for week in chosen)


def test_lines_lie_in_the_hour_of_their_time(tmp_path: Path) -> None:
    replay(WEEKS, tmp_path, "openttd", slice(0, 1), 0.005, 1)
    files = list(tmp_path.rglob("*.tsv"))
    assert len(files) > 50
    for path in files:
        hour = "-".join(path.parts[-5:-2]) + "T" + path.parts[-2]
        assert all(line.split("\t")[1].startswith(hour) for line in path.read_text().splitlines())


def test_the_same_seed_writes_the_same(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        replay(WEEKS, tmp_path / name, "openttd", slice(0, 1), 0.002, 9)
        texts.append([path.read_text() for path in sorted((tmp_path / name).rglob("*.tsv"))])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("scale", [0.0, 1.5])
def test_a_scale_beyond_one_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        replay(WEEKS, tmp_path, "openttd", None, scale, 1)
