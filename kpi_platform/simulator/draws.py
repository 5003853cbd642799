"""Chance as a pure function: every draw depends on the seed, a name and the row's own key.

Belongs here: counter-based random numbers and tables to draw from. Does not: what is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

import polars as pl

_MASK = (1 << 64) - 1


def _u64(value: int) -> pl.Expr:
    return pl.lit(value & _MASK, dtype=pl.UInt64)


@dataclass(frozen=True)
class Draws:
    """Draws of one seed.

    A draw is the splitmix64 hash of a key column (UInt64) salted with the draw's name, so that
    no draw depends on the order of rows, on the batch they are made in or on other draws: this
    is what lets the world be made hour by hour in bounded memory.
    """

    seed: int

    def _salt(self, name: str) -> int:
        text = f"{self.seed}:{name}".encode()
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")

    def bits(self, name: str, key: str = "uid") -> pl.Expr:
        """64 random bits (UInt64) for the key column `key`."""
        mixed = pl.col(key).cast(pl.UInt64) * _u64(0x9E3779B97F4A7C15) + _u64(self._salt(name))
        mixed = (mixed ^ (mixed // _u64(1 << 30))) * _u64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed // _u64(1 << 27))) * _u64(0x94D049BB133111EB)
        return mixed ^ (mixed // _u64(1 << 31))

    def unit(self, name: str, key: str = "uid") -> pl.Expr:
        """A number in [0, 1)."""
        return (self.bits(name, key) // _u64(1 << 11)).cast(pl.Float64) * 2.0**-53

    def chance(self, name: str, probability: float | pl.Expr, key: str = "uid") -> pl.Expr:
        """True with the given probability."""
        return self.unit(name, key) < probability

    def pick(self, name: str, table: Sequence[object] | pl.Series, key: str = "uid") -> pl.Expr:
        """One entry of `table`, each equally likely (repeat an entry to weigh it)."""
        values = table if isinstance(table, pl.Series) else pl.Series("table", table)
        place = (self.unit(name, key) * len(values)).floor().cast(pl.UInt32)
        return pl.lit(values).gather(place)

    def log_uniform(self, name: str, low: float, high: float, key: str = "uid") -> pl.Expr:
        """A number between `low` and `high`, its logarithm equally likely everywhere."""
        return low * pl.lit(high / low).pow(self.unit(name, key))

    def random(self, name: str) -> Random:
        """An ordinary generator, for the few choices that are made one by one."""
        return Random(self._salt(name))  # noqa: S311 - a simulation, not a secret


def lookup(table: Sequence[object] | pl.Series, place: pl.Expr) -> pl.Expr:
    """The entry of `table` at the (whole, non-negative) `place` of every row."""
    values = table if isinstance(table, pl.Series) else pl.Series("table", table)
    return pl.lit(values).gather(place.cast(pl.UInt32))
