"""Messages are written down before they are sent, and none is lost whatever a service does."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform.delivery.destinations import Service
from kpi_platform.delivery.errors import DeliveryError
from kpi_platform.delivery.messages import Message, message_text
from kpi_platform.delivery.outbox import (
    LONGEST_WAIT,
    Entry,
    Route,
    deliver,
    read_entries,
    read_waiting,
    write_entries,
)
from kpi_platform.storage.lake.lake import Lake

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ROUTES = {
    name: Route(Service.model_validate({"url": {"url": "https://example.com"}}), None)
    for name in ("p", "q")
}


class Killed(BaseException):
    """The process ends here."""


class Taker:
    """A service: does with each message the next of what it is told, then takes it."""

    def __init__(self, *answers: BaseException | None) -> None:
        self.answers = list(answers)
        self.tried: list[tuple[str, str]] = []

    def __call__(self, route: Route, entry: Entry, thread: str) -> str:
        self.tried.append((entry.message_id, thread))
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return f"thread-{entry.thread}"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def entry(name: str, thread: str = "t", event: str = "opened", policy: str = "p") -> Entry:
    content = message_text(Message(name, thread, event, "h", "s", "t"))
    return Entry(name, policy, "", thread, event, content, AT, AT)


def sent(done: Sequence[Entry]) -> list[tuple[str, str]]:
    return [(each.message_id, each.state) for each in done]


def tried_by(lake: Lake, taker: Taker, at: datetime = AT) -> list[Entry]:
    return deliver(lake, ROUTES, at, taker, sleep=lambda seconds: None)


def test_what_is_taken_is_sent_once(lake: Lake) -> None:
    write_entries(lake, [entry("a"), entry("b", thread="u")])
    taker = Taker()
    assert sent(tried_by(lake, taker)) == [("a", "sent"), ("b", "sent")]
    assert tried_by(lake, taker, AT + LONGEST_WAIT) == []
    assert len(taker.tried) == 2


def test_a_kill_between_sending_and_noting_repeats_one_message_and_loses_none(lake: Lake) -> None:
    write_entries(lake, [entry("a"), entry("b", thread="u"), entry("c", thread="v")])

    class TakesThenDies(Taker):
        def __call__(self, route: Route, entry: Entry, thread: str) -> str:
            receipt = super().__call__(route, entry, thread)
            if entry.message_id == "b":
                raise Killed
            return receipt

    dying = TakesThenDies()
    with pytest.raises(Killed):
        tried_by(lake, dying)
    again = Taker()
    tried_by(lake, again)
    assert [name for name, _ in dying.tried + again.tried] == ["a", "b", "b", "c"]


def test_waits_double_and_are_as_long_as_the_service_asks(lake: Lake) -> None:
    write_entries(lake, [entry("a")])
    at = AT
    for number in range(9):
        (failed,) = tried_by(lake, Taker(DeliveryError("no", is_lasting=True)), at)
        assert (failed.attempts, failed.state) == (number + 1, "waiting")
        assert failed.next_at - at == min(30 * SECOND * 2**number, LONGEST_WAIT)
        assert tried_by(lake, Taker(), failed.next_at - SECOND) == []
        at = failed.next_at
    (failed,) = tried_by(lake, Taker(DeliveryError("slow down", 7200.0)), at)
    assert failed.next_at - at == timedelta(hours=2)
    assert sent(tried_by(lake, Taker(), failed.next_at)) == [("a", "sent")]


def test_what_passes_within_seconds_is_tried_again_in_the_same_pass(lake: Lake) -> None:
    write_entries(lake, [entry("a")])
    waits: list[float] = []
    taker = Taker(DeliveryError("429", 2.0), DeliveryError("500"))
    done = deliver(lake, ROUTES, AT, taker, sleep=waits.append)
    assert (sent(done), waits) == ([("a", "sent")], [2.0, 1.0])


def test_one_service_that_takes_nothing_holds_no_other(lake: Lake) -> None:
    write_entries(lake, [entry(f"p{n}", f"t{n}") for n in range(3)])
    write_entries(lake, [entry("q", "t9", policy="q")])
    taker = Taker(*[DeliveryError("down", is_lasting=True)])
    # It is tried with one message a pass.
    assert sent(tried_by(lake, taker)) == [("p0", "waiting"), ("q", "sent")]
    assert len(read_waiting(lake)) == 3
    assert sent(tried_by(lake, taker, AT + SECOND)) == [("p1", "sent"), ("p2", "sent")]


def test_the_end_waits_for_the_beginning_and_goes_into_its_thread(lake: Lake) -> None:
    write_entries(lake, [entry("a")])
    (failed,) = tried_by(lake, Taker(DeliveryError("down", is_lasting=True)))
    write_entries(lake, [entry("b", event="resolved")])
    taker = Taker()
    assert tried_by(lake, taker, AT + SECOND) == []
    assert sent(tried_by(lake, taker, failed.next_at)) == [("a", "sent"), ("b", "sent")]
    assert taker.tried == [("a", ""), ("b", "thread-t")]


def test_no_message_is_begun_when_the_time_of_a_pass_is_over(lake: Lake) -> None:
    write_entries(lake, [entry("a"), entry("b", thread="u")])
    ticks = iter([0.0, 1.0, 100.0])
    taker = Taker()
    done = deliver(lake, ROUTES, AT, taker, clock=lambda: next(ticks), sleep=lambda s: None)
    assert sent(done) == [("a", "sent")]
    assert [each.attempts for each in read_waiting(lake)] == [0]


def test_a_policy_that_is_no_more_takes_its_messages_along(lake: Lake) -> None:
    write_entries(lake, [entry("a", policy="gone")])
    assert sent(tried_by(lake, Taker())) == [("a", "dropped")]
    assert read_waiting(lake) == []
    assert [e.state for e in read_entries(lake, ["t"])] == ["dropped"]
