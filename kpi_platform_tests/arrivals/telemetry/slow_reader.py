"""A slow, obvious reader of telemetry texts, to hold the quick one to: which lines count, and how.

Belongs here: the rules of semantics, section 2, one line at a time. Does not: compression.
"""

import json
import re
from datetime import UTC, datetime, timedelta

from kpi_platform.arrivals.telemetry.parsing.plain_json import FIELDS

BOM = b"\xef\xbb\xbf"
BLANKS = " \t\r\x0b\x0c"
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|z|[+-]\d\d(?::?\d\d)?)", re.ASCII
)


def read_text(
    text: bytes, is_json: bool, hour: datetime
) -> list[tuple[int, str | tuple[str, ...]]]:
    """Each line that counts with its number, and either its reason or its fields: category,
    service, session, transaction id, body."""
    physical = _objects(text) if is_json else text.split(b"\n")
    found = []
    for number, line in enumerate(physical, 1):
        judged = _judge(line.removesuffix(b"\r"), is_json, hour)
        if judged is not None:
            found.append((number, judged))
    return found


def _objects(text: bytes) -> list[bytes]:
    """Physical lines, each divided where an object ends and another begins."""
    lines = []
    for line in text.split(b"\n"):
        start = depth = 0
        is_text = is_escaped = False
        for at, letter in enumerate(line):
            if is_text:
                is_text = is_escaped or letter != ord('"')
                is_escaped = letter == ord("\\") and not is_escaped
            elif letter == ord('"'):
                is_text = True
            elif letter == ord("{"):
                if depth == 0 and line[start:at].strip(BLANKS.encode()).endswith(b"}"):
                    lines.append(line[start:at])
                    start = at
                depth += 1
            elif letter == ord("}"):
                depth -= 1
        lines.append(line[start:])
    return lines


def _judge(line: bytes, is_json: bool, hour: datetime) -> str | tuple[str, ...] | None:
    if len(line) > 1 << 20:
        return "line_too_long"
    try:
        text = line.decode().lstrip("\ufeff")
    except UnicodeDecodeError:
        return "not_utf8"
    if not text.strip(BLANKS) or re.split("[ \t]+", text.strip(" \t").lower()) == [
        name.lower() for name in FIELDS
    ]:
        return None
    fields = _from_json(text) if is_json else _from_text(text)
    if fields is None:
        return "wrong_field_count"
    category, time, service, session, transaction, body = (
        field.replace("\0", "\ufffd") for field in fields
    )
    at = _instant(time.strip(" "))
    if at is None:
        return "bad_timestamp"
    number = transaction.strip(" ")
    if not re.fullmatch("[+-]?[0-9]+", number) or not -(2**63) <= int(number) < 2**63:
        return "bad_transaction_id"
    if at >= hour + timedelta(hours=25):
        return "future_timestamp"
    if at < hour - timedelta(days=30):
        return "too_late"
    return category, service, session, str(int(number)), body


def _from_text(text: str) -> list[str] | None:
    parts = text.split("\t", 5) if "\t" in text else re.split(" +", text.lstrip(" "), maxsplit=5)
    return parts if len(parts) == 6 and (parts[5] or "\t" in text) else None


def _from_json(text: str) -> list[str] | None:
    try:
        members = json.loads(text, parse_int=str, parse_float=str)
        return [_member(members[name], name, text) for name in FIELDS]
    except (ValueError, KeyError, TypeError):
        return None


def _member(value: object, name: str, text: str) -> str:
    if isinstance(value, dict) and name == "BodyMessage":
        # Made by the tests, always last, and written in one way.
        return text[text.index('"BodyMessage": ') + 15 : text.rindex("}")]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _instant(text: str) -> datetime | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    day, clock, _, offset = match.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}")
        shift = 0
        if offset not in "Zz":
            minutes = int(offset[-2:]) if len(offset) > 3 else 0
            if int(offset[1:3]) > 23 or minutes > 59:
                return None
            shift = int(offset[0] + "1") * (int(offset[1:3]) * 60 + minutes)
        return (at - timedelta(minutes=shift)).replace(tzinfo=UTC)
    except ValueError:
        return None
