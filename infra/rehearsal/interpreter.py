"""Print the Python that runs the emulator and the functions (the Makefile asks)."""

import sys
from collections.abc import Sequence
from pathlib import Path

from infra.function_python import RUNTIME, NotTheRuntimesPython, runtime_python


def main(arguments: Sequence[str] | None = None) -> int:
    """The status: 0 printed, 1 there is none or another one. The sentence says the fix."""
    named = sys.argv[1:] if arguments is None else list(arguments)
    try:
        print(runtime_python(Path(named[0]) if named else None))
    except NotTheRuntimesPython as missing:
        print(
            f"make rehearse needs Python {RUNTIME}, which the functions run on: {missing}. Here: "
            f"make rehearse PYTHON_OF_FUNCTIONS=/path/to/python{RUNTIME}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
