"""Sends requests one after the other over one connection, as a user outside the cluster would.

Runs as `python -m testbed.client COUNT [--url URL] [--header 'NAME: VALUE'] [--announce]`.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from testbed.errors import TestbedError
from testbed.topology import CHECKOUT_URL

REQUEST_TIMEOUT_S = 10.0
ANNOUNCEMENT = "answered"
"""What is printed with `--announce` once the first answer has come."""


@dataclass(frozen=True)
class Answer:
    """A response's status and body."""

    status: int
    body: bytes


def send_requests(count: int, url: str = CHECKOUT_URL, headers: dict[str, str] | None = None) -> list[Answer]:
    """Send GET requests and return their answers in order. Raises TestbedError where there is none."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=REQUEST_TIMEOUT_S)
    answers: list[Answer] = []
    try:
        for _ in range(count):
            connection.request("GET", parts.path or "/", headers=headers or {})
            response = connection.getresponse()
            answers.append(Answer(response.status, response.read()))
    except (OSError, HTTPException) as error:
        raise TestbedError(f"{url}: request {len(answers) + 1} of {count}: {error!r}") from error
    finally:
        connection.close()
    return answers


def main() -> int:
    """Send the requests and print how many answers of each status came; 1 if one was not 200."""
    parser = argparse.ArgumentParser(prog="python -m testbed.client", description=main.__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--url", default=CHECKOUT_URL)
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    parser.add_argument(
        "--announce", action="store_true", help="send one request before, and say when it is answered"
    )
    options = parser.parse_args()
    headers = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in options.header)}
    try:
        if options.announce:
            send_requests(1, options.url, headers)
            sys.stdout.write(f"{ANNOUNCEMENT}\n")
            sys.stdout.flush()
        answers = send_requests(options.count, options.url, headers)
    except TestbedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    statuses = Counter(answer.status for answer in answers)
    sys.stdout.write("".join(f"{status}: {number}\n" for status, number in sorted(statuses.items())))
    return int(set(statuses) != {200})


if __name__ == "__main__":
    sys.exit(main())
