"""The contract of every lake table: columns, types, nullability and key, as dataframely schemas.

Belongs here: what a table promises to its readers. Does not: how a table is computed or stored.
"""

from collections.abc import Collection
from copy import copy
from functools import cache

import dataframely as dy
import polars as pl


def _utc(*, nullable: bool = False, primary_key: bool = False) -> dy.Datetime:
    return dy.Datetime(nullable=nullable, primary_key=primary_key, time_unit="us", time_zone="UTC")


def _day(*, primary_key: bool = False) -> dy.Date:
    return dy.Date(nullable=False, primary_key=primary_key)


def _hour(*, primary_key: bool = False) -> dy.Int32:
    return dy.Int32(nullable=False, min=0, max=23, primary_key=primary_key)


def _key() -> dy.String:
    return dy.String(nullable=False, primary_key=True)


def _text(*, nullable: bool = False) -> dy.String:
    return dy.String(nullable=nullable)


def _count(*, nullable: bool = False) -> dy.Int64:
    return dy.Int64(nullable=nullable, min=0)


class Contract(dy.Schema):
    """A table's promise to its readers."""

    @classmethod
    def to_polars_schema(cls) -> pl.Schema:
        """The columns and Polars types, in order."""
        return _polars_schema(cls).copy()


@cache
def _polars_schema(contract: type[Contract]) -> pl.Schema:
    # Asked for at every read and write: making the frame that tells is a sixth of a small update.
    return contract.create_empty().schema


class RawTelemetry(Contract):
    """One row per readable line of a telemetry file.

    `raw_line`: the line's source text, kept only where it cannot be written anew from the fields
    and its body may turn out to be of no use.
    """

    source = _key()
    category = _text()
    event_timestamp_utc = _utc()
    service_name = _text()
    title_session_id = _text()
    title_transaction_id = dy.Int64(nullable=False)
    body_message = _text()
    event_name = _text(nullable=True)
    raw_line = _text(nullable=True)
    file_name = _key()
    line_number = dy.Int64(nullable=False, min=1, primary_key=True)
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)


class QuarantinedEvents(Contract):
    """One row per line that could not be used, with the first reason that applies."""

    source = _key()
    reason = _text()
    raw_line = _text()
    file_name = _key()
    line_number = dy.Int64(nullable=False, min=1, primary_key=True)
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)
    p_stage = dy.String(nullable=False, regex="^(read|read_console|read_stream|decode)$")


class CleanedEvents(Contract):
    """One row per distinct event of an ingest hour."""

    event_id = _key()
    source = _text()
    studio = _text()
    game = _text()
    service_name = _text()
    session_id = _text()
    transaction_id = dy.Int64(nullable=False)
    event_name = _text()
    event_at = _utc()
    attributes = _text()
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)


class RawConsoleFeed(Contract):
    """One row per readable row of a console platform's hourly files, as JSON of texts."""

    source = _key()
    row = _text()
    file_name = _key()
    line_number = dy.Int64(nullable=False, min=1, primary_key=True)
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)


class RawStreamFeed(Contract):
    """One row per usable row of a stream platform's hourly files: a game's figures of one hour."""

    source = _key()
    studio = _text()
    game = _text()
    hour = _utc()
    average_viewers = dy.Float64(nullable=False, min=0)
    peak_viewers = _count(nullable=True)
    channels = _count(nullable=True)
    hours_streamed = dy.Float64(nullable=True, min=0)
    file_name = _key()
    line_number = dy.Int64(nullable=False, min=1, primary_key=True)
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)


class StreamStats(Contract):
    """One row per game and hour: what the stream platforms say of it, added up over platforms.

    Of several statements of one platform about one hour, those of the latest ingest hour count;
    its rows are added (parts), averaged (samples), or must agree, as the feed says.
    `average_viewers`, `channels` and `hours_streamed` are sums over
    platforms; so is `peak_viewers`, an upper bound where platforms peak at different minutes.
    """

    studio = _key()
    game = _key()
    hour = _utc(primary_key=True)
    average_viewers = dy.Float64(nullable=False, min=0)
    peak_viewers = _count(nullable=True)
    channels = _count(nullable=True)
    hours_streamed = dy.Float64(nullable=True, min=0)
    p_date_utc = _day()


class RawStudioEvents(Contract):
    """One row per version of a studio's row that was captured: `row` is JSON of texts.

    The ingest hour is the one that `watermark_at` falls in, the first partition's for all that is
    older. Versions are only ever added: what a studio deletes without marking it stays.
    """

    source = _key()
    table_name = _key()
    row_key = _key()
    watermark_at = _utc(nullable=True)
    content_hash = dy.Int64(nullable=False, primary_key=True)
    row = _text()
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)


class StudioDimensions(Contract):
    """One row per row of a studio's table without a watermark, as of the last capture.

    Outside the order law: it shows the table as it is now, whatever hour was captured.
    """

    source = _text()
    table_name = _text()
    row_key = _text()
    row = _text()


class RowsAhead(Contract):
    """One row per source and table of a studio with rows that no window takes yet; bookkeeping.

    Their watermark lies further ahead than the limit for future events, or is `infinity`: they are
    counted where they lie, as they are in no hour. `rows` is null where they could not be counted.
    """

    source = _key()
    table_name = _key()
    rows = _count(nullable=True)
    counted_at = _utc()


class FileLedger(Contract):
    """One row per file of an ingest hour and source, and content: what an hour consists of.

    `path` below the landing zone (or the feeds' place); a file of several sources has a row for
    each. `content_hash`: SHA-256 of its bytes as they lay there, empty if nobody knows. `state`:
    `read`; `held` (gone, or no longer to be opened, its lines stay); `forgotten` (gone when it was
    allowed to go, its lines stay); `unreadable` (never opened); without lines `replaced` (by other
    content of that name, or by a newer listing), `removed` (let go by `kpi removals accept`) and
    `refused` (came in place of others to an hour whose lines are gone: as if it never came).
    `lines` = `rows` + `quarantined` + `duplicates` + `left_out` + `suppressed` + `sealed`; of
    copies in an hour the first by path is the row. `rows` is null until the lines are decoded.

    `identity`: how the file looked when it was last listed, empty once it is gone; `is_young`: it
    was read so soon after it was written that it could have changed unseen; `read_by`: a hash of
    the settings under which it was read. `arrived_at`: when it had been written, as the landing
    zone said when it was read; null of files that were never read by this release.
    """

    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)
    source = _key()
    path = _key()
    bytes = _count()
    content_hash = _key()
    lines = _count()
    rows = _count(nullable=True)
    quarantined = _count()
    quarantined_on_read = _count()
    duplicates = _count()
    left_out = _count()
    suppressed = _count()
    sealed = _count()
    state = dy.String(
        nullable=False, regex="^(read|held|forgotten|unreadable|replaced|removed|refused)$"
    )
    is_truncated = dy.Bool(nullable=False)
    kind = dy.String(nullable=False, regex="^(telemetry|console|stream)$")
    identity = _text()
    is_young = dy.Bool(nullable=False)
    read_by = _text()
    arrived_at = _utc(nullable=True)


class HourLedger(Contract):
    """One row per ingest hour and source: what arrived and where every line went.

    `lines` = `rows` + `quarantined` + `duplicates` + `left_out` (a warehouse's or feed's row that
    is marked as deleted, or no event) + `suppressed` (of erased players: none yet) + `sealed`
    (came late for sealed days). `source_error`: why this source alone could not be read, while the
    hour went on. `is_closed`: whether the writer of a source that delivers while the hour lasts
    has said that it is done.
    """

    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)
    source = _key()
    status = dy.String(nullable=False, regex="^(processed|failed)$")
    files = _count()
    truncated_files = _count()
    unreadable_files = _count()
    bytes = _count()
    lines = _count()
    rows = _count(nullable=True)
    quarantined = _count()
    quarantined_on_read = _count()
    duplicates = _count()
    left_out = _count()
    suppressed = _count()
    sealed = _count()
    min_event_at = _utc(nullable=True)
    max_event_at = _utc(nullable=True)
    fingerprint = _text()
    error = _text(nullable=True)
    kind = dy.String(nullable=True, regex="^(telemetry|warehouse|console|stream)$")
    source_error = _text(nullable=True)
    is_closed = dy.Bool(nullable=True)


class TableLedger(Contract):
    """One row per ingest hour, source and warehouse table: where every captured row went.

    `lines` = `rows` + `quarantined` + `duplicates` (versions that a later one replaced) +
    `left_out` (marked as deleted, or no event by the mapping) + `suppressed` + `sealed` (none yet).
    """

    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)
    source = _key()
    table_name = _key()
    lines = _count()
    rows = _count()
    quarantined = _count()
    duplicates = _count()
    left_out = _count()
    suppressed = _count()
    sealed = _count()


class EventAttributes(Contract):
    """One row per ingest hour, source, service, event and attribute: how many of the `events` that
    were looked at were `carrying` it. With a blank attribute a row of the event, with a blank event
    one of the service, of all events.
    """

    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)
    source = _key()
    service_name = dy.String(nullable=False, primary_key=True)
    event_name = dy.String(nullable=False, primary_key=True)
    attribute = dy.String(nullable=False, primary_key=True)
    events = _count()
    carrying = _count()


class SessionParts(Contract):
    """One row per silence-free stretch of a session within one ingest hour."""

    source = _key()
    service_name = _key()
    session_id = _key()
    first_at = _utc(primary_key=True)
    last_at = _utc()
    player_id = _text(nullable=True)
    platform = _text(nullable=True)
    device = _text(nullable=True)
    country = _text(nullable=True)
    ended_normally = dy.Bool(nullable=False)
    session_end_seconds = dy.Float64(nullable=True, min=0)
    event_count = _count()
    crash_count = _count()
    issue_count = _count()
    purchase_count = _count()
    feature_used_count = _count()
    notification_count = _count()
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)


class Sessions(Contract):
    """One row per session: a session id of one source and service between two long silences."""

    source = _key()
    service_name = _key()
    session_id = _key()
    player_id = _text(nullable=True)
    platform = _text()
    device = _text()
    country = _text()
    started_at = _utc(primary_key=True)
    ended_at = _utc()
    ended_normally = dy.Bool(nullable=False)
    duration_seconds = dy.Float64(nullable=False, min=0)
    event_count = _count()
    crash_count = _count()
    issue_count = _count()
    purchase_count = _count()
    feature_used_count = _count()
    notification_count = _count()
    p_started_date_utc = _day()


class Sightings(Contract):
    """One row per `SoftwareVersion` event with a version, of one ingest hour."""

    event_id = _key()
    source = _text()
    service_name = _text()
    session_id = _text()
    event_at = _utc()
    transaction_id = dy.Int64(nullable=False)
    version = _text()
    device = _text(nullable=True)
    player_id = _text(nullable=True)
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)


class UserVersionIntervals(Contract):
    """One row per player, service, device and interval in which one version was in effect.

    `p_state`: `open` for the version in effect until now, else `closed`. `p_month`: first day of
    the month in which a closed interval ends, or an open one begins. An hour ends some open
    intervals; those that ended before lie apart from them and are not copied.
    """

    player_id = _key()
    service_name = _key()
    device = _key()
    version = _text()
    version_sort_key = _text()
    valid_from = _utc(primary_key=True)
    valid_to = _utc(nullable=True)
    p_state = dy.String(nullable=False, regex="^(open|closed)$")
    p_month = _day()


class UserVersionHistory(Contract):
    """Exactly one row per player that was ever sighted, with the whole version timeline.

    `p_last_seen_date`: the date of `last_seen_at`. It keeps players seen lately, who are nearly
    all that an hour touches, apart from the dormant.
    """

    player_id = _key()
    current_version = _text()
    current_device = _text()
    current_service = _text()
    first_seen_at = _utc()
    last_seen_at = _utc()
    version_count = _count()
    timeline = dy.List(
        dy.Struct(
            {
                "service_name": _text(),
                "device": _text(),
                "version": _text(),
                "valid_from": _utc(),
                "valid_to": _utc(nullable=True),
                "last_seen_at": _utc(),
                "sightings": _count(),
            }
        ),
        nullable=False,
    )
    p_last_seen_date = _day()


class RunLedger(Contract):
    """One row per run, step and asset, and attempt: what was done, and what it took.

    The row in which `asset` is `step` is of the step as a whole: adding up those counts nothing
    twice. Counts are of the hours that were up to date afterwards, unchanged ones included.
    `arrival_seconds` is of the step that publishes, null elsewhere (`published/arrival_wait.py`).
    """

    run_id = _key()
    step = _key()
    asset = _key()
    started_at = _utc(primary_key=True)
    first_hour = _utc(nullable=True)
    last_hour = _utc(nullable=True)
    seconds = dy.Float64(nullable=False, min=0)
    cpu_seconds = dy.Float64(nullable=False, min=0)
    arrival_seconds = dy.Float64(nullable=True, min=0)
    peak_memory_mib = _count()
    hours = _count()
    unchanged_hours = _count()
    failed_hours = _count()
    files = _count()
    bytes = _count()
    lines = _count()
    rows = _count()
    quarantined = _count()
    duplicates = _count()
    left_out = _count()
    suppressed = _count()
    sealed = _count()
    p_started_date_utc = _day()


class HistoryQueue(Contract):
    """Players whose history waits to be recomputed; bookkeeping, removed once done.

    `changed_from`, `changed_to`: the first and last instant that the change may reach; null if
    that is not known.
    """

    batch_id = _key()
    player_id = _key()
    changed_from = _utc(nullable=True)
    changed_to = _utc(nullable=True)


class HourQueue(Contract):
    """Hours that a table has to be brought up to date for, beyond a run's own; bookkeeping."""

    table_name = _key()
    batch_id = _key()
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)


class HourFingerprints(Contract):
    """Per table and hour: the input consumed and the content produced; bookkeeping."""

    table_name = _key()
    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)
    input_fingerprint = _text()
    content_fingerprint = _text()
    rows = _count()


class SealedDays(Contract):
    """One row per sealed event day: of which no line is taken any more that comes late.

    Written by the retention job before the first of the day's rows goes; never taken back.
    """

    event_date = _day(primary_key=True)
    sealed_at = _utc()


class LateFiles(Contract):
    """One row per file that came to an hour after days were sealed, and per sealed day within the
    hour's reach: lines of these days are refused, whenever the file is read."""

    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)
    path = _key()
    event_date = _day(primary_key=True)


class DroppedHours(Contract):
    """One row per ingest hour whose telemetry lines are gone, all of their days being sealed.

    Written before they go. `rows`: of `raw_telemetry` that went last. An hour whose files were all
    there to be read anew is no longer among them.
    """

    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)
    rows = _count()


class KeptDays(Contract):
    """One row for each time that days were kept, so that their events may go: what was made of them
    is in `kept_contributions`, and is never made again.

    `closed_before`: ingest hours before it take no correction. `state`: `closing` while what is
    kept is written, then `kept`, for ever.
    """

    kept_through = _day(primary_key=True)
    closed_before = _utc()
    silence_seconds = _count()
    state = _text()
    noted_at = _utc()


class KeptContributions(Contract):
    """One row of a model of the KPI database that is made of events, of a day that is kept; of
    `purchases` what a refund may name."""

    model = _key()
    event_date = _day(primary_key=True)
    contents = _key()


class EmptiedHours(Contract):
    """One row per ingest hour whose telemetry events are gone, all of their days being kept.

    Written before they go, never taken back. `rows`: of `cleaned_events` that went.
    """

    p_ingest_date_utc = _day(primary_key=True)
    p_ingest_hour_utc = _hour(primary_key=True)
    rows = _count()


class WarehouseColumns(Contract):
    """Per column of the studios' warehouses: how it was when last found right; bookkeeping.

    `mapping_fingerprint`: of the mapping of its table then; empty if the table was not mapped.
    """

    studio = _key()
    schema = _key()
    table = _key()
    column = _key()
    kind = _text()
    position = dy.Int32(nullable=False)
    type = _text()
    is_nullable = dy.Bool(nullable=False)
    is_key = dy.Bool(nullable=False)
    is_readable = dy.Bool(nullable=False)
    mapping_fingerprint = _text()


class Incidents(Contract):
    """One row per incident: one cause, opened once and resolved once, however many hours it has.

    `kind`: see `docs/runbook.md`. `hours`: all ingest hours that it touched, as keys and ranges
    `A...B`; `open_hours`: those that are still wrong. `closed_by`: empty while it is open; `itself`
    (it is right again), `ack` (acknowledged) or `age` (seven days without another such hour).
    """

    incident_id = _key()
    kind = _text()
    severity = dy.String(nullable=False, regex="^(warn|error)$")
    asset = _text()
    check = _text()
    source = _text()
    first_hour = _utc(nullable=True)
    last_hour = _utc(nullable=True)
    hours = _text()
    open_hours = _text()
    is_whole = dy.Bool(nullable=False)
    studios = _text()
    cause = _text()
    affects = _text()
    mend = _text()
    opened_at = _utc()
    last_seen_at = _utc()
    grown_at = _utc()
    acknowledged_at = _utc(nullable=True)
    resolved_at = _utc(nullable=True)
    closed_by = dy.String(nullable=False, regex="^(|itself|ack|age)$")


class AlertMarks(Contract):
    """How far a pass of finding incidents has looked, by what it looks at; bookkeeping."""

    name = _key()
    value = _text()


class AlertMessages(Contract):
    """One row per message and recipient: written before it is sent, changed when it has arrived.

    `state`: `waiting` (until it is taken), `sent`, or `dropped` (its policy is no more).
    """

    message_id = _key()
    policy = _text()
    recipient = _text()
    thread = _text()
    event = _text()
    content = _text()
    created_at = _utc()
    next_at = _utc()
    attempts = _count()
    state = dy.String(nullable=False, regex="^(waiting|sent|dropped)$")
    sent_at = _utc(nullable=True)
    error = _text()
    receipt = _text()


class DailyReports(Contract):
    """One row per day and report: what its recipients are sent, written down before it is sent.

    `report`: a studio, or `all`. `told`: the figures in it as JSON, as `reported_figures` has them.
    """

    report = _key()
    day = _day(primary_key=True)
    made_at = _utc()
    is_complete = dy.Bool(nullable=False)
    subject = _text()
    text = _text()
    page = _text()
    pictures = _text()
    told = _text()
    waiting_days = _text()
    restated_until = _utc(nullable=True)
    p_month = _text()


class ReportedFigures(Contract):
    """One row per report, day, studio, game and KPI: the figure that its recipients know.

    A figure that was told anew, as it had changed, has the newer value.
    """

    report = _key()
    day = _day(primary_key=True)
    studio = _key()
    game = _key()
    kpi = _key()
    value = dy.Float64(nullable=True)
    is_complete = dy.Bool(nullable=False)
    p_month = _text()


class ReportRecipients(Contract):
    """One row per mail address (in small letters) and report: who asked for it, or for no more."""

    address = _key()
    report = _key()
    written_as = _text()
    is_subscribed = dy.Bool(nullable=False)
    changed_at = _utc()


_RULES = ("check", "regex", "min", "max", "min_length", "max_length")


def _has_rule(column: dy.Column) -> bool:
    is_nested = isinstance(column, dy.List | dy.Struct)
    return is_nested or any(getattr(column, rule, None) is not None for rule in _RULES)


class Table:
    """How a table is kept in the lake: its contract, its partition columns, and its free texts:
    the columns of mostly different texts, in which nobody looks for a range of values.

    `statistics`: the columns of which the log tells the range and the nulls of each file; none
    named, of all. Each is read with every list of files, which an hourly table has very many of.
    """

    def __init__(
        self,
        schema: type[Contract],
        partition_by: tuple[str, ...] = (),
        free_texts: tuple[str, ...] = (),
        statistics: tuple[str, ...] = (),
    ) -> None:
        self.schema = schema
        self.partition_by = partition_by
        self.free_texts = free_texts
        self.statistics = statistics

    @property
    def keys(self) -> list[str]:
        """The columns that identify a row."""
        return list(self.schema.primary_key())

    @property
    def row_keys(self) -> list[str]:
        """The key and the partition columns: by all of them the lake finds a row."""
        return [*self.keys, *(name for name in self.partition_by if name not in self.keys)]

    @property
    def unruled(self) -> set[str]:
        """The columns outside the key whose only rule is their type and whether they may be
        null."""
        columns = self.schema.columns().items()
        return {name for name, c in columns if not c.primary_key and not _has_rule(c)}

    def rows(self, columns_left_out: Collection[str] = ()) -> type[dy.Schema]:
        """The contract without its key: what can be said of each row by itself."""
        columns = {
            name: copy(column)
            for name, column in self.schema.columns().items()
            if name not in columns_left_out
        }
        for column in columns.values():
            column.primary_key = False
        return type(f"{self.schema.__name__}Rows", (dy.Schema,), columns)

    @property
    def polars_schema(self) -> pl.Schema:
        """The columns and Polars types, in order."""
        return self.schema.to_polars_schema()


INGEST_HOUR = ("p_ingest_date_utc", "p_ingest_hour_utc")
# A session's name; heard again after a silence, it names a new session.
SESSION = ["source", "service_name", "session_id"]

TABLES: dict[str, Table] = {
    "raw_telemetry": Table(
        RawTelemetry, INGEST_HOUR, free_texts=("title_session_id", "body_message", "raw_line")
    ),
    "raw_console_feed": Table(RawConsoleFeed, INGEST_HOUR, free_texts=("row",)),
    "raw_stream_feed": Table(RawStreamFeed, INGEST_HOUR),
    "raw_studio_events": Table(RawStudioEvents, INGEST_HOUR, free_texts=("row_key", "row")),
    "studio_dimensions": Table(StudioDimensions, ("source",)),
    "rows_ahead": Table(RowsAhead),
    "stream_stats": Table(StreamStats, ("p_date_utc",)),
    "table_ledger": Table(TableLedger, ("p_ingest_date_utc",)),
    "quarantined_events": Table(QuarantinedEvents, (*INGEST_HOUR, "p_stage")),
    "cleaned_events": Table(
        CleanedEvents, INGEST_HOUR, free_texts=("event_id", "session_id", "attributes")
    ),
    "file_ledger": Table(FileLedger, INGEST_HOUR, statistics=("state",)),
    "hour_ledger": Table(HourLedger, ("p_ingest_date_utc",)),
    "event_attributes": Table(EventAttributes, ("p_ingest_date_utc",)),
    "session_parts": Table(SessionParts, INGEST_HOUR, statistics=("first_at", "last_at")),
    "sessions": Table(Sessions, ("p_started_date_utc",)),
    "sightings": Table(Sightings, INGEST_HOUR, statistics=("event_at", "player_id")),
    "user_version_intervals": Table(UserVersionIntervals, ("p_state", "p_month")),
    "user_version_history": Table(UserVersionHistory, ("p_last_seen_date",)),
    "hour_queue": Table(HourQueue, ("table_name",)),
    "history_queue": Table(HistoryQueue, ("batch_id",)),
    "run_ledger": Table(RunLedger, ("p_started_date_utc",)),
    "sealed_days": Table(SealedDays),
    "late_files": Table(LateFiles, ("p_ingest_date_utc",)),
    "dropped_hours": Table(DroppedHours, ("p_ingest_date_utc",)),
    "kept_days": Table(KeptDays),
    "kept_contributions": Table(KeptContributions, ("model",), free_texts=("contents",)),
    "emptied_hours": Table(EmptiedHours, ("p_ingest_date_utc",)),
    "warehouse_columns": Table(WarehouseColumns, ("studio",)),
    "incidents": Table(Incidents),
    "alert_messages": Table(AlertMessages, ("state",), free_texts=("content",)),
    "alert_marks": Table(AlertMarks),
    "daily_reports": Table(DailyReports, ("p_month",), free_texts=("text", "page", "pictures")),
    "reported_figures": Table(ReportedFigures, ("p_month",)),
    "report_recipients": Table(ReportRecipients),
    "hour_fingerprints": Table(HourFingerprints, ("table_name", "p_ingest_date_utc")),
}
