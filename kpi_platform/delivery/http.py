"""One POST of JSON, with an end: no redirect is followed, nothing hangs, little is read.

Belongs here: HTTP as senders need it. Does not: what is posted.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO
from urllib.parse import urlsplit

from kpi_platform.delivery.errors import DeliveryError

SECONDS = 10.0
_MOST_BYTES = 64 * 1024
_TRY_AGAIN = (408, 425, 429)
# Whatever a service asks for, a day later it is asked again.
_LONGEST_WAIT = 86_400.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could carry a secret elsewhere: it is an answer like any other."""

    def redirect_request(self, *_: object) -> None:
        return None


def post_json(
    url: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> bytes:
    """Post JSON and return what was answered. Raises DeliveryError unless it was taken."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise DeliveryError("the address must begin with https://", is_lasting=True)
    said = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    host = urlsplit(url).hostname or "?"
    try:
        request = urllib.request.Request(  # noqa: S310 (the scheme was looked at)
            url, json.dumps(body).encode(), said, method="POST"
        )
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=SECONDS) as answer:
            return _read(answer)
    except urllib.error.HTTPError as error:
        raise _refused(host, error) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise DeliveryError(f"{host} gives no answer: {reason}") from None


def _read(answer: IO[bytes]) -> bytes:
    """The answer, as far as it comes within the time: what drips for ever is cut off."""
    until, parts, size = time.monotonic() + SECONDS, [], 0
    while size < _MOST_BYTES and time.monotonic() < until:
        part = answer.read1(4096) if hasattr(answer, "read1") else answer.read(4096)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _refused(host: str, error: urllib.error.HTTPError) -> DeliveryError:
    try:
        text = _read(error)[:200].decode(errors="replace")
    except (OSError, http.client.HTTPException):
        text = ""
    finally:
        error.close()
    may_pass = error.code >= 500 or error.code in _TRY_AGAIN
    wait = _seconds(error.headers.get("Retry-After", ""))
    return DeliveryError(f"{host} answers {error.code}: {text}", wait, is_lasting=not may_pass)


def _seconds(text: str) -> float:
    """What `Retry-After` asks for: seconds, or a date; 0 if it says nothing that can be read."""
    try:
        return min(max(float(text), 0.0), _LONGEST_WAIT) if text.strip() else 0.0
    except ValueError:
        pass
    try:
        # The date is of the service's clock, which is the world's.
        wait = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(wait, 0.0), _LONGEST_WAIT)
