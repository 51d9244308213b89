"""Moderation by phrases: the first line of defence, and the only one on a single machine."""

import re
import unicodedata
from collections.abc import Sequence

from bot.ports import Verdict


class WordRules:
    """Refuses a prompt that holds one of the phrases as whole words. Pictures pass.

    Case, width, line ends and invisible characters between the letters make no difference.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        self._rules = tuple((phrase, _pattern(phrase)) for phrase in phrases if phrase.strip())

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
    words = r"\s+".join(re.escape(word) for word in _plain(phrase).split())
    return re.compile(rf"(?<!\w){words}(?!\w)")


def _plain(text: str) -> str:
    """Compatibility forms unified, case folded, format characters (zero-width ones among them) left out."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if unicodedata.category(character) != "Cf")
