"""What holds for all tests: signals work as in a terminal, however the tests were started.

A shell without job control starts a background command with SIGINT ignored, and nohup ignores SIGHUP; both are
inherited, also by the programs under test.
"""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
