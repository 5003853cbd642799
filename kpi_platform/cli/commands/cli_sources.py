"""`kpi sources`: what is in the studios' warehouses, what changed, and how it could be mapped.

Belongs here: arguments, messages and exit codes. Does not: discovery, drift and proposals.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from kpi_platform.arrivals.drift.drift_step import Remember, StudioDrift, look_for_drift
from kpi_platform.cli.terminal import say, say_json
from kpi_platform.engine.platform import Platform
from kpi_platform.onboarding.proposal_step import propose_unmapped
from kpi_platform.onboarding.proposal_yaml import as_yaml
from kpi_platform.onboarding.proposals import Proposal
from kpi_platform.schemas.sources_file.sources import Source, Studio
from kpi_platform.settings import load_settings
from kpi_platform.storage.studio_databases import (
    StudioWarehouse,
    StudioWarehouseError,
    as_studio_error,
)

FAILED = 1
sources_app = typer.Typer(help="The studios' warehouses.", no_args_is_help=True)


@sources_app.callback()
def sources() -> None:
    """The studios' warehouses."""


@dataclass
class _Found:
    """What was found at one studio; `error` if it could not be reached."""

    studio: str
    schemas: list[str] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)
    drift: StudioDrift | None = None
    proposals: dict[str, list[Proposal]] = field(default_factory=dict)
    file: Path | None = None
    error: str = ""

    def as_json(self) -> dict[str, object]:
        """The same as an object of JSON: null for an error that did not occur."""
        changes = self.drift.changes if self.drift else ()
        sentences = self.drift.sentences if self.drift else []
        return {
            "studio": self.studio,
            "error": self.error or None,
            "schemas": self.schemas,
            "tables": self.tables,
            "changes": [
                {**asdict(change), "sentence": text}
                for change, text in zip(changes, sentences, strict=True)
            ],
            "proposals": {
                schema: [asdict(proposal) for proposal in proposals]
                for schema, proposals in self.proposals.items()
            },
            "proposals_file": str(self.file) if self.file else None,
        }


@sources_app.command(epilog="Example: kpi sources discover --studio northlight")
def discover(
    studio: Annotated[str | None, typer.Option(help="Only this studio.")] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take every schema as right as it is now.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for proposals; default: KPI_HOME/proposals.")
    ] = None,
    views: Annotated[
        bool, typer.Option("--views", help="Sample views too, which may be slow.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read the warehouses' catalogs, say what changed since the last hour in plain words, and write
    proposed mappings of what is not mapped yet.

    Exit code 1 if a studio cannot be reached or a change stops its hours.
    """
    platform = Platform(load_settings())
    chosen = _chosen(platform, studio)
    folder = out or platform.settings.home / "proposals"
    remember: Remember = "all" if accept else "nothing"
    looks = [
        _look(platform, one, sources, remember, folder, views=views) for one, sources in chosen
    ]
    if as_json:
        say_json([one.as_json() for one in looks])
    else:
        for one in looks:
            _print(one)
        if not looks:
            say("no studio has a warehouse: name one in the file of KPI_SOURCES")
    if any(one.error or (one.drift and one.drift.blocking and not accept) for one in looks):
        raise typer.Exit(FAILED)


def _chosen(platform: Platform, studio: str | None) -> list[tuple[Studio, list[Source]]]:
    every = {
        s.key: (s, [source for _, source in sources])
        for s, sources in platform.sources.warehouses()
    }
    if studio is None:
        return list(every.values())
    if studio not in every:
        studios = ", ".join(sorted(every)) or "none"
        raise typer.BadParameter(f"{studio!r} is no studio with a warehouse; there are: {studios}")
    return [every[studio]]


def _look(
    platform: Platform,
    studio: Studio,
    sources: list[Source],
    remember: Remember,
    folder: Path,
    *,
    views: bool,
) -> _Found:
    found = _Found(studio.key)
    warehouse: StudioWarehouse | None = None
    try:
        with as_studio_error():
            warehouse = platform.open_warehouse(studio)
            found.schemas = warehouse.schemas()
        found.drift = look_for_drift(platform.lake, studio.key, sources, warehouse, remember)
        for schema, catalog in found.drift.catalogs.items():
            found.tables[schema] = catalog["table"].n_unique()
        found.proposals = propose_unmapped(
            warehouse, sources, found.drift.catalogs, found.drift.traits, sample_views=views
        )
        if studio.warehouse is not None and any(found.proposals.values()):
            connection = studio.warehouse.model_dump(exclude_defaults=True)
            found.file = _write(folder, studio.key, connection, found.proposals)
    except StudioWarehouseError as error:
        found.error = str(error)
    finally:
        if warehouse is not None:
            warehouse.close()
    return found


def _print(found: _Found) -> None:
    say(f"{found.studio}:")
    if found.error:
        say(f"  cannot be read: {found.error}")
        return
    read = ", ".join(f"{schema} ({tables:,} tables)" for schema, tables in found.tables.items())
    say(f"  schemas read: {read or 'none'}")
    others = [schema for schema in found.schemas if schema not in found.tables]
    if others:
        say(f"  other schemas: {', '.join(others)}")
    sentences = found.drift.sentences if found.drift else []
    for text in sentences or ["nothing changed"]:
        say(f"  - {text}")
    for schema, proposals in found.proposals.items():
        for proposal in proposals:
            _print_proposal(schema, proposal)
    if found.file is not None:
        say(f"  proposed mappings to review: {found.file}")


def _print_proposal(schema: str, proposal: Proposal) -> None:
    if not proposal.mapping:
        say(f"  ? {schema}.{proposal.table}: {proposal.reasons[0]}")
        return
    event = proposal.mapping["event"]
    named = event if isinstance(event, str) else "one event per row"
    say(f"  + {schema}.{proposal.table}: {named}, confidence {proposal.confidence:.2f}")


def _write(
    folder: Path,
    studio: str,
    connection: dict[str, object],
    proposals: dict[str, list[Proposal]],
) -> Path:
    """Write the proposals as a sources file; a studio's key is no path."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in studio)
    path = folder / f"{name}.yaml"
    path.write_text(as_yaml(studio, connection, proposals), encoding="utf-8")
    return path
