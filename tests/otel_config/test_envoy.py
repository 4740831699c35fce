"""The context-first filter on a real Envoy: where the context stood and stands, and that nothing else moved."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.otel_config.running_envoy import FOLDER, Sidecar, running_sidecar
from tests.requirements import require_root

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(180)]

TRACEPARENT = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
B3 = b"b3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"
B3_MULTI = [
    b"X-B3-TraceId: 0af7651916cd43dd8448eb211c80319c",
    b"X-B3-SpanId: b7ad6b7169203331",
    b"X-B3-ParentSpanId: b7ad6b7169203330",
    b"X-B3-Sampled: 1",
]
UBER = b"uber-trace-id: 0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1"
CONTEXT_NAMES = (b"traceparent:", b"b3:", b"x-b3-", b"uber-trace-id:")

ORDINARY = [
    b"User-Agent: test",
    b"Cookie: a=1",
    b"Via: 1.0 one",
    b"X-Tag: 1",
    b"Accept: */*",
    b"X-Tag: 2",
    b"Cookie: b=2",
    b"Via: 1.1 two",
    b"X-Empty:",
    b"X-Tag: 1",
]


@dataclass(frozen=True)
class Pair:
    """Two Envoys that differ by the filter alone."""

    plain: Sidecar
    moving: Sidecar


def read_config(*, filtered: bool, traced: bool = True) -> Any:
    """Return the shipped configuration, or that without what is under test."""
    config = yaml.safe_load((FOLDER / "envoy.yaml").read_text())
    if not filtered:
        del find_options(config)["http_filters"]
    if not traced:
        manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        del manager["tracing"]
    return config


def find_options(config: Any) -> Any:
    """Return the HttpProtocolOptions of the cluster that requests go to."""
    (options,) = config["static_resources"]["clusters"][0]["typed_extension_protocol_options"].values()
    return options


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Run Envoy as shipped, and without the filter."""
    require_root()
    work_dir = tmp_path_factory.mktemp("envoy")
    with (
        running_sidecar(read_config(filtered=False), work_dir) as plain,
        running_sidecar(read_config(filtered=True), work_dir) as moving,
    ):
        yield Pair(plain, moving)


def write_request(headers: list[bytes], line: bytes = b"GET /a?b=c HTTP/1.1", body: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    return b"\r\n".join([line, b"Host: shop", *headers, b"", body])


def split_head(message: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Return the request line, the header lines, and the body; what Envoy draws by chance is masked."""
    head, _, body = message.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    return line, [re.sub(rb"^(x-request-id: ).*", rb"\1?", header) for header in headers], body


def is_context(header: bytes) -> bool:
    return header.startswith(CONTEXT_NAMES)


def mask_span(header: bytes) -> bytes:
    """Return a header less the id of the span that Envoy made."""
    return re.sub(rb"^(traceparent: 00-)[0-9a-f]{32}-[0-9a-f]{16}", rb"\1?", header)


def check_moved(pair: Pair, request: bytes) -> list[bytes]:
    """Check that the filter moves the context to the head and changes nothing else; return the headers' lines."""
    line, before, body = split_head(pair.plain.pass_on(request)[0])
    line_after, after, body_after = split_head(pair.moving.pass_on(request)[0])
    contexts = [mask_span(header) for header in before if is_context(header)]
    others = [header for header in before if not is_context(header)]
    assert others[0] == b"host: shop"
    assert (line_after, body_after) == (line, body)
    assert [mask_span(header) for header in after] == [others[0], *contexts, *others[1:]]
    return after


def test_envoy_alone_writes_the_context_last(pair: Pair) -> None:
    """What the filter is for: behind all headers of the application, and those that Envoy adds."""
    _, headers, _ = split_head(pair.plain.pass_on(write_request(ORDINARY))[0])
    places = [place for place, header in enumerate(headers) if is_context(header)]
    assert places == [len(headers) - 2]
    assert headers[-1].startswith(b"tracestate")


def test_context_of_the_sidecar_comes_to_the_head(pair: Pair) -> None:
    """Right behind the host stands the traceparent that Envoy wrote."""
    headers = check_moved(pair, write_request(ORDINARY))
    assert headers[1].startswith(b"traceparent: 00-")


@pytest.mark.parametrize("contexts", [[TRACEPARENT], [B3], B3_MULTI, [UBER], [B3, *B3_MULTI, UBER]])
def test_contexts_of_the_application_come_to_the_head(pair: Pair, contexts: list[bytes]) -> None:
    """In every format, in the order that they had, from wherever they stood."""
    amid = [header for place, header in enumerate(ORDINARY) for header in ([header], [*contexts, header])[place == 4]]
    check_moved(pair, write_request(amid))
    check_moved(pair, write_request([*contexts, *ORDINARY]))
    check_moved(pair, write_request([*ORDINARY, *contexts]))


def test_repeated_headers_keep_values_and_order(pair: Pair) -> None:
    """Each Cookie and each header of one name stays a line of its own, and in its place among all."""
    _, headers, _ = split_head(pair.moving.pass_on(write_request(ORDINARY))[0])
    assert [header for header in headers if header.startswith((b"cookie", b"x-tag", b"x-empty"))] == [
        *(b"cookie: a=1", b"x-tag: 1", b"x-tag: 2", b"cookie: b=2", b"x-empty: ", b"x-tag: 1")
    ]
    assert [header for header in headers if header.startswith(b"via")] == [b"via: 1.0 one,1.1 two"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        write_request([*ORDINARY, b"Content-Length: 5"], b"POST / HTTP/1.1", b"hello"),
        write_request([*ORDINARY, b"Transfer-Encoding: chunked"], b"PUT / HTTP/1.1", b"5\r\nhello\r\n0\r\n\r\n"),
        write_request(ORDINARY, b"HEAD /x HTTP/1.1"),
        write_request([*ORDINARY, b"Connection: close", b"TE: trailers"], b"DELETE /x HTTP/1.1"),
        write_request([b"X-Long: " + b"x" * 20_000, *ORDINARY]),
        write_request([]),
    ],
    ids=["body", "chunked", "head", "hop-by-hop", "long", "bare"],
)
def test_all_else_stays(pair: Pair, request_bytes: bytes) -> None:
    """Methods, bodies, framing and what Envoy makes of hop-by-hop headers are as without the filter."""
    check_moved(pair, request_bytes)


def test_responses_stay(pair: Pair) -> None:
    """The filter looks at requests alone: repeated Set-Cookie headers come back in their order."""
    answers = [sidecar.pass_on(write_request(ORDINARY))[1] for sidecar in (pair.plain, pair.moving)]
    cookies = [[line for line in split_head(answer)[1] if line.startswith(b"set-cookie")] for answer in answers]
    assert cookies == [[b"set-cookie: a=1", b"set-cookie: b=2", b"set-cookie: a=3"]] * 2


def test_random_headers_stay(pair: Pair) -> None:
    """Of sixty random header blocks, with names that repeat and contexts anywhere, none is changed otherwise."""
    draw = random.Random(7)  # noqa: S311 - the same cases in each run
    names = [
        b"Cookie",
        b"Via",
        b"Accept",
        b"X-Forwarded-For",
        b"X-A",
        b"x-a",
        b"X-B3",
        b"Authorization",
        b"b3x",
        b"DNT",
    ]
    for _ in range(60):
        headers = [b"%s: %d" % (draw.choice(names), number) for number in range(draw.randrange(40))]
        for context in draw.sample([TRACEPARENT, B3, *B3_MULTI, UBER], draw.randrange(4)):
            headers.insert(draw.randrange(len(headers) + 1), context)
        check_moved(pair, write_request(headers))


def test_request_without_context_stays(tmp_path: Path) -> None:
    """Where Envoy does not trace and nobody else does, requests are passed on as they would be."""
    require_root()
    request = write_request(ORDINARY)
    heads = []
    for filtered in (False, True):
        with running_sidecar(read_config(filtered=filtered, traced=False), tmp_path) as sidecar:
            heads.append(split_head(sidecar.pass_on(request)[0]))
    assert heads[0] == heads[1]
    assert not any(is_context(header) for header in heads[0][1])


def test_istio_filter_does_the_same(pair: Pair, tmp_path: Path) -> None:
    """The EnvoyFilter's patch, merged into the cluster, moves the context by the same script."""
    (patch,) = yaml.safe_load((FOLDER / "istio-envoyfilter.yaml").read_text())["spec"]["configPatches"]
    assert (patch["applyTo"], patch["patch"]["operation"]) == ("CLUSTER", "MERGE")
    config = read_config(filtered=False)
    config["static_resources"]["clusters"][0] |= patch["patch"]["value"]
    script = find_options(config)["http_filters"][0]["typed_config"]["default_source_code"]["inline_string"]
    assert script == (FOLDER / "context-first.lua").read_text()
    with running_sidecar(config, tmp_path) as sidecar:
        check_moved(Pair(pair.plain, sidecar), write_request(ORDINARY))
