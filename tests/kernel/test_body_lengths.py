"""The rest of a body behind an answer that came early is no request; the next request behind it is one."""

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import TRACEPARENT, http_request, traced_request
from tests.kernel.segments import split
from tests.kernel.talk import ALIKE, OK, REFUSAL, Talk, require_measured

pytestmark = pytest.mark.bpf

BODY = [b"The body begins here.\n" * 20, ALIKE, b"and goes on\n", ALIKE, ALIKE]
LENGTH = sum(map(len, BODY))
SAMPLED = f"traceparent: {TRACEPARENT}"
UNSAMPLED = f"traceparent: {TRACEPARENT[:-2]}00"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def post(*lines: str, method: str = "POST", body: bytes = b"") -> bytes:
    return http_request(*lines, method=method, body=body)


def count_alike(bpf: Harness, talk: Talk, *heads: bytes, body: list[bytes] = BODY) -> int:
    """Send a head and the rest of the body behind an early answer; return how often a look-alike was counted."""
    talk.send(*heads)
    talk.answer(REFUSAL)
    before = bpf.counts()
    talk.send(*body)
    moved = {reason: count - before.get(reason, 0) for reason, count in bpf.counts().items()}
    return {reason: count for reason, count in moved.items() if count}.pop("request_pipelined")


@pytest.mark.parametrize(
    "length",
    [
        "content-length: {}",
        "Content-Length: {}",
        "CONTENT-LENGTH:{}",
        "content-length: \t {} \t ",
        "content-length: 000{}",
    ],
)
@pytest.mark.parametrize("context", [SAMPLED, UNSAMPLED, "x-no: context"], ids=["sampled", "unsampled", "none"])
@pytest.mark.parametrize("order", [1, -1], ids=["before", "behind"])
def test_rest_of_a_body_behind_an_early_answer(
    bpf: Harness, port: int, length: str, context: str, order: int
) -> None:
    """However the length is written, before or behind the context: what lies in the body starts nothing."""
    lines = [length.format(LENGTH), "accept: */*", context][::order]
    talk = Talk(bpf, port)
    assert count_alike(bpf, talk, post(*lines)) == 3
    require_measured(bpf, talk)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_methods_that_carry_a_body(bpf: Harness, port: int, method: str) -> None:
    """The head may fill its segment, and the body come in the next ones."""
    talk = Talk(bpf, port)
    assert count_alike(bpf, talk, post(f"content-length: {LENGTH}", method=method)) == 3
    require_measured(bpf, talk)


def test_other_method_with_a_body(bpf: Harness, port: int) -> None:
    """A GET has one where its segment does not end with its header block."""
    talk = Talk(bpf, port)
    head = http_request(f"content-length: {LENGTH}", body=BODY[0])
    assert count_alike(bpf, talk, head, body=BODY[1:]) == 3
    require_measured(bpf, talk)


@pytest.mark.parametrize("context", [SAMPLED, UNSAMPLED, "x-no: context"], ids=["sampled", "unsampled", "none"])
@pytest.mark.parametrize("order", [1, -1], ids=["before", "behind"])
def test_length_anywhere_in_several_segments(bpf: Harness, port: int, context: str, order: int) -> None:
    """The head is cut at every byte: context and length may be in one segment or in two, and each may be cut."""
    lines = [f"content-length: {LENGTH}", "accept: */*", context][::order]
    head = post(*lines)
    for cut in range(5, len(head), 3):
        bpf.start_afresh()
        talk = Talk(bpf, port, seq=cut << 20, ack=cut << 20)
        assert count_alike(bpf, talk, *[data for _, data in split(head, cut)]) == 3, cut
        require_measured(bpf, talk)


def test_length_in_the_last_of_several_segments(bpf: Harness, port: int) -> None:
    """A context that was found in the first is counted once, and measured once."""
    head = post(SAMPLED, "x: " + "y" * 900, f"content-length: {LENGTH}")
    talk = Talk(bpf, port)
    assert count_alike(bpf, talk, *[data for _, data in split(head, *range(200, 900, 200))]) == 3
    assert bpf.counts() == {"transits_started": 2, "request_pipelined": 3}
    assert bpf.count_contexts() == {"traceparent": 1}
    bpf.sweep()
    assert bpf.list_awaited() == {}


@pytest.mark.parametrize(
    "lines",
    [
        ("content-length: 5x",),
        ("content-length: -5",),
        ("content-length: +5",),
        ("content-length: 5 5",),
        ("content-length: 5, 5",),
        ("content-length: 0x5",),
        ("content-length:",),
        ("content-length : 5",),
        ("content-length: 5", "content-length: 5"),
        ("content-length: 5", "Content-Length: 6"),
        ("content-length: 5", "transfer-encoding: chunked"),
        ("Transfer-Encoding : chunked",),
    ],
)
def test_length_that_is_not_to_be_believed(bpf: Harness, port: int, lines: tuple[str, ...]) -> None:
    """A server has to refuse such a request, and to close the connection; nothing behind it is measured."""
    talk = Talk(bpf, port)
    assert count_alike(bpf, talk, post(*lines)) == 3


@pytest.mark.parametrize(
    "line", ["content-lengths: 5", "x-content-length: 5", "content-language: 5", "transfer-encodings: chunked"]
)
def test_names_that_only_look_like_the_length(bpf: Harness, port: int, line: str) -> None:
    """A request with neither length nor coding has no body (RFC 9112 section 6.3)."""
    talk = Talk(bpf, port)
    talk.send(post(line))
    talk.answer()
    require_measured(bpf, talk)


def test_large_body(bpf: Harness, port: int) -> None:
    """Eight digits are read: wherever in the body, and however late, nothing in it is a request."""
    talk = Talk(bpf, port)
    assert count_alike(bpf, talk, post("content-length: 99999999")) == 3
    talk.seq = (talk.seq + 99_999_999 - LENGTH - len(ALIKE)) % 2**32
    bpf.forget_counts()
    talk.send(ALIKE)
    assert bpf.counts() == {"request_pipelined": 1}
    require_measured(bpf, talk)


@pytest.mark.parametrize("length", ["100000000", "4294967296", "99999999999999999999999"])
def test_huge_body(bpf: Harness, port: int, length: str) -> None:
    """Of longer ones the end is not known: they end with an answer, as the next request has to be measured."""
    talk = Talk(bpf, port)
    talk.send(post(f"content-length: {length}"), *BODY)
    assert bpf.counts() == {"request_no_context": 1, "request_pipelined": 3}
    talk.answer()
    require_measured(bpf, talk)


@pytest.mark.parametrize("lines", [("content-length: 0",), ()], ids=["zero", "none"])
def test_no_body(bpf: Harness, port: int, lines: tuple[str, ...]) -> None:
    """Right behind its header block the next request may begin: in its own segment, or in the same one."""
    talk = Talk(bpf, port)
    talk.send(post(SAMPLED, *lines))
    talk.answer()
    require_measured(bpf, talk)
    bpf.forget_counts()
    talk.send(post(SAMPLED, *lines) + traced_request())
    assert bpf.counts() == {"transits_started": 1, "request_pipelined": 1}


@pytest.mark.parametrize("context", [SAMPLED, UNSAMPLED, "x-no: context"], ids=["sampled", "unsampled", "none"])
def test_ordinary_uploads_on_one_connection(bpf: Harness, port: int, context: str) -> None:
    """A request that comes when the one before was answered, and its body over, is measured every time."""
    talk = Talk(bpf, port)
    for body in ([], [b"x" * 1000], BODY, [b"x" * 3] * 20):
        talk.send(post(context, f"content-length: {sum(map(len, body))}"), *body)
        talk.answer()
        require_measured(bpf, talk)


def test_request_right_behind_the_body(bpf: Harness, port: int) -> None:
    """One that does not wait for the answer is counted: in the body's last segment, or in one of its own."""
    upload = post(SAMPLED, "content-length: 20", body=b"x" * 20)
    talk = Talk(bpf, port)
    talk.send(upload + traced_request())
    assert bpf.counts() == {"transits_started": 1, "request_pipelined": 1}
    talk.send(traced_request())
    assert bpf.counts() == {"transits_started": 1, "request_pipelined": 2}


def test_body_that_looks_like_a_request_in_the_segment_of_its_head(bpf: Harness, port: int) -> None:
    """It is not counted as one that is behind the first."""
    talk = Talk(bpf, port)
    talk.send(post(SAMPLED, f"content-length: {len(ALIKE)}", body=ALIKE))
    assert bpf.counts() == {"transits_started": 1}


def test_body_behind_an_interim_response(bpf: Harness, port: int) -> None:
    """Who waits for `100 Continue` sends the body when the server has said something."""
    talk = Talk(bpf, port)
    talk.send(post(f"content-length: {LENGTH}", "expect: 100-continue"))
    talk.answer(CONTINUE)
    bpf.forget_counts()
    talk.send(*BODY)
    assert bpf.counts() == {"request_pipelined": 3}
    talk.answer(OK)
    require_measured(bpf, talk)


def test_what_looks_like_the_start_of_a_request(bpf: Harness, port: int) -> None:
    """A look-alike may be cut into segments, untraced with a length itself, or a response: the body's end stays."""
    untraced = post(f"content-length: {10 * LENGTH}")
    body = [ALIKE[:40], ALIKE[40:], untraced, ALIKE, OK, ALIKE, untraced + b"x", ALIKE]
    talk = Talk(bpf, port)
    talk.send(post(f"content-length: {sum(map(len, body))}"))
    talk.answer(REFUSAL)
    talk.send(*body)
    assert "transits_started" not in bpf.counts()
    assert bpf.list_transits() == {}
    require_measured(bpf, talk)
