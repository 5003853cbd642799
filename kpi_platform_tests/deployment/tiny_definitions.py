"""The smallest thing Dagster can run: what the tests of its storage materialise."""

import sys

import dagster as dg

SAID = "said by the step on stdout"


@dg.asset
def tiny() -> None:
    """Write a line to each stream, so that there are step logs to look for."""
    print(SAID)
    print("and on stderr", file=sys.stderr)


defs = dg.Definitions(assets=[tiny])
