"""What a linter found, and what was looked at and let be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`rule` is the linter's own name for it, `where` the resource."""

    rule: str
    where: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Findings of one rule that are right as they are, and why. `where` may hold * and ?."""

    rule: str
    where: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        return finding.rule == self.rule and fnmatchcase(finding.where, self.where)


def complaints(findings: Iterable[Finding], waivers: Iterable[Waiver]) -> Iterator[str]:
    """Each finding that nobody let be, and each waiver that nothing needs any more, as a sentence."""
    found, let_be = list(findings), list(waivers)
    for finding in dict.fromkeys(found):
        if not any(waiver.covers(finding) for waiver in let_be):
            yield f"{finding.rule} {finding.where}: {finding.says}"
    for waiver in let_be:
        if not any(waiver.covers(finding) for finding in found):
            yield f"{waiver.rule} {waiver.where}: is waived, and is not found any more: take the waiver out"
