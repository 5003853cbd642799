"""What each column of the lake's tables and books means, in one sentence, and its type in words.

Belongs here: the words of the catalogue. Does not: what a column may hold, which `tables.py` says.
"""

import polars as pl

_SOURCE = "Source: the key of its configuration, or the name of its landing folder."
# What a column means wherever it stands; a table that means something else says so below.
_EVERYWHERE = {
    "source": _SOURCE,
    "studio": "Studio of the source; `unassigned` where no source names the folder.",
    "game": "Game of the source; the folder's name where no source names it.",
    "service_name": "Service that sent the events.",
    "session_id": "Session id, as sent; may be blank.",
    "transaction_id": "Transaction id of the line.",
    "event_id": "Stable hash of the event's identity, 128 bits as text.",
    "event_name": "Name of the event.",
    "event_at": "When it happened (UTC).",
    "player_id": "Player; null where no event names one.",
    "platform": "First platform that an event names; else `unknown`.",
    "device": "First device that an event names; else `unknown`.",
    "country": "First country that an event names; else `unknown`.",
    "version": "Version of the service, trimmed.",
    "version_sort_key": "Key of the version, which sorts as versions do.",
    "table_name": "Table of the studio's database.",
    "row_key": "Key of the row, as text.",
    "row": "The row as a JSON object of texts, as the source has it.",
    "file_name": "File that the line was read from.",
    "line_number": "Number of the line in its file, from 1.",
    "raw_line": "Text of the line, as it was read.",
    "hour": "Start of the hour (UTC).",
    "average_viewers": "Mean of the viewers over the hour.",
    "peak_viewers": "Most viewers at once; null where the platform does not say.",
    "channels": "Channels that streamed the game; null where the platform does not say.",
    "hours_streamed": "Hours of streams of all channels; null where the platform does not say.",
    "ended_normally": "Whether a `SessionEnd` was heard.",
    "event_count": "Distinct events.",
    "crash_count": "Distinct `Crash` events.",
    "issue_count": "Distinct `Issue` events.",
    "purchase_count": "Distinct `Purchase` events.",
    "feature_used_count": "Distinct `FeatureUsed` events.",
    "notification_count": "Distinct `Notification` events.",
    "lines": "Lines that arrived, or rows that were captured.",
    "rows": "Rows that were made of them.",
    "quarantined": "Lines or rows that could not be used; each is in `quarantined_events`.",
    "duplicates": "Lines or rows that repeat or replace another one.",
    "left_out": "Rows left out on purpose: marked as deleted, or no event by the mapping.",
    "suppressed": "Lines of erased players that are kept out: none yet.",
    "sealed": "Lines that came for a sealed day: none yet.",
    "quarantined_on_read": "Of `quarantined`, the lines that could not be read as fields.",
    "batch_id": "The change that asked for it.",
    "p_ingest_date_utc": "UTC date of the ingest hour.",
    "p_ingest_hour_utc": "Hour of the day of the ingest hour, 0 to 23 (UTC).",
}
_OF_TABLE = {
    "raw_telemetry": {
        "category": "Category of the line, as sent.",
        "event_timestamp_utc": "Timestamp of the line (UTC).",
        "title_session_id": "Session id of the line, as sent; may be blank.",
        "title_transaction_id": "Transaction id of the line.",
        "body_message": "Body of the line: the event and its attributes as text.",
        "event_name": "Name of the event; null where the body names none.",
        "raw_line": "Text of the line where it cannot be written anew from the fields; else empty.",
    },
    "quarantined_events": {
        "reason": "First reason that applies.",
        "p_stage": "Step that refused the line: `read`, `read_console`, `read_stream` or `decode`.",
    },
    "cleaned_events": {
        "attributes": "Attributes of the body, a JSON object whose scalars are their source texts.",
    },
    "raw_studio_events": {
        "watermark_at": "Watermark of the row (UTC), by which new ones are found.",
        "content_hash": "Hash of the row's content: a changed row is another version.",
    },
    "file_ledger": {
        "path": "Path of the file below the landing zone, or below the place of feeds.",
        "bytes": "Bytes of the file, as it is stored.",
        "content_hash": "SHA-256 of the stored bytes; empty if nobody knows.",
        "rows": "Rows that were made of the lines; null until they are decoded.",
        "state": "`read`, `held`, `forgotten`, `unreadable`, `replaced` or `removed`.",
        "is_truncated": "Whether the file ends before its last line does.",
        "kind": "Kind of the source: `telemetry`, `console` or `stream`.",
        "identity": "How the file looked when it was last listed; empty once it is gone.",
        "arrived_at": "When the file had been written (UTC), as the landing zone said.",
        "is_young": "Whether it was read so soon that it could have changed unseen.",
        "read_by": "Hash of the settings under which it was read.",
    },
    "hour_ledger": {
        "status": "`processed` or `failed`.",
        "files": "Files that arrived.",
        "truncated_files": "Files that end before their last line does.",
        "unreadable_files": "Files of which nothing could be read.",
        "bytes": "Bytes of the files, as they are stored.",
        "rows": "Events that were made of the lines; null where the hour failed.",
        "min_event_at": "Earliest event (UTC); null without any.",
        "max_event_at": "Latest event (UTC); null without any.",
        "fingerprint": "Hash of what was read: the same hour read again has the same.",
        "error": "Why the hour failed; null where it did not.",
        "kind": "Kind of the source: `telemetry`, `warehouse`, `console` or `stream`.",
        "is_closed": "Whether a writer that delivers while the hour lasts said that it is done.",
        "source_error": "Why this source alone could not be read, while the hour went on.",
    },
    "event_attributes": {
        "event_name": "Event; blank in the row of its service.",
        "attribute": "Attribute of the event; blank in the row of the event.",
        "events": "Events of the hour; with an attribute those looked at: of many a sixteenth.",
        "carrying": "Of these, those that carry the attribute.",
    },
    "session_parts": {
        "first_at": "First event of the stretch (UTC).",
        "last_at": "Last event of the stretch (UTC).",
        "platform": "First platform that an event of the stretch names; null where none does.",
        "device": "First device that an event of the stretch names; null where none does.",
        "country": "First country that an event of the stretch names; null where none does.",
        "session_end_seconds": "Seconds by the last valid `SessionEnd`; null without one.",
    },
    "sessions": {
        "session_id": "Session id, as sent.",
        "started_at": "First event (UTC).",
        "ended_at": "Last event (UTC).",
        "duration_seconds": "Seconds by the last valid `SessionEnd`, else first to last event.",
        "p_started_date_utc": "UTC date on which the session started.",
    },
    "sightings": {"device": "Device that the session names; null where it names none."},
    "user_version_intervals": {
        "player_id": "Player.",
        "service_name": "Service.",
        "device": "Device; `unknown` where nothing says it.",
        "version": "Version in effect.",
        "valid_from": "From when it is in effect (UTC, inclusive).",
        "valid_to": "Until when it is in effect (UTC, exclusive); null for the current one.",
        "p_state": "`open` for the version in effect until now, else `closed`.",
        "p_month": "First day of the month in which a closed interval ends, or an open one begins.",
    },
    "user_version_history": {
        "player_id": "Player.",
        "current_version": "Version of the latest sighting.",
        "current_device": "Device of the latest sighting.",
        "current_service": "Service of the latest sighting.",
        "first_seen_at": "First sighting (UTC).",
        "last_seen_at": "Last sighting (UTC).",
        "version_count": "Distinct versions seen.",
        "timeline": "Every interval of the player, by service, device and time (UTC).",
        "p_last_seen_date": "UTC date of `last_seen_at`.",
    },
    "stream_stats": {"p_date_utc": "UTC date of the hour."},
    "history_queue": {
        "player_id": "Player whose history is recomputed.",
        "changed_from": "First instant (UTC) that the change may reach; null if that is not known.",
        "changed_to": "Last instant (UTC) that the change may reach; null if that is not known.",
    },
    "hour_queue": {"table_name": "Lake table that has to be brought up to date."},
    "hour_fingerprints": {
        "table_name": "Lake table.",
        "input_fingerprint": "Hash of what the hour was made of.",
        "content_fingerprint": "Hash of what it holds.",
        "rows": "Rows of the hour.",
    },
    "sealed_days": {
        "event_date": "Day of which no line is taken any more (UTC).",
        "sealed_at": "When it was sealed (UTC).",
    },
    "late_files": {
        "path": "File that came after days were sealed.",
        "event_date": "Sealed day of which the file's lines are refused (UTC).",
    },
    "dropped_hours": {"rows": "Rows of `raw_telemetry` that went last."},
    "kept_days": {
        "kept_through": "Last of the days whose events may be gone (UTC).",
        "closed_before": "Ingest hours before it take no correction (UTC).",
        "silence_seconds": "Silence that ended the sessions of these days, in seconds.",
        "state": "`closing` while what is kept is written, then `kept`.",
        "noted_at": "When it was noted (UTC).",
    },
    "kept_contributions": {
        "model": "Model of the KPI database, or `purchases`.",
        "event_date": "UTC date of the events; of a session its start's.",
        "contents": "The row: a JSON object of texts by column.",
    },
    "emptied_hours": {"rows": "Rows of `cleaned_events` that went."},
    "rows_ahead": {
        "rows": "Rows that lie ahead of every window; null if they could not be counted.",
        "counted_at": "When the count last changed (UTC).",
    },
    "warehouse_columns": {
        "studio": "Studio of the database.",
        "schema": "Schema of the table.",
        "table": "Table of the studio's database.",
        "column": "Column of the table.",
        "kind": "Kind of the database.",
        "position": "Place of the column in its table, from 1.",
        "type": "Type of the column, as the database calls it.",
        "is_nullable": "Whether the column may be null.",
        "is_key": "Whether the column is part of the key.",
        "is_readable": "Whether the platform may read the column.",
        "mapping_fingerprint": "Hash of the table's mapping then; empty if it was not mapped.",
    },
}
_OF_TABLE |= {
    "incidents": {
        "incident_id": "Id of the incident, as `kpi alerts ack` takes it.",
        "kind": "Kind of what is wrong; `docs/runbook.md` has a section of each.",
        "severity": "`error`, or `warn`.",
        "asset": "Asset, job, sensor or policy that it is about.",
        "check": "Check that found it; empty where none did.",
        "source": "Source that it is about; empty where it is about none in particular.",
        "first_hour": "First ingest hour (UTC) that it touched; null where it touches none.",
        "last_hour": "Last ingest hour (UTC) that it touched; null where it touches none.",
        "hours": "Ingest hours (UTC) that it touched, as keys and ranges of keys.",
        "open_hours": "Those of `hours` that are still wrong.",
        "is_whole": "Whether it is wrong of no hour in particular.",
        "studios": "Studios that it touches; `all` where it is about no source.",
        "cause": "What happened, in plain words.",
        "affects": "What of the figures it touches.",
        "mend": "Command that mends it.",
        "opened_at": "When it was found (UTC).",
        "last_seen_at": "When it was last found wrong (UTC), to the hour.",
        "grown_at": "When it last came to touch more hours (UTC).",
        "acknowledged_at": "When somebody took note of it (UTC); null until then.",
        "resolved_at": "When it was right again, or closed (UTC); null while it is open.",
        "closed_by": "`itself`, `ack` or `age`; empty while it is open.",
    },
    "alert_messages": {
        "message_id": "Id of the message; equal messages have equal ids.",
        "policy": "Policy or report of KPI_ALERTS that sends it.",
        "recipient": "Mail address; empty where a service has one recipient.",
        "thread": "Incident that it is about, `heartbeat`, or the name of a report.",
        "event": "`opened`, `grown`, `resolved`, `heartbeat` or `report`.",
        "content": "The message as JSON.",
        "created_at": "When it was written down (UTC).",
        "next_at": "Not before this (UTC) is it tried again.",
        "attempts": "Passes in which it was tried.",
        "state": "`waiting`, `sent` or `dropped`.",
        "sent_at": "When the service took it (UTC); null until then.",
        "error": "Why it was not taken, when last tried.",
        "receipt": "What names its thread at the service.",
    },
    "daily_reports": {
        "report": "Studio that alone is told of, or `all`.",
        "day": "Day (UTC) that is told of.",
        "made_at": "When it was written down (UTC), to be sent.",
        "is_complete": "Whether the day was complete for all that the report shows.",
        "subject": "Its subject.",
        "text": "The report as plain text.",
        "page": "The report as a page of HTML.",
        "pictures": "The pictures of the page: names and PNG (base64), as JSON.",
        "told": "Figures that its recipients know by it, as JSON.",
        "waiting_days": "Earlier days, apart by blanks, of which a figure may yet be told anew.",
        "restated_until": "Moment (UTC) up to which restatements were looked at; null if none.",
        "p_month": "Month of the day.",
    },
    "reported_figures": {
        "report": "Studio that alone is told of, or `all`.",
        "day": "Day (UTC) of the figure.",
        "studio": "Studio of the figure; `all` for all of them.",
        "game": "Game of the figure; `all` for all of them.",
        "kpi": "Column of `kpi_daily`.",
        "value": "Value as it was last told; null if there was none.",
        "is_complete": "Whether it was complete then.",
        "p_month": "Month of the day.",
    },
    "report_recipients": {
        "address": "Mail address, in small letters.",
        "report": "Studio that alone is told of, or `all`.",
        "written_as": "The address as it was typed.",
        "is_subscribed": "Whether it gets the report; else it asked for no more of it.",
        "changed_at": "When it last asked for either (UTC).",
    },
    "alert_marks": {
        "name": "What is looked at.",
        "value": "How far it was looked at.",
    },
}
# The books beside the published tables.
_OF_TABLE["run_ledger"] = {
    "run_id": "Id of the Dagster run.",
    "step": "Step of the run; its own row has its name as `asset`.",
    "asset": "Asset that was worked on.",
    "started_at": "When the step began (UTC).",
    "first_hour": "First ingest hour (UTC) that was worked through; null where it has no hours.",
    "last_hour": "Last ingest hour (UTC) that was worked through; null where it has no hours.",
    "seconds": "Seconds by the clock.",
    "cpu_seconds": "Processor seconds, those of dbt included.",
    "arrival_seconds": "Seconds from a file's arrival to the published figures, the longest of the "
    "hours that were published; null where nothing was.",
    "peak_memory_mib": "Peak memory of the run's process so far, in MiB.",
    "hours": "Hours that are up to date afterwards.",
    "unchanged_hours": "Those of them that had not changed.",
    "failed_hours": "Hours that failed and were left out.",
    "files": "Files that arrived in these hours, over all sources.",
    "bytes": "Bytes of these files.",
    "lines": "Lines that arrived in these hours, over all sources.",
    "rows": "Rows that the asset has of these hours.",
    "p_started_date_utc": "Date (UTC) on which the step began.",
}
_OF_TABLE |= {
    "publications": {
        "table": "Published table.",
        "delta_version": "Version of its Delta table.",
        "complete_through": "End (UTC) of the last period up to which every row is complete.",
        "published_at": "When it was published (UTC).",
    },
    "kpi_value_books": {
        "kpi": "Name of the KPI, as in `kpi_values`.",
        "period": "First date (UTC) of the period, or date of the cohort.",
        "studio": "Studio; `all` in the portfolio's totals.",
        "game": "Game; `all` in totals of a studio and of the portfolio.",
        "platform": "Platform; `all` in totals.",
        "value": "Value that it had from then on; null where it is complete no longer.",
        "is_complete": "Whether it was complete from then on.",
        "definition_version": "Version of the KPI's definition by which it was computed.",
        "known_since": "When that was published (UTC).",
    },
    "kpi_restatements": {
        "kpi": "Name of the KPI, as in `kpi_values`.",
        "period": "First date (UTC) of the period, or date of the cohort.",
        "studio": "Studio; `all` in the portfolio's totals.",
        "game": "Game; `all` in totals of a studio and of the portfolio.",
        "platform": "Platform; `all` in totals.",
        "old_value": "Value that had been published as complete.",
        "new_value": "Value that replaced it; null where there is none any more.",
        "cause": "Why it changed.",
        "caused_by_hours": "Ingest hours (UTC) whose events changed it; empty where none did.",
        "restated_at": "When the new value was published (UTC).",
    },
}
_TYPES: dict[pl.DataType, str] = {
    pl.String(): "text",
    pl.Boolean(): "boolean",
    pl.Date(): "date",
    pl.Int32(): "integer (32 bits)",
    pl.Int64(): "integer",
    pl.Float64(): "number",
    pl.Datetime("us", "UTC"): "timestamp (UTC)",
}


def words_of_column(table: str, column: str) -> str:
    """What a column of a lake table means; nothing if nobody has said it, which a test forbids."""
    return _OF_TABLE.get(table, {}).get(column) or _EVERYWHERE.get(column, "")


def words_of_type(kind: pl.DataType) -> str:
    """A Polars type as a person reads it: `text`, `list of (version text, ...)`."""
    if isinstance(kind, pl.List):
        return f"list of {words_of_type(_inner(kind.inner))}"
    if isinstance(kind, pl.Struct):
        fields = (f"{each.name} {words_of_type(_inner(each.dtype))}" for each in kind.fields)
        return f"({', '.join(fields)})"
    return _TYPES.get(kind) or str(kind).lower()


def _inner(kind: object) -> pl.DataType:
    assert isinstance(kind, pl.DataType)  # noqa: S101
    return kind
