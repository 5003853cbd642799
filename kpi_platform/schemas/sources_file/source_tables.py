"""Mappings: how a warehouse table or a platform's feed becomes conformed events.

Belongs here: the grammar of mappings in the sources file. Does not: applying them to rows.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from kpi_platform.schemas.sources_file.source_values import (
    ColumnTime,
    ColumnValue,
    ColumnWhen,
    EventName,
    Name,
    Strict,
    Time,
    Value,
    Watermark,
    as_list,
    comparable,
)

Columns = Annotated[tuple[Name, ...], BeforeValidator(as_list)]


def _as_folder(name: str) -> str:
    """Raises ValueError for a name that is no folder's, or another's than the one it looks like."""
    if not name.strip() or name in (".", "..") or {"/", "\\"} & set(name):
        raise ValueError("must be the name of one folder, no path")
    if name != name.strip() or not name.isprintable():
        raise ValueError("must be a folder's name without blanks at its ends or control characters")
    if name.startswith((".", "_")):
        # So writers call their own work in progress, which is not read.
        raise ValueError("must be a folder's name that does not begin with a dot or an underscore")
    return name


Folder = Annotated[str, AfterValidator(_as_folder)]
RowsAre = Literal["wholes", "parts", "samples"]
_VALUES = ("event", "player_id", "session_id", "transaction_id", "platform", "service_name")


class EventMapping(Strict):
    """What makes a row an event. Columns that nothing names are kept as attributes.

    `json_columns` hold objects whose members become attributes; `ignore` is never read; rows that
    are not `only` are not events; `deleted` marks rows that the studio has taken back.
    """

    event: EventName | None = None
    event_at: ColumnTime | None = None
    player_id: ColumnValue | None = None
    session_id: ColumnValue | None = None
    transaction_id: ColumnValue | None = None
    platform: ColumnValue | None = None
    service_name: ColumnValue | None = None
    attributes: dict[Name, ColumnValue] = Field(default_factory=dict)
    json_columns: Columns = ()
    ignore: Columns = ()
    only: ColumnWhen | None = None
    deleted: ColumnWhen | None = None

    def values(self) -> dict[str, Value]:
        """Every value that is mapped, by its name in the conformed event or its attributes."""
        by_name = {name: getattr(self, name) for name in _VALUES}
        return {
            name: value for name, value in by_name.items() if value is not None
        } | self.attributes

    def columns_by_use(self) -> dict[str, set[str]]:
        """The columns of each use: `player_id`, `event_at`, `attributes.Amount`, `deleted`, ..."""
        uses = {
            name if name in _VALUES else f"attributes.{name}": value.columns()
            for name, value in self.values().items()
        }
        uses["event_at"] = {self.event_at.column} if self.event_at else set()
        uses["only"] = {self.only.column} if self.only else set()
        uses["deleted"] = {self.deleted.column} if self.deleted else set()
        uses["json_columns"] = set(self.json_columns)
        return {use: columns for use, columns in uses.items() if columns}


class Captured(Strict):
    """How a table's rows are found again: its key, and the column that says when a row changed.

    Without a watermark the table is a dimension: replaced whole at each capture.
    """

    key: Columns = ()
    watermark: Annotated[Watermark, AfterValidator(comparable)] | None = None


class TableMapping(EventMapping, Captured):
    """One table of a game's schema. A dimension may be no event at all."""

    table: Name

    @property
    def is_dimension(self) -> bool:
        """Whether the table is replaced whole at each capture, outside the order law."""
        return self.watermark is None

    @model_validator(mode="after")
    def _complete(self) -> "TableMapping":
        if self.event is not None and self.event_at is None:
            raise ValueError("an event needs event_at")
        if self.watermark is not None and not self.key:
            raise ValueError("a table with a watermark needs its key")
        if self.watermark is not None and self.event is None:
            raise ValueError("a table with a watermark needs an event")
        return self

    def columns_by_use(self) -> dict[str, set[str]]:
        """As of every mapping, with `key` and `watermark`."""
        uses = super().columns_by_use() | {"key": set(self.key)}
        if self.watermark is not None:
            uses["watermark"] = {self.watermark.column}
        return {use: columns for use, columns in uses.items() if columns}


class _Feed(Captured):
    """Where a feed's rows come from: a folder of hourly files, or a table of the warehouse.

    `<KPI_FEEDS_URI>/<folder>/YYYY/MM/DD/HH/<any name>.csv`, `.jsonl` or `.parquet`. Where one
    folder tells of several games, `only` says which rows are this game's. A table that does not say
    when its rows changed is captured by the time they speak of.
    """

    folder: Folder | None = None
    schema_: Annotated[Name | None, Field(alias="schema")] = None
    table: Name | None = None
    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."

    @model_validator(mode="after")
    def _one_place(self) -> "_Feed":
        if (self.folder is None) == (self.table is None):
            raise ValueError("needs either folder or table")
        if (self.table is None) != (self.schema_ is None):
            raise ValueError("a table needs its schema, and a schema its table")
        if self.watermark is not None and not self.key:
            raise ValueError("a table with a watermark needs its key")
        if self.table is not None and self.watermark is None:
            comparable(self._time())
        return self

    def _time(self) -> Time:
        """When what a row speaks of happened."""
        raise NotImplementedError

    def as_captured(self) -> Captured:
        """How the rows of its table are found again."""
        return Captured(key=self.key, watermark=self.watermark or self._time())


class ConsoleFeed(_Feed, EventMapping):
    """Installs, purchases, trophies and subscriptions of a console platform, as events."""

    kind: Literal["console"]
    event: EventName
    event_at: ColumnTime

    def _time(self) -> Time:
        return self.event_at


class StreamFeed(_Feed):
    """A stream platform's figures per game and hour.

    `rows_are`: what several rows about one game and hour are. `wholes`: each tells the whole hour,
    so that rows that differ contradict each other; `parts` (channels, countries) are added;
    `samples` (every ten minutes) are averaged, of their peaks the greatest counts.
    """

    kind: Literal["stream"]
    rows_are: RowsAre = "wholes"
    hour: ColumnTime
    average_viewers: ColumnValue
    peak_viewers: ColumnValue | None = None
    channels: ColumnValue | None = None
    hours_streamed: ColumnValue | None = None
    only: ColumnWhen | None = None

    def _time(self) -> Time:
        return self.hour

    def columns_by_use(self) -> dict[str, set[str]]:
        """The columns of each use."""
        figures = ("average_viewers", "peak_viewers", "channels", "hours_streamed")
        values = {name: getattr(self, name) for name in figures}
        uses = {name: value.columns() for name, value in values.items() if value is not None}
        uses |= {"hour": {self.hour.column}, "key": set(self.key)}
        uses["watermark"] = {self.watermark.column} if self.watermark else set()
        uses["only"] = {self.only.column} if self.only else set()
        return {use: columns for use, columns in uses.items() if columns}


Feed = Annotated[ConsoleFeed | StreamFeed, Field(discriminator="kind")]
