"""Moderation by phrases: the first line of defence, and the only one on a single machine."""

import re
from collections.abc import Sequence

from bot.ports import Verdict


class WordRules:
    """Refuses a prompt that holds one of the phrases as whole words, in any case. Pictures pass."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._rules = tuple((phrase, _pattern(phrase)) for phrase in phrases if phrase.strip())

    def check_prompt(self, text: str) -> Verdict:
        """See Moderation.check_prompt; the rule's name is the phrase itself."""
        for phrase, pattern in self._rules:
            if pattern.search(text):
                return Verdict(allowed=False, rule=phrase)
        return Verdict(allowed=True)

    def check_picture(self, picture: bytes) -> Verdict:
        """See Moderation.check_picture: words say nothing about pixels."""
        del picture
        return Verdict(allowed=True)


def _pattern(phrase: str) -> re.Pattern[str]:
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    return re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)
