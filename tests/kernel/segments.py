"""Cuts requests into segments, sends them, and reads what came of them."""

import itertools

from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import SEQ, request, traced_request

LONG = traced_request(padding=3000)


def split(payload: bytes, *cuts: int) -> list[tuple[int, bytes]]:
    """Return the segments that the cuts make of the payload, each with its sequence number."""
    edges = [0, *cuts, len(payload)]
    return [((SEQ + start) % 2**32, payload[start:end]) for start, end in itertools.pairwise(edges)]


def send(bpf: Harness, port: int, segments: list[tuple[int, bytes]], program: str = "pod_egress") -> None:
    for seq, payload in segments:
        bpf.watch(program, request(payload, seq=seq, client_port=port))
