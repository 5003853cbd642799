"""A backfill goes on where it was stopped, whatever stopped it, and names what ended red."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform.backfill.pieces import (
    BackfillError,
    Piece,
    backfill_path,
    carry_out,
    new_backfill,
    resumed_backfill,
)
from kpi_platform.settings import Settings

HOURS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(24 * 40)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_what_was_done_stays_done_and_the_rest_is_resumed(settings: Settings) -> None:
    ran: list[str] = []

    def killed_in_the_second(piece: Piece, log: Path) -> int:
        if len(ran) == 1:
            raise KeyboardInterrupt
        ran.append(piece.first)
        return 0

    backfill = new_backfill(settings, HOURS)
    assert [piece.hours for piece in backfill.pieces] == [336, 336, 288]
    with pytest.raises(KeyboardInterrupt):
        list(carry_out(backfill, killed_in_the_second))
    with pytest.raises(BackfillError, match="kpi backfill resume"):
        new_backfill(settings, HOURS[:5])

    def well(piece: Piece, log: Path) -> int:
        ran.append(piece.first)
        return 0

    lines = list(carry_out(resumed_backfill(settings), well))
    assert ran == [piece.first for piece in backfill.pieces]
    assert (lines[0].pieces, lines[0].hours, lines[0].seconds_left) == (1, 336, None)
    assert (lines[-1].pieces, lines[-1].hours, lines[-1].of_hours) == (3, 960, 960)
    assert not resumed_backfill(settings).left
    assert new_backfill(settings, HOURS[:5]).hours == 5


def test_a_piece_that_ends_red_is_named_and_tried_again(settings: Settings) -> None:
    backfill = new_backfill(settings, [*HOURS[:3], HOURS[7]])
    ticks = iter(range(100))
    seen = list(carry_out(backfill, lambda piece, log: piece.hours == 1, lambda: next(ticks)))
    assert [piece.state for piece in backfill.pieces] == ["done", "failed"]
    assert seen[1].seconds_left is not None
    (left,) = resumed_backfill(settings).left
    assert left.first == left.last == "2026-01-01-07:00"
    list(carry_out(resumed_backfill(settings), lambda piece, log: 0))
    assert not resumed_backfill(settings).left


def test_nothing_to_resume_and_a_broken_file_are_said_in_a_line(settings: Settings) -> None:
    with pytest.raises(BackfillError, match="no backfill was begun"):
        resumed_backfill(settings)
    backfill_path(settings).write_text("{")
    with pytest.raises(BackfillError, match="delete it"):
        resumed_backfill(settings)
