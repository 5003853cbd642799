"""The reference of the intervals gives the figures that the literature prints."""

import pytest

from kpi_platform_tests.kpis.reference.reference_statistics import (
    byar,
    newcombe,
    t975,
    welch,
    wilson,
)


def test_wilsons_interval_as_newcombe_prints_it() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 857-872, table I.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(29, 29) == pytest.approx((0.8830, 1), abs=5e-5)
    assert wilson(0, 0) == (None, None)


def test_the_difference_of_shares_as_newcombe_prints_it() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10.
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert newcombe(10, 10, 0, 10) == pytest.approx((1, 0.6075, 1), abs=5e-5)


@pytest.mark.parametrize(("df", "quantile"), [(1, 12.706), (2, 4.303), (5, 2.571), (30, 2.042)])
def test_quantiles_of_t_as_every_table_has_them(df: int, quantile: float) -> None:
    assert t975(df) == pytest.approx(quantile, abs=5e-4)


def test_byars_bounds_of_ten_events_are_near_the_exact_ones() -> None:
    # The exact bounds of a Poisson count of 10 are 4.795 and 18.39.
    assert byar(10, 1000) == pytest.approx((4.79, 18.39), abs=0.01)
    assert byar(0, 1000) == pytest.approx((0, 3.69), abs=0.05)


def test_where_nobody_differs_a_difference_has_no_bounds() -> None:
    assert welch([1, 1], [3, 3, 3]) == (-2, None, None)
