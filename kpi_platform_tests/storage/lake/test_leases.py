"""A lease in a store: never two holders, whatever the store does, and who lost it is told."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError
from obstore.store import MemoryStore, from_url

from kpi_platform.storage.lake import leases
from kpi_platform.storage.lake.delta.delta_writes import retried
from kpi_platform.storage.lake.leases import Lease, LeaseLostError
from kpi_platform.storage.lake.locks import LockError, leased
from kpi_platform.storage.local_servers.local_s3 import S3Server

PATH = "_locks/fold.lease"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(leases, "_POLL_SECONDS", 0.01)


def _lease(store: MemoryStore) -> Lease:
    return Lease(store, PATH, f"memory/{PATH}")


@contextmanager
def _slow_store(monkeypatch: pytest.MonkeyPatch, fails: int = 0) -> Iterator[None]:
    """Puts are slow before and after they happen, and every so many of them lose their answer."""
    put, count = obstore.put, [0]

    def slow(*arguments: Any, **options: Any) -> Any:
        count[0] += 1
        mine = count[0]
        time.sleep(0.02 * (mine % 3))
        done = put(*arguments, **options)
        time.sleep(0.02 * (mine % 2))
        if fails and mine % fails == 0:
            # The library repeats a put whose answer did not come.
            return put(*arguments, **options)
        return done

    with monkeypatch.context() as patched:
        patched.setattr(leases.obstore, "put", slow)
        yield


@pytest.mark.parametrize("fails", [0, 3])
def test_of_many_waiters_one_holds_it_at_a_time(
    monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    store, inside, most, turns = MemoryStore(), [0], [0], [0]
    # Longer than a busy machine may leave a thread alone.
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3.0)
    # As a dead run left it: every waiter sees it expire at the same time.
    obstore.put(store, PATH, b"5f3a 1234")

    def work() -> None:
        for _ in range(3):
            with leased(store, PATH, "it"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.01)
                turns[0] += 1
                inside[0] -= 1

    with _slow_store(monkeypatch, fails):
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (most[0], turns[0]) == (1, 18)


def _taken_by_another(store: MemoryStore) -> None:
    obstore.put(store, PATH, json.dumps({"host": "h", "pid": 1, "since": "s"}).encode())


def test_who_lost_it_is_told_at_the_end_however_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.setattr(leases, "LEASE_SECONDS", 60.0)
    with pytest.raises(LeaseLostError, match="was taken over"), leased(store, PATH, "it"):
        _taken_by_another(store)
    # What another holds, is left as it is.
    assert b'"pid": 1' in bytes(obstore.get(store, PATH).bytes())


def test_who_gave_it_back_is_not_told_that_another_took_it_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, put, others = MemoryStore(), obstore.put, []

    def unanswered(*arguments: Any, **options: Any) -> Any:
        done = put(*arguments, **options)
        if arguments[2].startswith(b"free") and not others:
            others.append(leases.Lease(store, PATH, "it"))
            others[0].acquire()
            # The library repeats a put whose answer did not come.
            return put(*arguments, **options)
        return done

    monkeypatch.setattr(leases.obstore, "put", unanswered)
    with leased(store, PATH, "it"):
        pass
    # The next holder has it, and gives it back.
    others[0].check()
    others[0].release()
    assert bytes(obstore.get(store, PATH).bytes()).startswith(b"free")


def test_nothing_is_written_under_a_lease_that_was_lost() -> None:
    store, written = MemoryStore(), []
    with pytest.raises(LeaseLostError), leased(store, PATH, "it"):
        _taken_by_another(store)
        time.sleep(0.5)
        retried(lambda: written.append(1))
    assert written == []


def test_a_store_that_stopped_answering_ends_the_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    lease = _lease(store)
    lease.acquire()

    def silent(*_: Any, **__: Any) -> None:
        raise GenericError("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(leases.obstore, "put", silent)
        retried(lambda: None)
        time.sleep(0.7)
        with pytest.raises(LeaseLostError):
            retried(lambda: None)
        with pytest.raises(LeaseLostError):
            lease.release()
    retried(lambda: None)


def test_it_is_renewed_as_long_as_it_is_held() -> None:
    store = MemoryStore()
    with leased(store, PATH, "it"):
        time.sleep(1.5)
        retried(lambda: None)
        before = bytes(obstore.get(store, PATH).bytes())
        assert json.loads(before)["renewals"] > 2
    with leased(store, PATH, "it"):
        assert json.loads(bytes(obstore.get(store, PATH).bytes()))["renewals"] < 3


def test_who_waits_is_told_who_holds_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    _taken_by_another(store)
    monkeypatch.setattr(leases, "NOTICE_SECONDS", 0.1)
    with caplog.at_level(logging.WARNING), leased(store, PATH, "s3://b/lake/fold"):
        assert "waiting for s3://b/lake/fold, held by host h, process 1, since s" in caplog.text


def test_a_store_that_refuses_is_named_by_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise GenericError("access denied\n\nDebug source: ...")

    monkeypatch.setattr(leases.obstore, "get", refuse)
    held = leased(MemoryStore(), PATH, "it")
    with pytest.raises(LockError, match=r"^KPI_LAKE_URI: it: access denied$"), held:
        pass


def test_a_real_server_lets_one_of_two_take_what_expired(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    store = from_url(s3_server.create_bucket("leases"))
    obstore.put(store, PATH, b"as a dead run left it")
    seen = str(obstore.head(store, PATH)["e_tag"])
    first, second = Lease(store, PATH, "it"), Lease(store, PATH, "it")
    now = time.monotonic()
    assert [each._try(seen, now) for each in (first, second)] == [True, False]
    with pytest.raises(LeaseLostError), leased(store, PATH, "it"):
        # Its content is another's; the first one that waited is not renewed and expires.
        obstore.put(store, PATH, b"another")
    with leased(store, PATH, "it"):
        pass
