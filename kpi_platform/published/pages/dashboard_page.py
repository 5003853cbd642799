"""One HTML page out of its parts: style, script and compressed data, all of it inside the file.

Belongs here: putting the page together. Does not: the data, and reading the parts.

Data is embedded as base64 of gzip, so nothing in it can end its element; the page's policy lets
only the script run whose hash it names, and lets nothing be loaded from anywhere.
"""

import base64
import gzip
import hashlib
import html
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

SCRIPT_HEAD = '"use strict";\n(() => {\n'
SCRIPT_TAIL = "})();\n"


def build_page(
    parts: Mapping[str, str], blocks: Sequence[Mapping[str, Any]], meta: Mapping[str, str]
) -> str:
    """The page. `parts`: `page.html`, `style.css` and the scripts by file name, which is their
    order; `blocks`: JSON objects, read by their number; `meta`: `built_at`, `data_until` and
    `inputs`, which stand at the page's beginning for whoever looks at its age."""
    script = SCRIPT_HEAD + "\n".join(parts[name] for name in sorted(parts) if name.endswith(".js"))
    script += SCRIPT_TAIL
    digest = hashlib.sha256(script.encode()).digest()
    return Template(parts["page.html"]).substitute(
        {name: html.escape(text) for name, text in meta.items()},
        style=parts["style.css"],
        script=script,
        script_hash=base64.b64encode(digest).decode(),
        blocks="\n".join(_block(number, block) for number, block in enumerate(blocks)),
    )


def _block(number: int, block: Mapping[str, Any]) -> str:
    text = json.dumps(block, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    packed = gzip.compress(text.encode(), compresslevel=6, mtime=0)
    data = base64.b64encode(packed).decode()
    return f'<script type="text/plain" data-block="{number}">{data}</script>'


def page_meta(page_head: str, name: str) -> str:
    """What a page says of itself under `name`; blank if it does not. Its head is enough."""
    found = re.search(rf'<meta name="kpi-{re.escape(name)}" content="([^"]*)">', page_head)
    return html.unescape(found[1]) if found else ""


def page_fault(page: str) -> str:
    """What would keep the page from opening, in words; blank if nothing would."""
    if not page.rstrip().endswith("</html>"):
        return "the page is cut short"
    blocks = re.findall(r'<script type="text/plain" data-block="\d+">([^<]*)</script>', page)
    if not blocks:
        return "the page has no data"
    try:
        for block in blocks:
            json.loads(gzip.decompress(base64.b64decode(block, validate=True)))
    except (ValueError, OSError, EOFError, zlib.error) as error:
        return f"its data cannot be unpacked: {error}"
    return ""
