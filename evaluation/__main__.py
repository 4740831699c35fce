"""The command `python -m evaluation`: asks the questions and writes results.json, report.md and the plots.

A question that is not asked keeps the answer that the results have.
"""

import argparse
import sys
import time
from pathlib import Path

import msgspec

from evaluation import clock, cost, faults, overlay, relocation, scale
from evaluation.question import Effort, Question
from evaluation.results import Results, ResultsError, decode_results, encode_results
from testbed.errors import TestbedError
from testbed.interrupt import raise_on_terminate

_ASKED = (relocation.QUESTION, clock.QUESTION, cost.QUESTION, faults.QUESTION, overlay.QUESTION, scale.QUESTION)
QUESTIONS = {question.name: question for question in _ASKED}

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


def main() -> int:
    """Run; return 0, or 1 after saying on standard error what is missing."""
    options = _parse_options()
    raise_on_terminate()
    try:
        results = _load_results(options.out)
        if not options.render:
            asked = [QUESTIONS[name] for name in options.only or QUESTIONS]
            results = _ask(asked, Effort.QUICK if options.quick else Effort.FULL, options, results)
        _write_all(options.out, results)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (TestbedError, ResultsError, OSError) as error:
        sys.stderr.write(f"evaluation: {error}\n")
        return EXIT_FAILED
    return 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and requests")
    parser.add_argument("--only", type=_read_names, metavar="NAME,...", help=f"of {', '.join(QUESTIONS)}")
    parser.add_argument("--render", action="store_true", help="measure nothing: report and plots of the results")
    parser.add_argument("--out", type=Path, default=Path("docs/evaluation"), help="default: docs/evaluation")
    parser.add_argument("--work-dir", type=Path, default=Path("build/evaluation"), help="logs and traces")
    return parser.parse_args()


def _read_names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in QUESTIONS]:
        raise argparse.ArgumentTypeError(f"no such question: {', '.join(unknown)}")
    return names


def _ask(asked: list[Question], effort: Effort, options: argparse.Namespace, results: Results) -> Results:
    """Return the results with the answers. Raises TestbedError, before anything is measured, for what is missing."""
    missing = [f"{question.name}: {line}" for question in asked for line in question.list_missing()]
    if missing:
        raise TestbedError("\n  ".join(["this machine lacks", *missing]))
    for question in asked:
        start_s = time.monotonic()

        def tell(line: str, start_s: float = start_s) -> None:
            sys.stdout.write(f"{time.monotonic() - start_s:6.1f} s  {line}\n")
            sys.stdout.flush()

        tell(f"{question.title} (at most {question.budget_s[effort]} s)")
        # Absolute: nginx takes a relative path to start at its own directory.
        answer = question.run(effort, options.work_dir.resolve() / question.name, tell)
        results = msgspec.structs.replace(results, **{question.name: answer})
        _write(options.out / "results.json", encode_results(results))
    return results


def _load_results(out: Path) -> Results:
    path = out / "results.json"
    return decode_results(path.read_bytes()) if path.exists() else Results()


def _write_all(out: Path, results: Results) -> None:
    # Drawing needs a package that measuring does not: what was measured is written before that can fail.
    from evaluation.plots import draw_plots  # noqa: PLC0415
    from evaluation.report import render_report  # noqa: PLC0415

    _write(out / "results.json", encode_results(results))
    _write(out / "report.md", render_report(results).encode())
    for name, data in draw_plots(results).items():
        _write(out / name, data)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
