"""Has gRPC's server read its sockets in the thread that waits for requests, as it did before its "event engine".

An edge: sets a variable of the environment, which gRPC reads when it is imported, and so has to be called before.
"""

import os

VARIABLE = "GRPC_EXPERIMENTS"

FORMER_POLLING = "-event_engine_listener"
"""Without it three threads of gRPC hand each request on to each other: an eighth of what the plugin spends on one. A
release that knows no other way says so on stderr, and nothing else happens."""


def poll_in_one_thread() -> None:
    """Set the variable, unless whoever started the program has."""
    os.environ.setdefault(VARIABLE, FORMER_POLLING)
