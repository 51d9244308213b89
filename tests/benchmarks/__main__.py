"""`make bench`: figures side by side with their goals. Nothing here passes or fails; tests do that.

python -m tests.benchmarks [accept] [delivery] [idle] [environment] [quality] [cold_import] [accept_aws]
[serving] [diffusers] [packaging_inspect] [packaging_archives] [packaging_upload]
[zip_sizes] [deployed]
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


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    for name in names or PARTS:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
