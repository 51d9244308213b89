"""webui's HTTP API on loopback: JSON out, JSON in, and what can go wrong in between as typed errors.

Facts: `modules/api/api.py` of stable-diffusion-webui 1.10.1 and of Forge. Errors come as `{"error",
"detail", "body", "errors"}` (webui), `{"detail": …}` (FastAPI), plain text (a half-started server), and in
some forks inside a 200. Any of them may quote a prompt: their words are looked at and never passed on.
"""

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from container.serving.errors import EngineCrash, NotSupported, OutOfMemory, ServingError, UnknownName

_MOST_BYTES = 512 * 2**20

_OUT_OF_MEMORY = re.compile(r"out ?of ?memory|not enough memory|alloc_failed|cannot allocate", re.IGNORECASE)


class Gone(EngineCrash):
    """webui does not answer, or its answer broke off: it has most likely ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """webui at a port of this machine. Each call is a connection of its own and may come from any thread."""

    port: int

    def get(self, path: str, *, timeout_s: float = 10.0) -> Any:
        """The answer's JSON. Raises `Gone`, `EngineCrash` or another typed error."""
        return self._call("GET", path, None, timeout_s=timeout_s)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0) -> Any:
        """The answer's JSON. Raises as `get` does."""
        return self._call("POST", path, json.dumps(body or {}).encode(), timeout_s=timeout_s)

    def offered(self, path: str) -> Any | None:
        """What `get` answers, or None where this webui has no such route."""
        try:
            return self.get(path)
        except NotSupported:
            return None

    def _call(self, method: str, path: str, body: bytes | None, *, timeout_s: float) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"webui does not answer ({type(error).__name__})") from None
        finally:
            connection.close()
        return _read(response.status, content)


def _read(status: int, content: bytes) -> Any:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        if status < 400:
            raise EngineCrash("webui answered something that is not JSON") from None
        body = content[:4000].decode("utf-8", "replace")
    if status >= 400 or (isinstance(body, dict) and body.get("error")):
        raise refusal(status, body)
    return body


def refusal(status: int, body: Any) -> ServingError:
    """The typed error for an error answer: any status, any body."""
    said = json.dumps(body)
    if _OUT_OF_MEMORY.search(said):
        return OutOfMemory("the picture does not fit into webui's memory")
    detail = body.get("detail") if isinstance(body, dict) else None
    words = detail if isinstance(detail, str) else ""
    if status in {400, 404} and "sampler" in words.lower():
        return UnknownName("sampler", "of this request", nearest=(), field="sampler_name")
    if status == 422 and "script" in words.lower():
        return NotSupported("this webui lacks the extension that the request needs", field="alwayson_scripts")
    if status == 422 and isinstance(detail, list):
        return EngineCrash(
            f"webui does not understand our request: {', '.join(_places(detail)) or 'unknown field'}"
        )
    if status == 404 and words == "Not Found":  # FastAPI's words for a route that does not exist
        return NotSupported("this webui has no such function", field="task")
    return EngineCrash(f"webui failed with status {status}{_kind(body)}")


def _places(detail: list[Any]) -> list[str]:
    """The names of the fields that FastAPI complains about: ours, while the rest may be a person's."""
    places = [item.get("loc") for item in detail if isinstance(item, dict)]
    named = [str(place[-1]) for place in places if isinstance(place, list) and place]
    return [name for name in named if re.fullmatch(r"\w{1,40}", name)][:5]


def _kind(body: Any) -> str:
    """The class of webui's exception, where it tells one."""
    kind = body.get("error") if isinstance(body, dict) else None
    known = isinstance(kind, str) and re.fullmatch(r"[A-Za-z_]{1,40}(?:Error|Exception)", kind)
    return f" ({kind})" if known else ""
