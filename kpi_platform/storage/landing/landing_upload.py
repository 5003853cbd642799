"""Uploading a folder of telemetry files to S3, as a studio's own uploader would.

Belongs here: the demo's and the tests' way into a real landing zone. Does not: reading it.
"""

from pathlib import Path
from urllib.parse import urlparse

import boto3


def upload(folder: Path, uri: str) -> int:
    """Upload every file below `folder` to `s3://bucket/prefix`; returns how many."""
    address = urlparse(uri)
    client = boto3.Session().client("s3")
    prefix = address.path.strip("/")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        client.upload_file(
            str(path), address.netloc, f"{prefix}/{path.relative_to(folder).as_posix()}"
        )
    return len(files)
