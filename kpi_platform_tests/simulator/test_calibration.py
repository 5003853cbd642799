"""The shipped figures are those of the real data, and the world is made from them."""

from pathlib import Path

import polars as pl
import pytest

from kpi_platform.simulator.calibration import (
    adoption_curve,
    adoption_delays_ms,
    figures,
    session_lengths_ms,
)

WEEKS = Path(__file__).with_name("openttd_weeks.csv")


def _weeks() -> pl.DataFrame:
    return pl.read_csv(WEEKS, comment_prefix="#")


def test_the_extract_names_its_source() -> None:
    assert "OpenTTD public survey" in WEEKS.read_text().splitlines()[0]


def test_adoption_is_recomputed_from_the_weeks() -> None:
    stable = _weeks().filter(pl.col("version").is_in(["14.0", "14.1"]))
    shares = stable.group_by("week_start").agg(
        share=pl.col("sessions").filter(pl.col("version") == "14.1").sum()
        / pl.col("sessions").sum()
    )
    found = shares.sort("week_start")["share"].to_list()[1:6]
    shipped = [share for _, share in adoption_curve()[1:]]
    assert shipped == pytest.approx(found, abs=5e-5)
    assert [day for day, _ in adoption_curve()[1:]] == [1.75, 7, 14, 21, 28]


def test_single_figures_are_recomputed_from_the_weeks() -> None:
    seconds = pl.col("seconds").sum()
    found = _weeks().select(
        session_mean_seconds=seconds / pl.col("sessions").sum(),
        crash_share=pl.col("seconds_crash").sum() / seconds,
        platform_share_windows=pl.col("seconds_windows").sum() / seconds,
        platform_share_macos=pl.col("seconds_macos").sum() / seconds,
        platform_share_linux=pl.col("seconds_linux").sum() / seconds,
    )
    assert figures() == pytest.approx(found.row(0, named=True), abs=1e-4, rel=1e-4)


def test_delays_follow_the_curve() -> None:
    delays = adoption_delays_ms()
    for day, share in adoption_curve()[1:]:
        adopted = (delays <= day * 86_400_000).sum() / len(delays)
        assert adopted == pytest.approx(share, abs=0.001)
    assert delays.null_count() > 0


def test_session_lengths_have_the_real_mean() -> None:
    lengths = session_lengths_ms()
    mean = lengths.mean()
    assert isinstance(mean, float)
    assert mean / 1000 == pytest.approx(figures()["session_mean_seconds"], rel=0.001)
    assert lengths.is_sorted()
