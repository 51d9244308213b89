"""Questions to the person at the terminal; where nobody sits there, an option must answer."""

import sys

from model_packaging.errors import LicenceRefused, PackagingError
from model_packaging.licences import Licence, Use, check_allowed, is_stated, licence_named


class NotConfirmed(PackagingError):
    """Nothing was done."""


def confirm(question: str, *, yes: bool) -> None:
    """Raises `NotConfirmed` unless the answer is yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(f"{question} Nobody is here to answer: say --yes")
    if _answer(f"{question} [y/N] ").casefold() not in ("y", "yes"):
        raise NotConfirmed("nothing was done")


def licence_of(stated: str, given: str | None, *, path: str, forbid_non_commercial: bool) -> Licence:
    """The licence given, stated, or asked for. Raises `LicenceRefused`."""
    name = given or (stated if is_stated(stated) else "")
    if not name and sys.stdin.isatty():
        name = _answer(f"{path} states no licence. Under which one may it be used (such as Apache-2.0)? ")
    if not name:
        raise LicenceRefused(
            f'{path} states no licence; find it where the file comes from, and give --licence "…"'
        )
    licence = licence_named(name)
    check_allowed(licence, forbid_non_commercial=forbid_non_commercial, path=path)
    if licence.use is not Use.COMMERCIAL:
        print(f"licence {licence.name}: {WORDS[licence.use]}", file=sys.stderr)
    return licence


WORDS = {
    Use.NON_COMMERCIAL: "forbids commercial use; it is flagged wherever the file is listed",
    Use.CONDITIONAL: "allows commercial use on conditions; read them",
    Use.UNKNOWN: "is not one we know; read it",
}


def _answer(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()
