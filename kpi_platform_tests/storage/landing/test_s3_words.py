"""What fails at S3 is said in words, whichever library met it."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import obstore
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError
from obstore.store import from_url

from kpi_platform.storage.lake.delta.delta_writes import retried
from kpi_platform.storage.lake.lake_root import LakeError
from kpi_platform.storage.landing.landing import first_line
from kpi_platform.storage.landing.s3_words import said_of_s3

SERVER = r"^S3 at 127\.0\.0\.1:\d+ "


class _Server(BaseHTTPRequestHandler):
    """Answers everything with the status that the bucket's name ends in."""

    def _answer(self) -> None:
        self.send_response(int(self.path.split("/")[1].split("?")[0].removeprefix("status-")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_HEAD = do_POST = _answer  # noqa: N815 (the library's names)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """S3's address for the libraries; what it answers is in the bucket's name."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    yield
    server.shutdown()


def _failing_list(bucket: str) -> BaseException:
    retries = {"max_retries": 1, "retry_timeout": timedelta(seconds=5)}
    with pytest.raises(BaseError) as failed:
        obstore.list(from_url(f"s3://{bucket}/x", retry_config=retries)).collect()
    return failed.value


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("503", r"answers 503 Service Unavailable, asked 2 times: run the same again"),
        ("403", r"refuses \(403 Forbidden\): see AWS_ACCESS_KEY_ID"),
        ("400", r"answers 400 Bad Request: see the bucket's name, AWS_REGION"),
    ],
)
@pytest.mark.usefixtures("endpoint")
def test_an_answer_is_said_with_its_setting(status: str, said: str) -> None:
    line = first_line(_failing_list(f"status-{status}"))
    assert pytest.raises(ValueError, match=SERVER + said).matches(ValueError(line)), line


@pytest.mark.usefixtures("endpoint")
def test_the_words_of_deltas_library_are_read_as_well() -> None:
    with pytest.raises((DeltaError, OSError)) as failed:
        DeltaTable("s3://status-403/x/t")
    line = first_line(failed.value)
    assert "refuses (403 Forbidden)" in line and "\x1b" not in line


def test_no_answer_is_said_with_the_setting_of_the_server(
    endpoint: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    line = first_line(_failing_list("any"))
    assert "gives no answer, asked 2 times" in line and "see AWS_ENDPOINT_URL" in line


@pytest.mark.usefixtures("endpoint")
def test_a_write_that_s3_refuses_names_the_lake() -> None:
    def write() -> None:
        raise _failing_list("status-403")

    with pytest.raises(LakeError, match=r"^KPI_LAKE_URI: S3 at [^\n]*$"):
        retried(write)


def test_other_errors_are_left_as_they_are() -> None:
    assert said_of_s3(ValueError("no such table\nmore")) is None
    assert first_line(ValueError("no such table\nmore")) == "no such table"
    with pytest.raises(ValueError, match="no such table"):
        retried(lambda: int("no such table"))
