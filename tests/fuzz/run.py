"""Fuzzes one parser, guided by the coverage of its code: `python -m tests.fuzz.run TARGET DIRECTORY [OPTION ...]`.

The directory keeps inputs that found new code; options are libFuzzer's, such as `-runs=10000`. Ends with 0 if nothing
was found, else with the input that did it, in the directory.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["collector_plugin", "hopspan", "node_probe", "traceview"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    name, directory, *options = sys.argv[1:]
    target = TARGETS[name]
    corpus = Path(directory)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(target.samples):
        (corpus / f"sample-{number}").write_bytes(sample)
    atheris.Setup([name, f"-artifact_prefix={corpus}/", *options, str(corpus)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
