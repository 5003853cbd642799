"""What is put together of kept runs and runs read again equals the fold of all sightings."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kpi_platform.history.spans import hull, reach, span_of, splice
from kpi_platform.history.timeline import intervals
from kpi_platform_tests.history.test_timeline import at, attributed

Sighting = tuple[int, str, str, str, int]

SIGHTINGS = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.sampled_from("AB"),
        st.sampled_from("xy"),
        st.sampled_from("pq"),
        st.integers(0, 1),
    ),
    max_size=16,
)


def seen(rows: list[Sighting]) -> pl.DataFrame:
    frames = [
        attributed((minute, version), device=device, player_id=player, transaction_id=number)
        for minute, version, device, player, number in rows
    ]
    return pl.concat([attributed(), *frames])


def spliced(before: pl.DataFrame, after: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """The history after the change, of the history before it and sightings within its reach."""
    spans = span_of(changed)
    runs = intervals(before.join(spans, on="player_id", how="semi"))
    bounds = reach(runs, spans)
    within = (
        after.join(bounds, on="player_id")
        .filter(pl.col("event_at").is_between("changed_from", "changed_to"))
        .select(after.columns)
    )
    return splice(runs, within, spans)


@settings(max_examples=400, deadline=None)
@given(SIGHTINGS, st.lists(st.booleans(), min_size=16, max_size=16), SIGHTINGS)
def test_what_is_put_together_equals_the_fold_of_everything(
    before: list[Sighting], stays: list[bool], come: list[Sighting]
) -> None:
    staying = [row for row, is_kept in zip(before, stays, strict=False) if is_kept]
    gone = [row for row, is_kept in zip(before, stays, strict=False) if not is_kept]
    changed = seen([*gone, *come])
    after = seen([*staying, *come])
    touched = after.join(changed, on="player_id", how="semi")
    assert_frame_equal(spliced(seen(before), after, changed), intervals(touched))


def test_what_a_change_does_not_reach_is_not_read() -> None:
    runs = intervals(attributed((1, "A"), (2, "A"), (5, "B"), (6, "B"), (8, "A"), (9, "C")))
    bounds = reach(runs, span_of(attributed((6, "B"))))
    assert bounds.rows() == [("p1", at(5), at(6))]
    # Between two runs nothing but the change itself is read.
    assert reach(runs, span_of(attributed((3, "D")))).rows() == [("p1", at(3), at(3))]


def test_runs_that_meet_become_one() -> None:
    before = attributed((1, "A"), (2, "A"), (5, "B"), (8, "A"), (9, "C"))
    after = before.filter(pl.col("version") != "B")
    result = spliced(before, after, attributed((5, "B")))
    spans = result.select("version", "valid_from", "valid_to", "sightings").rows()
    assert spans == [("A", at(1), at(9), 3), ("C", at(9), None, 1)]


def test_spans_of_a_player_become_one_that_holds_them() -> None:
    spans = hull([span_of(attributed((4, "A"), (5, "A"))), span_of(attributed((1, "B")))])
    assert spans.rows() == [("p1", at(1), at(5))]
