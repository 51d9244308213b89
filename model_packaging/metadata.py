"""What people wrote into a safetensors file: kohya's training notes (`ss_…`) and `modelspec.…` fields.

Both are untrusted text: values are cut to a length and stripped of control characters, never interpreted.
kohya: https://github.com/kohya-ss/sd-scripts; modelspec: https://github.com/Stability-AI/ModelSpec
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_TRIGGER_WORDS = 20
LONGEST_WORD = 100
LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerWord:
    """`count`: how many training pictures carried it; 0 where the author named it."""

    word: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything stated, "" or empty where it is not. `stated_hash`: webui's `sshs_model_hash`."""

    trigger_words: tuple[TriggerWord, ...]
    title: str
    author: str
    licence: str
    base_model: str
    stated_hash: str


def facts_of(metadata: Mapping[str, str]) -> Facts:
    """Never raises: what cannot be read counts as not stated."""
    return Facts(
        trigger_words=_trigger_words(metadata),
        title=_first(metadata, "modelspec.title", "ss_output_name"),
        author=_first(metadata, "modelspec.author"),
        licence=_first(metadata, "modelspec.license", "license", "licence"),
        base_model=_first(metadata, "ss_sd_model_name", "ss_base_model_version", "modelspec.architecture"),
        stated_hash=_first(metadata, "sshs_model_hash"),
    )


def _trigger_words(metadata: Mapping[str, str]) -> tuple[TriggerWord, ...]:
    """The author's own first, then the tags of the training captions, most frequent first."""
    named = _first(metadata, "modelspec.trigger_phrase", "ss_trigger_words").split(",")
    counted = _tag_counts(metadata.get("ss_tag_frequency", ""))
    words = [TriggerWord(word=word, count=counted.get(word, 0)) for word in map(str.strip, named) if word]
    known = {trigger.word for trigger in words}
    words += [TriggerWord(word=word, count=count) for word, count in _ranked(counted) if word not in known]
    return tuple(words[:MOST_TRIGGER_WORDS])


def _ranked(counted: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def _tag_counts(text: str) -> Counter[str]:
    """`{"folder": {"tag": count}}`, summed over the folders."""
    counted: Counter[str] = Counter()
    folders = _json_object(text)
    for tags in folders.values():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if type(count) is int and 0 < count < 2**40 and (word := _clean(tag, LONGEST_WORD)):
                counted[word] += count
    return counted


def _json_object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _first(metadata: Mapping[str, str], *names: str) -> str:
    return next((text for name in names if (text := _clean(metadata.get(name, ""), LONGEST_TEXT))), "")


def _clean(text: str, longest: int) -> str:
    """One line that is safe on a terminal; kohya writes "None" for what was not set."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[:longest]).split())
    return "" if line == "None" else line
