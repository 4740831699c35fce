"""Header blocks are read out of frames as they lie on a device, and made to a size."""

import pytest

from evaluation.header_blocks import find_context_end, is_sampled, make_block, read_block, share_within
from tests.kernel.packets import CLIENT, TRACEPARENT, http_request, request, response, traced_request, vxlan

BLOCK = traced_request()


@pytest.mark.parametrize("size_bytes", [200, 201, 249, 250, 251, 299, 300, 1398, 8192])
@pytest.mark.parametrize("at_head", [True, False])
def test_block_has_its_size_and_one_context(size_bytes: int, at_head: bool) -> None:  # noqa: FBT001
    """Whatever remains for the last header; the context is behind Host, or in front of the block's end."""
    block = make_block(size_bytes, 6, at_head=at_head)
    assert len(block) == size_bytes
    assert block.endswith(b"\r\n\r\n")
    assert block.count(b"traceparent: ") == 1
    lines = block.split(b"\r\n")
    assert lines.index(next(line for line in lines if line.startswith(b"traceparent"))) == (
        2 if at_head else len(lines) - 3
    )
    assert all(b": " in line for line in lines[1:-2])


def test_each_number_makes_another_context() -> None:
    """A kernel that knows a request already would search nothing."""
    assert make_block(400, 1, at_head=True) != make_block(400, 2, at_head=True)


@pytest.mark.parametrize(
    ("description", "frame", "block"),
    [
        ("a whole header block", request(BLOCK), BLOCK),
        ("the body is left out", request(BLOCK + b"body"), BLOCK),
        ("one that goes on in another segment", request(BLOCK[:-1]), None),
        ("a response", response(), None),
        ("no HTTP", request(b"x" * 100), None),
        ("no TCP in the outer packet", vxlan(request(BLOCK)), None),
        ("an acknowledgement", request(b""), None),
    ],
)
def test_block_is_read_from_a_frame(description: str, frame: bytes, block: bytes | None) -> None:
    """With the sender's address; frames of anything else are passed over."""
    del description
    read = read_block(frame)
    assert (read and read[1]) == block
    assert read is None or str(read[0]) == CLIENT


def test_context_ends_where_its_line_does() -> None:
    """A window of so many bytes holds it, one of a byte less does not; names have no case."""
    head = b"GET / HTTP/1.1\r\nHost: cart\r\nTraceparent: " + TRACEPARENT.encode()
    assert find_context_end(head + b"\r\naccept: */*\r\n\r\n") == len(head)
    assert find_context_end(b"GET /?traceparent: HTTP/1.1\r\nhost: traceparent:\r\n\r\n") is None


def test_last_field_tells_whether_the_trace_is_recorded() -> None:
    """Without a context it is not."""
    assert is_sampled(BLOCK)
    assert not is_sampled(traced_request(TRACEPARENT[:-2] + "00"))
    assert not is_sampled(http_request("accept: */*"))


def test_share_counts_contexts_that_lie_whole_in_the_window() -> None:
    """The window's last byte belongs to it."""
    assert [share_within([100, 128, 129, 500], window) for window in (99, 128, 129, 1024)] == [0, 0.5, 0.75, 1]
