"""Hops of requests over mutual TLS at several rates, each compared with the very packet that it is of."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.requirements import require_bcc
from tests.soak import scale
from tests.testbed.encrypted_load import Load, drive_wrk, run_encrypted, spread_versions

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(900)]

RATES = {100: Load(5, 48, 3), 1000: Load(20, 17, 2), 3000: Load(24, 4, 1, sampled_percent=20)}
"""By requests a second that are aimed at; how many there are depends on the machine. Of the most, some are traced."""
LEAST_COVERAGE = 0.99


@pytest.mark.parametrize(("rate", "version"), spread_versions(RATES))
def test_http1_has_its_hops_at_any_rate(two_nodes_vxlan: None, tmp_path: Path, rate: int, version: str) -> None:
    """None is of another request's packet, and at most one in a hundred requests has not all of them."""
    del two_nodes_vxlan
    require_bcc()
    load = replace(RATES[rate], seconds=scale(RATES[rate].seconds))
    outcome = run_encrypted(tmp_path, lambda: drive_wrk(tmp_path, load), version=version)
    sys.stdout.write(f"\nHTTP/1.1 {version} aimed at {rate}/s: {outcome}\n")
    assert not outcome.wrong[:3]
    assert outcome.calls > 0
    assert outcome.clear_coverage >= LEAST_COVERAGE


@pytest.mark.parametrize(("connections", "version"), spread_versions([1, 16]))
def test_http2_has_no_wrong_hop(two_nodes_vxlan: None, tmp_path: Path, connections: int, version: str) -> None:
    """With one stream at a time nor with many: what is not clear has none."""
    del two_nodes_vxlan
    require_bcc()
    load = Load(connections, 2, scale(2))
    outcome = run_encrypted(tmp_path, lambda: drive_wrk(tmp_path, load), http2=True, version=version)
    sys.stdout.write(f"\nHTTP/2 {version}, {connections} streams: {outcome}\n")
    assert not outcome.wrong[:3]
    assert outcome.calls > 0
