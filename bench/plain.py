"""The peer of an hour's work: Polars reads the same file as six columns of text, Delta gets them.

Belongs here: nothing that anybody would not do with these two libraries.
"""

import sys
import time
from pathlib import Path

import polars as pl
from deltalake import write_deltalake


def main(folder: Path) -> None:
    """Read the only file below `landing`, unchanged write it to the table `plain`."""
    (path,) = (folder / "landing").rglob("*.tsv")
    columns = dict.fromkeys("abcdef", pl.String)
    lines = pl.read_csv(path, separator="\t", has_header=False, quote_char=None, schema=columns)
    write_deltalake(folder / "plain", lines)


if __name__ == "__main__":
    started = time.monotonic()
    main(Path(sys.argv[1]))
    sys.stdout.write(f"worked {time.monotonic() - started}\n")
