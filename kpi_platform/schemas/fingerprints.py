"""Fingerprints: how the platform knows that something is what it was.

Belongs here: hashing texts and frames. Does not: where fingerprints are kept.
"""

import hashlib

import polars as pl
import polars_hash as plh


def fingerprint(*texts: str) -> str:
    """A 128-bit hash (hex) of texts in order; no two lists of texts look alike by joining."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def content_fingerprint(rows: pl.DataFrame) -> str:
    """A hash of a frame's rows whatever their order, stable across versions of the libraries.

    Every row becomes text by JSON, so only small frames should be given.
    """
    if rows.is_empty():
        return fingerprint("0")
    lines = rows.select(pl.struct(pl.all()).struct.json_encode().alias("line"))
    return text_fingerprint(lines["line"])


def text_fingerprint(texts: pl.Series) -> str:
    """A hash of texts whatever their order: the count and the sum of their 64-bit hashes."""
    hashes = texts.to_frame("text").select(plh.col("text").nchash.xxh3_64()).to_series()
    return fingerprint(str(len(texts)), str(hashes.sum()))
