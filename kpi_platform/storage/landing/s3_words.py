"""What S3's library says when a request fails, in words that name the setting.

Belongs here: reading that one message. Does not: which setting names the place (KPI_LAKE_URI, ...),
which whoever asked knows.
"""

import re
from urllib.parse import urlsplit

_DECORATION = re.compile(r"\x1b\[[\d;]*m|↳")
_FAILED = re.compile(
    r"Error performing \w+ (?P<url>\S+) in [\d.]+\w+(?:, after (?P<retries>\d+) retries,[^-]*)?"
    r" *- *(?P<why>.*)"
)
_STATUS = re.compile(r"status code:? (?P<status>(?P<code>\d{3})(?: [A-Z][A-Za-z]+)*)")


def said_of_s3(error: BaseException) -> str | None:
    """One line on a request to S3 that failed: the server, how often it was asked, what to look at.

    None if the error tells of no such request.
    """
    text = _DECORATION.sub("", str(error)).split("Debug source")[0]
    failed = _FAILED.search(" ".join(text.split()))
    if failed is None:
        return None
    server = f"S3 at {urlsplit(failed['url']).netloc}"
    asked = f", asked {int(failed['retries']) + 1} times" if failed["retries"] else ""
    answer = _STATUS.search(failed["why"])
    if answer is None:
        why = failed["why"].strip(" :") or "no connection"
        return f"{server} gives no answer{asked} ({why}): see AWS_ENDPOINT_URL and the network"
    said = answer["status"]
    if answer["code"] in ("401", "403"):
        return (
            f"{server} refuses ({said}): see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what"
            " they may do"
        )
    if answer["code"] == "429" or answer["code"].startswith("5"):
        return f"{server} answers {said}{asked}: run the same again once it is well"
    return f"{server} answers {said}: see the bucket's name, AWS_REGION and AWS_ENDPOINT_URL"
