"""`make bench`: figures side by side with their goals. Nothing here passes or fails; tests do that.

python -m tests.benchmarks [accept] [delivery] [idle] [environment] [quality] [cold_import] [accept_aws]
[serving] [diffusers] [packaging_inspect] [packaging_archives] [packaging_upload]
[zip_sizes] [deployed]; and only by name: rehearsed_acks, rehearsed_outcomes
"""

import importlib
import platform
import sys

PARTS = (
    "accept",
    "delivery",
    "idle",
    "environment",
    "quality",
    "cold_import",
    "accept_aws",
    "serving",
    "diffusers",
    "packaging_inspect",
    "packaging_archives",
    "packaging_upload",
    "zip_sizes",
    "deployed",
)
REHEARSED = ("rehearsed_acks", "rehearsed_outcomes")
"""Take minutes and npm: only where they are named (`make bench-load`)."""


def main(names: list[str]) -> int:
    known = (*PARTS, *REHEARSED)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    for name in names or PARTS:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
