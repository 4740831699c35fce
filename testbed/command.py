"""Runs short commands (ip, iptables) to their end; a failure becomes a TestbedError with the command's own words.

The only module that does.
"""

import subprocess

from testbed.errors import TestbedError

COMMAND_TIMEOUT_S = 30.0
"""Such commands take milliseconds; this only keeps a hung kernel lock from hanging us."""


def run_command(command: list[str], text_input: str = "", *, check: bool = True) -> str:
    """Run a command, feed it the text and return its output. Raises TestbedError, for a failure only if checked."""
    try:
        done = subprocess.run(
            command,
            input=text_input,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            start_new_session=True,  # a Ctrl-C on the terminal is ours to handle, also amid the clean-up
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TestbedError(f"{' '.join(command)}: {error}") from error
    if check and done.returncode != 0:
        raise TestbedError(f"{' '.join(command)}: {done.stderr.strip()}{_quote_line(done.stderr, text_input)}")
    return done.stdout


def run_ip_batch(lines: list[str], namespace: str | None = None) -> None:
    """Run lines of ip(8) in one process, inside a namespace if one is given. Raises TestbedError."""
    where = [] if namespace is None else ["-n", namespace]
    run_command(["ip", *where, "-batch", "-"], "".join(f"{line}\n" for line in lines))


def run_in_namespace(namespace: str, command: list[str], text_input: str = "") -> str:
    """Run a command inside a namespace and return its output. Raises TestbedError."""
    return run_command(["ip", "netns", "exec", namespace, *command], text_input)


def _quote_line(message: str, text_input: str) -> str:
    """Return the line of the input that ip's message (`Command failed -:3`) is about."""
    _, found, rest = message.partition("Command failed -:")
    number = rest.split("\n")[0].strip()
    if not found or not number.isdigit():
        return ""
    return f" ({text_input.splitlines()[int(number) - 1]})"
