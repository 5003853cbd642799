"""Small notes that commands leave in the lake for `kpi status`, as the result of the last verify.

Belongs here: writing and reading one. Does not: anything that a table depends on: a note that is
lost costs nothing but the line that shows it.
"""

import json
from pathlib import Path

import obstore
from obstore.exceptions import BaseError

from kpi_platform.storage.lake.lake_root import LakeError, open_store
from kpi_platform.storage.landing.landing import first_line

Note = dict[str, object]
VERIFY = "verify"


def write_note(lake_uri: str, name: str, note: Note) -> None:
    """Replace the note `name` of a lake. Raises LakeError if nothing can be written there."""
    try:
        if "://" not in lake_uri:
            Path(lake_uri).mkdir(parents=True, exist_ok=True)
        obstore.put(open_store(lake_uri), _path(name), json.dumps(note).encode())
    except (BaseError, OSError) as error:
        raise LakeError(f"KPI_LAKE_URI: {lake_uri}: {first_line(error)}") from None


def read_note(lake_uri: str, name: str) -> Note | None:
    """The note `name` of a lake; None if there is none, or it is no note."""
    if "://" not in lake_uri and not Path(lake_uri).is_dir():
        return None
    try:
        found = json.loads(bytes(obstore.get(open_store(lake_uri), _path(name)).bytes()))
    except (FileNotFoundError, ValueError):
        return None
    except (BaseError, OSError) as error:
        raise LakeError(f"KPI_LAKE_URI: {lake_uri}: {first_line(error)}") from None
    return found if isinstance(found, dict) else None


def _path(name: str) -> str:
    return f"_notes/{name}.json"
