"""microburst, which knows the services that its first argument names, and no others.

Else it reads at its first request what AWS publishes of every service: 400 MB, and five seconds of computing
in which it answers nobody, so that whoever asked has long hung up. Runs in microburst's own environment.
"""

import sys
from importlib import import_module

import botocore.session


def main() -> int:
    """Read what there is to read, then serve until a signal."""
    services = sys.argv.pop(1).split(",")
    botocore.session.Session.get_available_services = lambda *_, **__: services  # type: ignore[method-assign]
    import_module("microburst.detection.host").parse_host("127.0.0.1")
    for service in services:
        import_module("microburst.detection.rest").rest_operations(service)
    status: int = import_module("microburst.cli").main()
    return status


if __name__ == "__main__":
    sys.exit(main())
