"""A dbt project of a few models, written into a folder and parsed there by the real dbt.

Belongs here: making it. Does not: what its models say, and running them.
"""

from collections.abc import Mapping
from pathlib import Path

from dbt.cli.main import dbtRunner

_PROJECT = """name: small
profile: small
version: "1.0"
models:
  +materialized: table
"""
_PROFILE = """small:
  target: here
  outputs:
    here:
      type: duckdb
      path: "{{ env_var('KPI_WAREHOUSE_PATH') }}"
      schema: SCHEMA
      threads: 1
"""


def write_small_project(folder: Path, models: Mapping[str, str], schema: str = "main") -> Path:
    """Write and parse it, its macros lying there already; returns the project as parsed.

    The project is parsed before anybody knows the warehouse: `KPI_WAREHOUSE_PATH` says its name.
    """
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(_PROJECT)
    (folder / "profiles.yml").write_text(_PROFILE.replace("SCHEMA", schema))
    for name, text in models.items():
        (folder / "models" / f"{name}.sql").write_text(text)
    places = ["--project-dir", str(folder), "--profiles-dir", str(folder)]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    assert dbtRunner().invoke(["parse", "--quiet", *places]).success
    return folder / "target" / "partial_parse.msgpack"
