"""What of the dbt project decides the marts' rows: when it changes, all of them are built anew.

Belongs here: reading the parsed project (dbt's manifest). Does not: running dbt.
"""

import json
from collections.abc import Mapping
from typing import Any

from kpi_platform.kpis.dbt.sql_words import sql_words
from kpi_platform.schemas.fingerprints import fingerprint

_BUILT = ("model", "seed")


def project_fingerprint(manifest: Mapping[str, Any]) -> str:
    """A hash of the project's models, seeds and macros and of their settings.

    `manifest` is dbt's manifest as JSON. Descriptions, tests, comments and layout do not count:
    they change no row. Raises KeyError if it is no manifest.
    """
    return fingerprint(*(json.dumps(text) for text in sorted(_texts(manifest).values())))


def changed_names(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The models, seeds and macros that decide other rows now than `before` (two manifests), those
    that came or went among them, sorted."""
    old, new = _texts(before), _texts(now)
    differing = {each for each in old.keys() | new.keys() if old.get(each) != new.get(each)}
    return sorted({name for _, name, _ in differing})


def _texts(manifest: Mapping[str, Any]) -> dict[tuple[str, str, str], list[Any]]:
    """What decides rows, by kind, name of the model, seed or macro, and column."""
    own = manifest["metadata"]["project_name"]
    built = [node for node in manifest["nodes"].values() if node["resource_type"] in _BUILT]
    macros = [each for each in manifest["macros"].values() if each["package_name"] == own]
    texts: dict[tuple[str, str, str], list[Any]] = {
        (node["resource_type"], node["name"], ""): [
            node["unique_id"],
            _said(node),
            json.dumps(node["config"], sort_keys=True),
        ]
        for node in built
    }
    texts |= {
        ("macro", macro["unique_id"].rpartition(".")[2], macro["unique_id"]): [
            macro["unique_id"],
            list(sql_words(macro["macro_sql"])),
        ]
        for macro in macros
    }
    # The rows of kpi_values are what the columns say of their KPIs.
    texts |= {
        ("kpis", node["name"], name): [
            node["name"],
            column["name"],
            json.dumps([_valued(kpi) for kpi in kpis], sort_keys=True),
        ]
        for node in built
        for name, column in node.get("columns", {}).items()
        if (kpis := column.get("config", {}).get("meta", {}).get("kpis"))
    }
    return texts


def _said(node: Mapping[str, Any]) -> object:
    """What a model says; of a seed, and of a model whose text is not told, the file's checksum."""
    text = node.get("raw_code", "") if node["resource_type"] == "model" else ""
    return list(sql_words(text)) or node["checksum"]["checksum"]


def _valued(kpi: Mapping[str, Any]) -> dict[str, Any]:
    """What of a KPI's entry decides the rows of `kpi_values`."""
    return {name: kpi.get(name) for name in ("name", "version", "in_values")}
