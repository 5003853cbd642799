"""Players take up a release as the calibrated curve says."""

import polars as pl
import pytest

from kpi_platform.simulator.calibration import adoption_curve
from kpi_platform.simulator.draws import Draws
from kpi_platform.simulator.people.sessions import with_versions

DAY_MS = 86_400_000


def _sessions(at_ms: int, devices: int) -> pl.DataFrame:
    kits = pl.int_range(devices, dtype=pl.UInt64, eager=True)
    return pl.DataFrame({"stretch": kits, "kit": kits}).with_columns(
        game=pl.lit("g"),
        start_ms=pl.lit(at_ms, dtype=pl.Int64),
        joined_ms=pl.lit(None, dtype=pl.Int64),
    )


RELEASES = pl.DataFrame(
    {"game": ["g", "g"], "number": [0, 1], "version": ["1.9", "1.10"], "released_ms": [0, DAY_MS]}
)


@pytest.mark.parametrize(("day", "share"), adoption_curve())
def test_the_share_on_the_new_version_follows_the_curve(day: float, share: float) -> None:
    sessions = _sessions(DAY_MS + round(day * DAY_MS), devices=4000)
    told = with_versions(Draws(1), sessions, RELEASES)
    found = (told["version"] == "1.10").mean()
    assert found == pytest.approx(share, abs=0.03)
    assert set(told["newest_version"]) == {"1.10"}


def test_before_the_release_nobody_has_it() -> None:
    told = with_versions(Draws(1), _sessions(DAY_MS - 1, devices=50), RELEASES)
    assert set(told["version"]) == {"1.9"}
    assert told["previous_version"].null_count() == 50


def test_a_newcomer_installs_the_newest() -> None:
    sessions = _sessions(DAY_MS + 5, devices=50).with_columns(
        joined_ms=pl.lit(DAY_MS + 5, dtype=pl.Int64)
    )
    assert set(with_versions(Draws(1), sessions, RELEASES)["version"]) == {"1.10"}
