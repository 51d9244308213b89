"""Moderation by phrases: the first line of defence, and the only one on a single machine."""

import re
import unicodedata
from collections.abc import Sequence

from bot.ports import Verdict

_GAP = "\0"
_UNSEEN = frozenset({"Cf", "Cc", "Cs"})
_UNSEEN_LETTERS_AND_MARKS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Those of Unicode's Default_Ignorable_Code_Point that count as letters or marks."""

_UNPRINTABLE_OR_FOREIGN = re.compile("[^ -~]")
"""The characters that need a look at their category: all but ASCII's printable ones."""


class WordRules:
    """Refuses a prompt that holds one of the phrases as whole words. Pictures pass.

    Case, width and line ends make no difference, nor do invisible characters: within a word they are
    overlooked, between two words they part them as a blank does.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        self._rules = tuple((phrase, _pattern(phrase)) for phrase in phrases if _words(phrase))

    def check_prompt(self, text: str) -> Verdict:
        """See Moderation.check_prompt; the rule's name is the phrase itself."""
        plain = _plain(text)
        for phrase, pattern in self._rules:
            if pattern.search(plain):
                return Verdict(allowed=False, rule=phrase)
        return Verdict(allowed=True)

    def check_picture(self, picture: bytes) -> Verdict:
        """See Moderation.check_picture: words say nothing about pixels."""
        del picture
        return Verdict(allowed=True)


def _pattern(phrase: str) -> re.Pattern[str]:
    spelt = (f"{_GAP}*".join(re.escape(letter) for letter in word) for word in _words(phrase))
    between = rf"[\s{_GAP}]+"
    return re.compile(rf"(?<!\w){between.join(spelt)}(?!\w)")


def _words(phrase: str) -> list[str]:
    return _plain(phrase).replace(_GAP, "").split()


def _plain(text: str) -> str:
    """Compatibility forms unified, case folded, every invisible character a gap."""
    folded = unicodedata.normalize("NFKC", _UNSEEN_LETTERS_AND_MARKS.sub(_GAP, text)).casefold()
    return _UNPRINTABLE_OR_FOREIGN.sub(_gap_if_unseen, folded)


def _gap_if_unseen(found: re.Match[str]) -> str:
    character = found[0]
    unseen = unicodedata.category(character) in _UNSEEN and not character.isspace()
    return _GAP if unseen else character
