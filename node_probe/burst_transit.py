"""A burst of TLS as a transit without a trace, for who shows hops and joins nothing: `top`.

Pure. Who is the client is not known: it is taken to be the side with the higher port.
"""

from node_probe.kernel_burst import Burst, decode_burst
from node_probe.kernel_record import decode_kernel_record
from node_probe.transit import SPAN_ID_BYTES, TRACE_ID_BYTES, Context, ContextFormat, Direction, Transit

_NO_CONTEXT = Context(bytes(TRACE_ID_BYTES), bytes(SPAN_ID_BYTES), 0, ContextFormat.FLOW)


def read_any_transit(record: bytes) -> Transit | None:
    """Return the transit of a record, with or without a context; None where its context is not sampled.

    Raises KernelRecordError or ContextError.
    """
    burst = decode_burst(record)
    return make_transit(burst) if burst is not None else decode_kernel_record(record)


def make_transit(burst: Burst) -> Transit:
    """Return the transit of a burst, whose context has no ids."""
    source = burst.source_port, burst.source_address
    destination = burst.destination_port, burst.destination_address
    is_request = burst.source_port >= burst.destination_port
    (client_port, client), (server_port, server) = (source, destination) if is_request else (destination, source)
    return Transit(
        context=_NO_CONTEXT,
        direction=Direction.REQUEST if is_request else Direction.RESPONSE,
        seq=burst.seq,
        tsval=burst.tsval,
        client_port=client_port,
        server_port=server_port,
        client_address=client,
        server_address=server,
        stamps=burst.stamps,
        tunnel=burst.tunnel,
        flags=burst.flags,
        vni=burst.vni,
        outer_source=burst.outer_source,
        outer_destination=burst.outer_destination,
    )
