"""Block Kit as Slack accepts it: a table of shapes, and the sentences Slack answers when one does not fit.

A ``Rule`` looks at one value and yields problems. ``Shape`` is the rule for an object: which fields it must
and may
have. ``BLOCKS`` and ``ELEMENTS`` below are the tables; a type that is in neither is refused as Slack refuses
it.
"""

import ipaddress
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from infra.local.slack import limits

FileCheck = Callable[[Mapping[str, Any]], bool]
"""Says whether a ``slack_file`` object names a file that an image block may show now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    sentence: str
    pointer: str

    def __str__(self) -> str:
        return f"{self.sentence} [json-pointer:{self.pointer}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the document a rule is looking, and what it may ask about the workspace."""

    pointer: str
    file_is_usable: FileCheck

    def child(self, name: str | int) -> "Place":
        return Place(pointer=f"{self.pointer}/{name}", file_is_usable=self.file_is_usable)

    def problem(self, sentence: str) -> Problem:
        return Problem(sentence=sentence, pointer=self.pointer)


Rule = Callable[[Any, Place], Iterator[Problem]]


def check_blocks(
    blocks: Any, *, file_is_usable: FileCheck, limit: int = limits.BLOCKS_PER_MESSAGE
) -> list[str]:
    """Slack's sentences about ``blocks``, in document order; empty when a message may carry them."""
    place = Place(pointer="/blocks", file_is_usable=file_is_usable)
    problems = list(items(BLOCK, limit=limit, least=0)(blocks, place))
    if not problems:
        problems = [*_repeated_block_ids(blocks), *_repeated_action_ids(blocks)]
    if not problems:
        problems = list(_markdown_total(blocks))
    return [str(problem) for problem in problems]


def blocks_size(blocks: Any) -> int:
    """Characters of the blocks as Slack counts them for ``msg_blocks_too_long``: their compact JSON."""
    return len(json.dumps(blocks, separators=(",", ":"), ensure_ascii=False))


def _repeated_block_ids(blocks: list[dict[str, Any]]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        block_id = block.get("block_id")
        if block_id in seen:
            yield Problem(
                sentence=f'block_id "{block_id}" already exists', pointer=f"/blocks/{index}/block_id"
            )
        if block_id:
            seen.add(block_id)


def _repeated_action_ids(blocks: list[dict[str, Any]]) -> Iterator[Problem]:
    for index, block in enumerate(blocks):
        seen: set[str] = set()
        for position, element in enumerate(block.get("elements", [])):
            action_id = element.get("action_id")
            if action_id in seen:
                pointer = f"/blocks/{index}/elements/{position}/action_id"
                yield Problem(sentence=f'`action_id` "{action_id}" already exists for block', pointer=pointer)
            if action_id:
                seen.add(action_id)


def _markdown_total(blocks: list[dict[str, Any]]) -> Iterator[Problem]:
    total = sum(len(block["text"]) for block in blocks if block["type"] == "markdown")
    if total > limits.MARKDOWN_TEXT:
        yield Problem(sentence=f"must be less than {limits.MARKDOWN_TEXT + 1} characters", pointer="/blocks")


# Rules for single values


def string(limit: int | None = None, *, least: int = 1) -> Rule:
    def check(value: Any, place: Place) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield place.problem("must provide a string")
        elif len(value) < least:
            yield place.problem(f"must be more than {least - 1} characters")
        elif limit is not None and len(value) > limit:
            yield place.problem(f"must be less than {limit + 1} characters")

    return check


def boolean(value: Any, place: Place) -> Iterator[Problem]:
    if not isinstance(value, bool):
        yield place.problem("must provide a boolean")


def integer(value: Any, place: Place) -> Iterator[Problem]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield place.problem("must provide an integer")


def one_of(*allowed: str) -> Rule:
    def check(value: Any, place: Place) -> Iterator[Problem]:
        if value not in allowed:
            yield place.problem(f"must be one of: {', '.join(allowed)}")

    return check


def items(rule: Rule, *, limit: int, least: int = 1) -> Rule:
    def check(value: Any, place: Place) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield place.problem("must provide an array")
            return
        if len(value) > limit:
            yield place.problem(f"no more than {limit} items allowed")
        if len(value) < least:
            yield place.problem(
                f"no fewer than {least} items allowed" if least > 1 else "must provide at least 1 item"
            )
        for index, item in enumerate(value[:limit]):
            yield from rule(item, place.child(index))

    return check


def web_address(limit: int) -> Rule:
    def check(value: Any, place: Place) -> Iterator[Problem]:
        wrong = list(string(limit)(value, place))
        if wrong:
            yield from wrong
        elif urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname:
            yield place.problem("invalid_url")

    return check


def image_address(value: Any, place: Place) -> Iterator[Problem]:
    """Slack fetches ``image_url`` itself, so an address only this machine can reach fails."""
    wrong = list(web_address(limits.IMAGE_URL)(value, place))
    if wrong:
        yield from wrong
    elif _is_private_host(urlsplit(value).hostname or ""):
        yield place.problem("downloading image failed")


def _is_private_host(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))


def slack_file(value: Any, place: Place) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield place.problem("must provide an object")
    elif ("id" in value) == ("url" in value):
        yield place.problem("must define either `id` or `url`")
    elif extra := set(value) - {"id", "url"}:
        yield from (place.problem(f"invalid additional property: {name}") for name in sorted(extra))
    elif not place.file_is_usable(value):
        yield place.problem("invalid slack file")


# Rules for objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The rule for an object: fields it must have, fields it may have, and rules about the whole."""

    required: Mapping[str, Rule] = field(default_factory=dict)
    optional: Mapping[str, Rule] = field(default_factory=dict)
    whole: Collection[Rule] = ()

    def __call__(self, value: Any, place: Place) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield place.problem("must provide an object")
            return
        known = {**self.required, **self.optional}
        for name in self.required:
            if name not in value:
                yield place.problem(f"missing required field: {name}")
        for name, content in value.items():
            if name in known:
                yield from known[name](content, place.child(name))
            else:
                yield place.problem(f"invalid additional property: {name}")
        for rule in self.whole:
            yield from rule(value, place)


def typed(shapes: Mapping[str, Rule], *, allowed: Collection[str] | None = None) -> Rule:
    """The rule for an object whose ``type`` picks its shape; ``allowed`` narrows which types fit here."""

    def check(value: Any, place: Place) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield place.problem("must provide an object")
            return
        kind = value.get("type")
        if kind is None:
            yield place.problem("missing required field: type")
        elif not isinstance(kind, str) or kind not in shapes or (allowed is not None and kind not in allowed):
            yield place.child("type").problem(f"unsupported type: {kind}")
        else:
            yield from shapes[kind](value, place)

    return check


def any_value(_value: Any, _place: Place) -> Iterator[Problem]:
    return iter(())


def plain_text(limit: int, *, least: int = 1) -> Rule:
    shape = Shape(
        required={"type": one_of("plain_text"), "text": string(limit, least=least)},
        optional={"emoji": boolean},
    )

    def check(value: Any, place: Place) -> Iterator[Problem]:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "mrkdwn":
            yield place.child("type").problem("must be one of: plain_text")
        else:
            yield from shape(value, place)

    return check


def text(limit: int) -> Rule:
    """A text object of either kind. Slack tries both schemas and says so before it names the fault."""
    plain = plain_text(limit)
    mrkdwn = Shape(required={"type": one_of("mrkdwn"), "text": string(limit)}, optional={"verbatim": boolean})
    either = typed({"plain_text": plain, "mrkdwn": mrkdwn})

    def check(value: Any, place: Place) -> Iterator[Problem]:
        problems = list(either(value, place))
        if problems:
            yield place.problem("failed to match all allowed schemas")
        yield from problems

    return check


def at_least_one(*names: str) -> Rule:
    sentence = f"must define either {' or '.join(f'`{name}`' for name in names)}"

    def check(value: Any, place: Place) -> Iterator[Problem]:
        if not any(value.get(name) for name in names):
            yield place.problem(sentence)

    return check


def exactly_one(*names: str) -> Rule:
    sentence = f"must define either {' or '.join(f'`{name}`' for name in names)}"
    both = f"must not define both {' and '.join(f'`{name}`' for name in names)}"

    def check(value: Any, place: Place) -> Iterator[Problem]:
        present = sum(name in value for name in names)
        if present == 0:
            yield place.problem(sentence)
        elif present > 1:
            yield place.problem(both)

    return check


def initial_option_is_listed(value: Any, place: Place) -> Iterator[Problem]:
    options = value.get("options")
    initial = value.get("initial_option")
    if isinstance(options, list) and initial is not None and initial not in options:
        yield place.child("initial_option").problem("must match one of the options")


CONFIRM = Shape(
    required={
        "title": plain_text(limits.CONFIRM_TITLE),
        "text": text(limits.CONFIRM_TEXT),
        "confirm": plain_text(limits.CONFIRM_BUTTON),
        "deny": plain_text(limits.CONFIRM_BUTTON),
    },
    optional={"style": one_of("primary", "danger")},
)


def option(*, label: Rule, url: bool = False) -> Shape:
    optional: dict[str, Rule] = {"description": text(limits.OPTION_DESCRIPTION)}
    if url:
        optional["url"] = web_address(limits.BUTTON_URL)
    return Shape(required={"text": label, "value": string(limits.OPTION_VALUE)}, optional=optional)


_menu_option = option(label=plain_text(limits.OPTION_TEXT))
_choice_option = option(label=text(limits.OPTION_TEXT))
_overflow_option = option(label=plain_text(limits.OPTION_TEXT), url=True)
_option_group = Shape(
    required={
        "label": plain_text(limits.OPTION_TEXT),
        "options": items(_menu_option, limit=limits.SELECT_OPTIONS),
    }
)
_menu_options: dict[str, Rule] = {
    "options": items(_menu_option, limit=limits.SELECT_OPTIONS),
    "option_groups": items(_option_group, limit=limits.SELECT_OPTIONS),
}
_type: Rule = any_value
_identifier = string(limits.IDENTIFIER)
_action: dict[str, Rule] = {"action_id": _identifier, "confirm": CONFIRM}
_placeholder: dict[str, Rule] = {"placeholder": plain_text(limits.PLACEHOLDER), "focus_on_load": boolean}

IMAGE_SOURCE: dict[str, Rule] = {"image_url": image_address, "slack_file": slack_file}

ELEMENTS: dict[str, Rule] = {
    "button": Shape(
        required={"type": _type, "text": plain_text(limits.BUTTON_TEXT)},
        optional={
            **_action,
            "url": web_address(limits.BUTTON_URL),
            "value": string(limits.BUTTON_VALUE, least=0),
            "style": one_of("primary", "danger"),
            "accessibility_label": string(limits.ACCESSIBILITY_LABEL),
        },
    ),
    "static_select": Shape(
        required={"type": _type},
        optional={**_action, **_placeholder, **_menu_options, "initial_option": _menu_option},
        whole=[exactly_one("options", "option_groups"), initial_option_is_listed],
    ),
    "multi_static_select": Shape(
        required={"type": _type},
        optional={
            **_action,
            **_placeholder,
            **_menu_options,
            "initial_options": items(_menu_option, limit=limits.SELECT_OPTIONS),
            "max_selected_items": integer,
        },
        whole=[exactly_one("options", "option_groups")],
    ),
    "overflow": Shape(
        required={"type": _type, "options": items(_overflow_option, limit=limits.OVERFLOW_OPTIONS)},
        optional=_action,
    ),
    "radio_buttons": Shape(
        required={"type": _type, "options": items(_choice_option, limit=limits.CHOICE_OPTIONS)},
        optional={**_action, "initial_option": _choice_option, "focus_on_load": boolean},
        whole=[initial_option_is_listed],
    ),
    "checkboxes": Shape(
        required={"type": _type, "options": items(_choice_option, limit=limits.CHOICE_OPTIONS)},
        optional={
            **_action,
            "initial_options": items(_choice_option, limit=limits.CHOICE_OPTIONS),
            "focus_on_load": boolean,
        },
    ),
    "plain_text_input": Shape(
        required={"type": _type},
        optional={
            "action_id": _identifier,
            **_placeholder,
            "initial_value": string(limits.PLAIN_TEXT_INPUT, least=0),
            "multiline": boolean,
            "min_length": integer,
            "max_length": integer,
            "dispatch_action_config": any_value,
        },
    ),
    "image": Shape(
        required={"type": _type, "alt_text": string(limits.ALT_TEXT, least=0)},
        optional=IMAGE_SOURCE,
        whole=[exactly_one("image_url", "slack_file")],
    ),
    "plain_text": plain_text(limits.CONTEXT_TEXT),
    "mrkdwn": Shape(
        required={"type": _type, "text": string(limits.CONTEXT_TEXT)}, optional={"verbatim": boolean}
    ),
}

INTERACTIVE = ("button", "static_select", "multi_static_select", "overflow", "radio_buttons", "checkboxes")
INPUTS = ("plain_text_input", *INTERACTIVE[1:3], "radio_buttons", "checkboxes")

_style = Shape(
    optional={"bold": boolean, "italic": boolean, "strike": boolean, "code": boolean, "underline": boolean}
)
_rich_inline = typed(
    {
        "text": Shape(required={"type": _type, "text": string()}, optional={"style": _style}),
        "link": Shape(
            required={"type": _type, "url": string()},
            optional={"text": string(), "style": _style, "unsafe": boolean},
        ),
        "user": Shape(required={"type": _type, "user_id": string()}, optional={"style": _style}),
        "channel": Shape(required={"type": _type, "channel_id": string()}, optional={"style": _style}),
        "usergroup": Shape(required={"type": _type, "usergroup_id": string()}, optional={"style": _style}),
        "emoji": Shape(
            required={"type": _type, "name": string()}, optional={"unicode": string(), "skin_tone": integer}
        ),
        "broadcast": Shape(required={"type": _type, "range": one_of("here", "channel", "everyone")}),
        "date": Shape(
            required={"type": _type, "timestamp": integer, "format": string()},
            optional={"url": string(), "fallback": string()},
        ),
        "color": Shape(required={"type": _type, "value": string()}),
    }
)
_rich_run = items(_rich_inline, limit=1_000, least=0)
_rich_section = Shape(required={"type": _type, "elements": _rich_run})
_rich_part = typed(
    {
        "rich_text_section": _rich_section,
        "rich_text_preformatted": Shape(
            required={"type": _type, "elements": _rich_run},
            optional={"border": integer, "language": string()},
        ),
        "rich_text_quote": Shape(
            required={"type": _type, "elements": _rich_run}, optional={"border": integer}
        ),
        "rich_text_list": Shape(
            required={
                "type": _type,
                "style": one_of("bullet", "ordered"),
                "elements": items(typed({"rich_text_section": _rich_section}), limit=1_000, least=0),
            },
            optional={"indent": integer, "offset": integer, "border": integer},
        ),
    }
)

_block: dict[str, Rule] = {"block_id": _identifier}

BLOCKS: dict[str, Rule] = {
    "section": Shape(
        required={"type": _type},
        optional={
            **_block,
            "text": text(limits.SECTION_TEXT),
            "fields": items(text(limits.FIELD_TEXT), limit=limits.SECTION_FIELDS),
            "accessory": typed(ELEMENTS, allowed=(*INTERACTIVE, "image")),
            "expand": boolean,
        },
        whole=[at_least_one("text", "fields")],
    ),
    "divider": Shape(required={"type": _type}, optional=_block),
    "header": Shape(
        required={"type": _type, "text": plain_text(limits.HEADER_TEXT)},
        optional={**_block, "level": integer},
    ),
    "image": Shape(
        required={"type": _type, "alt_text": string(limits.ALT_TEXT, least=0)},
        optional={**_block, **IMAGE_SOURCE, "title": plain_text(limits.IMAGE_TITLE)},
        whole=[exactly_one("image_url", "slack_file")],
    ),
    "actions": Shape(
        required={
            "type": _type,
            "elements": items(typed(ELEMENTS, allowed=INTERACTIVE), limit=limits.ACTIONS_ELEMENTS),
        },
        optional=_block,
    ),
    "context": Shape(
        required={
            "type": _type,
            "elements": items(
                typed(ELEMENTS, allowed=("plain_text", "mrkdwn", "image")), limit=limits.CONTEXT_ELEMENTS
            ),
        },
        optional=_block,
    ),
    "input": Shape(
        required={
            "type": _type,
            "label": plain_text(limits.INPUT_LABEL),
            "element": typed(ELEMENTS, allowed=INPUTS),
        },
        optional={
            **_block,
            "hint": plain_text(limits.INPUT_LABEL),
            "optional": boolean,
            "dispatch_action": boolean,
        },
    ),
    "rich_text": Shape(
        required={"type": _type, "elements": items(_rich_part, limit=1_000, least=0)}, optional=_block
    ),
    "markdown": Shape(required={"type": _type, "text": string(limits.MARKDOWN_TEXT)}, optional=_block),
}

BLOCK = typed(BLOCKS)
