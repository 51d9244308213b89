"""What the endpoint wrote, found wherever it wrote it.

A success object belongs at `out/<tenant>/<job>.out`, a failure object under `failed/<tenant>/<job>`.
SageMaker names failure objects itself, and an older one success objects too, after the inference id
`<tenant>.<job>.<ordinal>`. Here they appear as the failures and successes of their job, so nothing else
needs to know, whichever process submitted them.
"""

import json
import re
from typing import Any

from bot.ports import Objects

OUT, FAILED = "out/", "failed/"

QUESTIONS = "catalogue"
"""Stands in keys and inference ids of what the sweep asks the container; others have a workspace's id."""

_JOB_ID = re.compile(r"(?<![A-Za-z0-9])[a-z2-7]{26}(?![A-Za-z0-9])")
_HOME = re.compile(r"(?P<folder>out|failed)/(?P<tenant>[^/]+)/(?P<job>[a-z2-7]{26})(\.out)?")
_ASKED = re.compile(rf"(?<![A-Za-z0-9]){QUESTIONS}[./][a-z2-7]{{26}}(?![A-Za-z0-9])")
_QUOTED = re.compile(r"\{.*\}", re.DOTALL)
_LATE = re.compile(r"(?i)tim(e|ed)[ -]?out")
_EXPIRED = re.compile(r"(?i)expired")


def job_id_in(text: str) -> str | None:
    """The job id in an object key or an inference id, None when it holds none. Untrusted: the row decides."""
    found = _JOB_ID.search(text)
    return found[0] if found else None


def answers_question(text: str) -> bool:
    """Whether an object key or inference id belongs to a question of the sweep's, which looks by itself."""
    return _ASKED.search(text) is not None


def failure_body(reason: str) -> bytes:
    """A failure object in the words of `read_failure`, from what SageMaker says in a notice or an object.

    A container's own error, quoted in the sentence, is passed on; so are time-outs and expiry.
    """
    quoted = _QUOTED.search(reason)
    told = _json(quoted[0]) if quoted else None
    if told is not None and isinstance(told.get("error"), dict):
        return json.dumps({"error": told["error"]}).encode()
    code = "timeout" if _LATE.search(reason) else "expired" if _EXPIRED.search(reason) else "engine_error"
    return json.dumps({"error": {"code": code}}).encode()


class ResultObjects:
    """The port Objects, in which results that lie elsewhere are found at home.

    Costs one more listing where a result is asked for that is not there yet, nothing where it is.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def put(self, key: str, body: bytes) -> None:
        """See Objects.put."""
        self._objects.put(key, body)

    def get(self, key: str) -> bytes | None:
        """See Objects.get; a success object also from under its inference id, a failure in our words."""
        body = self._objects.get(key)
        if body is None and key.startswith(OUT):
            return self._first(self._strays(key))
        if body is not None and key.startswith(FAILED) and _json(body) is None:
            return failure_body(body.decode(errors="replace"))
        return body

    def list(self, prefix: str) -> tuple[str, ...]:
        """See Objects.list; a job's failures also from under its inference ids."""
        strays = self._strays(prefix) if prefix.startswith(FAILED) else ()
        return (*self._objects.list(prefix), *strays)

    def delete(self, key: str) -> None:
        """See Objects.delete; a success object goes wherever it lies."""
        self._objects.delete(key)
        if key.startswith(OUT):
            for stray in self._strays(key):
                self._objects.delete(stray)

    def _first(self, keys: tuple[str, ...]) -> bytes | None:
        return self._objects.get(keys[0]) if keys else None

    def _strays(self, key: str) -> tuple[str, ...]:
        """What lies under the inference ids of the job that this key or prefix belongs to."""
        home = _HOME.fullmatch(key)
        return self._objects.list(f"{home['folder']}/{home['tenant']}.{home['job']}.") if home else ()


def _json(body: bytes | str) -> dict[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
