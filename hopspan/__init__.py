"""What both programs share.

gRPC's core writes lines of its own to stderr, several for each failed attempt, which nobody expects among JSON.
It reads from the environment whether to be silent, once, when it is imported; so that stands before all imports.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
