"""The limit of new transits a second: who has one of his own, and what a flood leaves the others."""

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import request, traced_request, vxlan

pytestmark = pytest.mark.bpf


def test_rate_limit(bpf: Harness, port: int) -> None:
    """Beyond the limit of its device a request starts no transit, and is counted."""
    bpf.configure(rate_limit=23)
    for number in range(101):
        bpf.watch("veth_ingress_first", request(traced_request(), client_port=port, seq=number * 1000, ack=number))
    # The window of a second may have begun with an earlier test's packets, or end within this one.
    counts = bpf.counts()
    assert counts["transits_started"] + counts["rate_limited"] == 101
    assert 1 <= counts["transits_started"] <= 46


def test_rate_limit_is_each_pods_own(bpf: Harness, port: int) -> None:
    """All pods call their device by the same number; a flood from one leaves another its limit, and its exchanges."""
    bpf.configure(rate_limit=23)
    for number in range(101):
        bpf.watch("pod_egress", request(traced_request(), client_port=port, seq=number * 1000, ack=number))
    bpf.start_afresh()
    bpf.watch("pod_egress", request(traced_request(), client_port=port, client="10.244.1.11"))
    assert bpf.counts() == {"transits_started": 1}


def test_rate_limit_is_each_senders_own_where_other_nodes_packets_come_in(bpf: Harness, port: int) -> None:
    """One pod of another node that floods leaves the other pods of that node their limit."""
    bpf.configure(8472, rate_limit=23)
    for number in range(101):
        packet = request(traced_request(), client_port=port, seq=number * 1000, ack=number)
        bpf.watch("nic_ingress", vxlan(packet))
    assert bpf.counts()["rate_limited"] >= 55
    bpf.start_afresh()
    bpf.watch("nic_ingress", vxlan(request(traced_request(), client_port=port, client="10.244.1.11")))
    assert bpf.counts() == {"transits_started": 1}
