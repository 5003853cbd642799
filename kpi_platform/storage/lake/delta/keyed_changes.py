"""Rows of a Delta table inserted, updated, moved and deleted by key, in one commit.

Belongs here: which files a change of rows replaces, and what replaces them. Does not: which rows
change (the callers), how rows become files (delta_writes.py).

deltalake's own MERGE does the same, but leaves texts as Arrow's `string_view` (delta_writes.py).
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

import obstore
import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.transaction import AddAction, RemoveAction
from obstore.store import from_url

from kpi_platform.schemas.tables import Table
from kpi_platform.storage.lake.delta.delta_writes import (
    arrow_stream,
    table_properties,
    writer_properties,
)
from kpi_platform.storage.lake.delta.lake_files import files_of, scan_files
from kpi_platform.storage.landing.landing import RETRIES

_OPERATION = "_operation"
_PATH = "_path"
_ROWS_AT_A_TIME = 65_536
# Every change names it in its commit: of two changes made from the same version of a table one is
# refused, also if both only add rows, which Delta would otherwise let pass.
_CHANGES_BY_KEY = "kpi_platform/changes_by_key"


def changes_of(contract: Table, upserts: pl.DataFrame, deletes: pl.DataFrame) -> pl.DataFrame:
    """What `merge` is to do: rows to insert or update, and keys to delete, in one frame.

    A row that is deleted from one partition and inserted into another moves: it is looked for
    where it was (`_in_<partition column>`), and inserted only as the row found there.
    """
    columns = contract.polars_schema.names()
    found_in = {_found_in(name): name for name in contract.partition_by}
    held = deletes.select(*contract.keys, **found_in)
    rows = upserts.select(columns).join(held, on=contract.keys, how="left")
    is_move = pl.col(next(iter(found_in))).is_not_null()
    moves_or_stays = pl.when(is_move).then(pl.lit("move")).otherwise(pl.lit("upsert"))
    stays_in = {new: pl.coalesce(new, name) for new, name in found_in.items()}
    gone = held.join(upserts, on=contract.keys, how="anti")
    return pl.concat(
        [
            rows.with_columns(moves_or_stays.alias(_OPERATION), **stays_in),
            gone.with_columns(pl.lit("delete").alias(_OPERATION)),
        ],
        how="diagonal",
    ).select(*columns, *found_in, _OPERATION)


def merge(root: str, target: DeltaTable, contract: Table, changes: pl.DataFrame) -> None:
    """Insert, update, move and delete rows by key in one commit; `changes` as `changes_of` gives
    them, `root` the table's address. Repeated, it leaves the same rows: a commit may have been made
    and its answer lost. Raises CommitFailedError if another writer came between.

    Only files that hold a changed row are replaced, the other rows of each streamed through.
    """
    keys = [*contract.keys, *(n for n in contract.partition_by if n not in contract.keys)]
    places = {name: pl.col(_found_in(name)) for name in contract.partition_by}
    wanted = changes.with_columns(**places).select(keys)
    files = files_of(target)
    if not files.is_empty():
        files = files.join(wanted.select(contract.partition_by).unique(), on=contract.partition_by)
    rows = scan_files(root, contract, files, path_column=_PATH).select(*keys, _PATH)
    found = rows.join(wanted.lazy(), on=keys, how="semi").collect(engine="streaming")
    addresses = pl.Series([f"{root}/{unquote(path)}" for path in files["path"]], dtype=pl.String)
    replaced = files.filter(addresses.is_in(found[_PATH].unique().to_list()))
    is_written = pl.col(_OPERATION) == "upsert"
    moved = changes.filter(pl.col(_OPERATION) == "move")
    was_there = moved.with_columns(**places).select(keys)
    moved = moved.filter(_is_among(was_there, found, keys))
    written = pl.concat([changes.filter(is_written), moved]).select(contract.polars_schema.names())
    if replaced.is_empty() and written.is_empty():
        return

    def rows_of_new_files() -> Iterator[pl.DataFrame]:
        yield written
        if not replaced.is_empty():
            kept = scan_files(root, contract, replaced).join(wanted.lazy(), on=keys, how="anti")
            yield from kept.collect_batches(chunk_size=_ROWS_AT_A_TIME, maintain_order=False)

    with TemporaryDirectory() as folder:
        added = _write_files(folder, contract, rows_of_new_files())
        for action in added:
            _put(Path(folder, action.path), root, action.path)
    _commit(target, contract, added, replaced)


def _is_among(rows: pl.DataFrame, found: pl.DataFrame, keys: list[str]) -> pl.Series:
    """For each row whether its key was found."""
    known = found.select(keys).unique().with_columns(_is_found=pl.lit(value=True))
    joined = rows.join(known, on=keys, how="left", maintain_order="left")
    return joined["_is_found"].fill_null(value=False)


def _found_in(partition_column: str) -> str:
    return f"_in_{partition_column}"


def _write_files(folder: str, contract: Table, frames: Iterator[pl.DataFrame]) -> list[AddAction]:
    """Write rows as the files of a table of their own; returns what a log says of them."""
    write_deltalake(
        folder,
        arrow_stream(contract.polars_schema, frames),
        partition_by=list(contract.partition_by),
        configuration=table_properties(contract),
        writer_properties=writer_properties(contract),
    )
    log = Path(folder, "_delta_log", f"{0:020}.json").read_text(encoding="utf-8")
    entries = (json.loads(line).get("add") for line in log.splitlines())
    return [_add_action(entry) for entry in entries if entry]


def _add_action(entry: Mapping[str, object]) -> AddAction:
    return AddAction(
        # The log writes paths percent-encoded, actions are given as they lie.
        path=unquote(str(entry["path"])),
        size=int(str(entry["size"])),
        partition_values=dict(entry["partitionValues"]),  # type: ignore[call-overload]
        modification_time=int(str(entry["modificationTime"])),
        data_change=True,
        stats=str(entry["stats"]),
    )


def _put(file: Path, root: str, path: str) -> None:
    """Bring a file to its place below the table's root; nobody sees it before the commit."""
    if "://" in root:
        obstore.put(from_url(root, retry_config=RETRIES), path, file)
        return
    place = Path(root, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(file, place)


def _commit(
    target: DeltaTable, contract: Table, added: list[AddAction], replaced: pl.DataFrame
) -> None:
    now = int(time.time() * 1000)
    removed = [
        RemoveAction(unquote(path), data_change=True, deletion_timestamp=now)
        for path in replaced["path"]
    ]
    target.create_write_transaction(
        [*removed, *added],
        "append",
        target.schema(),
        list(contract.partition_by),
        commit_properties=CommitProperties(
            app_transactions=[Transaction(_CHANGES_BY_KEY, target.version() + 1)]
        ),
    )
