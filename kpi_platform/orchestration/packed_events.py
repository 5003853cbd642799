"""Dagster's events in SQLite, packed: its JSON says the same words in every event.

Belongs here: how a text of events becomes fewer bytes, and the columns for which that holds. Does
not: when events are written.

A page of SQLite takes one event as Dagster writes it, or two; packed, about fifteen. Texts that
were written before, or by a Dagster of its own, are read as they are.
"""

import zlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from kpi_platform.orchestration.dagster_internals import CHECK_EXECUTIONS, EVENT_LOGS

# What is packed begins with the number of the words that it was packed with.
_FIRST = b"\x01"
_LEVEL, _WINDOW, _MEMORY = 6, -15, 8


def _entry(kind: str, label: str) -> str:
    return (
        '{"__class__": "EventMetadataEntry", "description": null, "entry_data": {"__class__": "'
        + kind
        + 'MetadataEntryData", "value": 0}, "label": "'
        + label
        + '"}, '
    )


def _handle(name: str) -> str:
    return '"' + name + '": {"__class__": "SolidHandle", "name": "kpis", "parent": null}'


_EVENT = '{"__class__": "EventLogEntry", "dagster_event": {"__class__": "DagsterEvent", '
_SPECIFIC = _EVENT + '"event_specific_data": {"__class__": "'
_KEY = '"asset_key": {"__class__": "AssetKey", "path": ["'
_PLANNED = '"partitions_subset": null}, "event_type_value": "ASSET_'
_NO_STEP = (
    '"pid": null, "pipeline_name": "__ASSET_JOB", "solid_handle": null, "step_handle": null, '
    '"step_key": "kpis", "step_kind_value": null}, '
)
_TAGS = (
    '"logging_tags": {"job_name": "__ASSET_JOB", "op_name": "kpis", "resource_fn_name": "None", '
    '"resource_name": "None", "run_id": "'
)
_STEP = (
    '"pid": 1, "pipeline_name": "__ASSET_JOB", '
    + _handle("solid_handle")
    + ', "step_handle": {"__class__": "StepHandle", "key": "kpis", '
    + _handle("solid_handle")
    + '}, "step_key": "kpis", "step_kind_value": "COMPUTE"}, '
)
_END = (
    '"error_info": null, "level": 10, "message": "", "pipeline_name": "__ASSET_JOB", "run_id": "", '
    '"step_key": "kpis", "timestamp": 17'
)
_COUNTS = (
    *("rows", "files", "bytes", "lines", "quarantined", "duplicates", "left_out", "suppressed"),
    *("sealed", "hours", "unchanged_hours", "failed_hours", "rows_loaded", "peak_memory_mib"),
)
# Never to be changed: what was packed with it is read with it. Other words are another number's.
WORDS = "".join(
    (
        _SPECIFIC + 'AssetCheckEvaluationPlanned", ' + _KEY + '"]}, "check_name": "',
        _PLANNED + 'CHECK_EVALUATION_PLANNED", "logging_tags": {}, "message": "__ASSET_JOB intends',
        ' to execute asset check unique_grain_ on asset [\\"\\"]", ' + _NO_STEP + _END,
        _SPECIFIC + 'AssetMaterializationPlannedData", ' + _KEY + '"]}, "partition": null, ',
        _PLANNED + 'MATERIALIZATION_PLANNED", "logging_tags": {}, "message": "__ASSET_JOB intends',
        ' to materialize asset [\\"kpi_daily\\"]", ' + _NO_STEP + _END + ', "user_message": ""}',
        _SPECIFIC + 'StepOutputData", "metadata_entries": [',
        '{"__class__": "BoolMetadataEntryData", "value": true}, ',
        '"label": "__source_asset_observation__"}], "step_output_handle": {"__class__": ',
        '"StepOutputHandle", "mapping_key": null, "output_name": "", "step_key": "kpis"}, ',
        '"type_check_data": {"__class__": "TypeCheckData", "description": null, "label": "", ',
        '"metadata_entries": [], "success": true}, "version": null}, "event_type_value": ',
        '"STEP_OUTPUT", ' + _TAGS + 'message": "Yielded output \\"\\" of type \\"Nothing\\". ',
        '(Type check passed).", ' + _STEP + _END,
        _SPECIFIC + 'AssetCheckEvaluation", ' + _KEY + '"]}, "blocking": null, "check_name": "',
        '_keeps_its_contract", "description": null, "metadata": {"failing_rows": {"__class__": ',
        '"IntMetadataEntryData", "value": 0}, "message": {"__class__": "TextMetadataEntryData", ',
        '"text": ""}, "seconds": {"__class__": "FloatMetadataEntryData", "value": 0.0}}, ',
        '"partition": "2026-01-01-00:00", "severity": {"__enum__": "AssetCheckSeverity.ERROR"}, ',
        '"success": true, "target_materialization_data": null}, "event_type_value": ',
        '"ASSET_CHECK_EVALUATION", ' + _TAGS + "\"message\": \"Asset check '' on '' passed.\", ",
        _STEP + _END,
        _SPECIFIC + 'StepMaterializationData", "asset_lineage": [], "materialization": ',
        '{"__class__": "AssetMaterialization", ' + _KEY + '"]}, "description": null, ',
        '"metadata_entries": [' + "".join(_entry("Int", name) for name in _COUNTS),
        _entry("Float", "seconds") + _entry("Bool", "unchanged"),
        _entry("Int", "dagster/partition_row_count") + _entry("Int", "dagster/row_count"),
        '{"__class__": "TextMetadataEntryData", "text": "file:///"}, "label": "dagster/uri"}], ',
        '"partition": "2026-01-01-00:00", "tags": null}}, "event_type_value": ',
        '"ASSET_MATERIALIZATION", ' + _TAGS + '"message": "Materialized value ", ' + _STEP + _END,
        ', "user_message": "Materialized value ',
    )
).encode()


def packed(text: str) -> bytes:
    """The text of an event as fewer bytes."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zdict=WORDS)
    return _FIRST + packer.compress(text.encode()) + packer.flush()


def unpacked(stored: str | bytes) -> str:
    """The text of an event as it was given; one that was never packed is itself.

    Raises ValueError for what another release packed.
    """
    if isinstance(stored, str):
        return stored
    if stored[:1] != _FIRST:
        raise ValueError("an event was packed in a way that this release does not know")
    unpacker = zlib.decompressobj(_WINDOW, zdict=WORDS)
    return (unpacker.decompress(stored[1:]) + unpacker.flush()).decode()


class _Packed(TypeDecorator[str]):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ANN401
        return None if value is None else packed(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ANN401
        return None if value is None else unpacked(value)


def pack_events() -> None:
    """Have events packed that this process writes to SQLite, and read those that are."""
    for column in (EVENT_LOGS.c.event, CHECK_EXECUTIONS.c.evaluation_event):
        if "sqlite" not in column.type._variant_mapping:
            column.type = column.type.with_variant(_Packed(), "sqlite")
