"""`python -m infra.template_gates`, in the environment of requirements/gates.txt: says what is wrong."""

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.deployer_policy import Part, Scope, statements_of
from infra.template_gates import actions, linters, waivers
from infra.template_gates.findings import Finding, complaints
from infra.template_gates.packaging import (
    DEV,
    PROD,
    CannotPackage,
    Template,
    package,
    pinned_osls,
    template_in,
)
from infra.template_gates.reference import Reference

STAGES = (DEV, PROD)


def main() -> int:
    """0 when every gate is passed, else 1 with a line on standard error for everything that is wrong."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / variant.stage for variant in STAGES]
        try:
            pinned_osls()  # before two want to install it
            with ThreadPoolExecutor() as pool:
                templates = list(pool.map(package, STAGES, folders))
        except CannotPackage as cannot:
            print(cannot, file=sys.stderr)
            return 1
        wrong = list(judged(templates, [template_in(folder) for folder in folders]))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    print(f"serverless.yml: {len(templates)} stages packaged, {len(wrong)} things wrong")
    return 1 if wrong else 0


def judged(templates: list[Template], paths: list[Path]) -> Iterator[str]:
    """What cfn-lint, checkov and the reference of IAM actions have against it."""
    with ThreadPoolExecutor() as pool:
        linted = pool.submit(lambda: list(linters.cfn_lint(paths)))
        scanned = pool.submit(lambda: list(linters.checkov(paths)))
        reference = Reference()
        rights = [*actions.findings(reference, templates), *deployers_rights(reference)]
        yield from complaints(rights, actions.WAIVERS)
        yield from complaints(linted.result(), waivers.CFN_LINT)
        yield from complaints(scanned.result(), waivers.CHECKOV)


def deployers_rights(reference: Reference) -> Iterator[Finding]:
    """What `imagine iam deployer-policy` prints names actions too."""
    scope = Scope(stage="dev", account="123456789012", region="us-east-1")
    named = {action for part in Part for one in statements_of(scope, part) for action in one.actions}
    return actions.unknown(reference, sorted(named), holder="the deployer's policy")


if __name__ == "__main__":
    sys.exit(main())
