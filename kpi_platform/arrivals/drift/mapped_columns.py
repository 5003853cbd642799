"""Which of a schema's columns the sources file maps, to what use, and whether they still fit it.

Belongs here: holding mappings against a catalog. Does not: what changed since last time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kpi_platform.schemas.kpi_inputs import kpis_of_use
from kpi_platform.schemas.sources_file.column_types import NUMBERS, TIMES, ColumnType, column_type
from kpi_platform.schemas.sources_file.source_tables import (
    ConsoleFeed,
    EventMapping,
    StreamFeed,
    TableMapping,
)
from kpi_platform.schemas.sources_file.source_values import EPOCH_PER_SECOND, Time, Value
from kpi_platform.schemas.sources_file.sources import Source

Mapped = TableMapping | ConsoleFeed | StreamFeed
# Attributes of events, and figures of stream feeds, that have a unit.
_MEASURED = frozenset({
    "Amount", "DurationSeconds", "average_viewers", "peak_viewers", "channels", "hours_streamed",
})  # fmt: skip
_STREAM_KPIS = ("average viewers", "peak viewers", "hours watched", "hours streamed")


@dataclass(frozen=True)
class Use:
    """One use of a mapped column; `time` and `value` say how it is read."""

    source: str
    table: str
    column: str
    use: str
    kpis: tuple[str, ...]
    time: Time | None = None
    value: Value | None = None
    is_json: bool = False
    tells_versions: bool = True

    @property
    def is_measured(self) -> bool:
        """Whether its values are so many of a unit, so that another unit gives another figure."""
        return self.use.removeprefix("attributes.") in _MEASURED

    def misfit(self, type_name: str) -> str:
        """Why a column of this type cannot be read as mapped; empty if it can."""
        family = column_type(type_name).family
        if self.is_json or (self.value and self.value.path):
            return "" if family in ("json", "text", "nested") else "holds no JSON"
        if self.time is not None and not self.time.path:
            return _time_misfit(self.time, family)
        scaled = self.value is not None and self.value.scale != 1
        if scaled and family not in NUMBERS | {"text"}:
            return "is no number"
        if self.use in ("key", "player_id", "session_id") and family in ("json", "nested"):
            return "is no single value"
        return ""

    def means_something_else(self, old: str, new: str) -> str:
        """Why values of the new type may no longer mean what the mapping says, though they fit."""
        before, after = column_type(old), column_type(new)
        if self.use == "key" and self.tells_versions and not _same_text(before, after):
            return "may be written in another way now, so that every row would come a second time"
        if self.value is not None and self.value.scale != 1 and before.scale != after.scale:
            return f"is multiplied by {self.value.scale}, and gained or lost digits after the point"
        if self.is_measured and _changes_unit(before, after):
            return "has, or no longer has, digits after the point: it may be in another unit now"
        if self.time is not None and before.family != after.family:
            return "holds another kind of time"
        return ""


def _same_text(before: ColumnType, after: ColumnType) -> bool:
    """Whether a value of the old type is the same text in the new one."""
    if before.family == after.family:
        return before.family not in ("decimal", "float", "other") or before.scale == after.scale
    is_whole = after.family == "decimal" and after.scale == 0
    if before.family == "integer":
        return is_whole or after.family == "text"
    return before.family == "uuid" and after.family == "text"


def _changes_unit(before: ColumnType, after: ColumnType) -> bool:
    """Whether a number had parts of a whole and has none, or the other way round.

    4.99 that becomes 499, and 499 that becomes 4.99, fit either type; a text may hold both.
    """
    return _has_parts(before) is not _has_parts(after)


def _has_parts(kind: ColumnType) -> bool | None:
    if kind.family in NUMBERS:
        return kind.family == "float" or kind.scale > 0
    return None


def _time_misfit(time: Time, family: str) -> str:
    if time.unit in EPOCH_PER_SECOND:
        return "" if family in NUMBERS | {"text"} else f"is no number of unit {time.unit}"
    if time.unit == "text":
        return "" if family == "text" else "is no text"
    return "" if family in TIMES else "is no time"


def uses_of(sources: Iterable[Source], schema: str) -> list[Use]:
    """Every use of a column of the schema, of all the sources that read it."""
    return [
        use
        for source in sources
        for table, mapping in tables_of(source, schema)
        for use in _uses(source.key, table, mapping)
    ]


def tables_of(source: Source, schema: str) -> Iterator[tuple[str, Mapped]]:
    """The tables of the schema that the source reads, with their mappings."""
    if source.schema_ == schema:
        for mapping in source.tables:
            yield mapping.table, mapping
    feed = source.feed
    if feed is not None and feed.schema_ == schema and feed.table is not None:
        yield feed.table, feed


def schemas_of(sources: Sequence[Source]) -> list[str]:
    """The schemas that the sources read, sorted."""
    schemas = {source.schema_ for source in sources} | {
        source.feed.schema_ for source in sources if source.feed is not None
    }
    return sorted(schema for schema in schemas if schema is not None)


def _uses(source: str, table: str, mapping: Mapped) -> Iterator[Use]:
    if isinstance(mapping, StreamFeed):
        for use, columns in mapping.columns_by_use().items():
            for column in sorted(columns):
                yield Use(source, table, column, use, _STREAM_KPIS)
        return
    is_dimension = isinstance(mapping, TableMapping) and mapping.is_dimension
    for use, columns in mapping.columns_by_use().items():
        kpis = tuple(kpis_of_use(mapping, use))
        for column in sorted(columns):
            yield Use(
                source,
                table,
                column,
                use,
                kpis,
                time=_time_of(mapping, use),
                value=_value_of(mapping, use, column),
                is_json=use == "json_columns",
                tells_versions=not is_dimension,
            )


def _time_of(mapping: EventMapping, use: str) -> Time | None:
    found = getattr(mapping, use, None) if use in ("event_at", "watermark") else None
    return found if isinstance(found, Time) else None


def _value_of(mapping: EventMapping, use: str, column: str) -> Value | None:
    value = mapping.values().get(use.removeprefix("attributes."))
    # The column that only decides about the sign is no number.
    return value if value is not None and value.column == column else None
