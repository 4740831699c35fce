"""What both programs raise when something outside them is not as it must be: one root for `main` to catch.

Pure. The text of each error names the object at fault: a file, a key, an address.
"""


class HopspanError(Exception):
    """The program cannot start or go on; the text says what is at fault and is shown to the user as it is."""
