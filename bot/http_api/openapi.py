"""The OpenAPI 3.1 document of the API, written from the tables that it runs by."""

from collections.abc import Mapping
from typing import Any

from bot.domain.job import Outcome
from bot.http_api.fields import LORA_SCHEMA, body_schema, fields_of
from bot.http_api.formats import (
    CALLBACK,
    CLOSED,
    EMPTY,
    ENVELOPE,
    IDLE,
    IMG2IMG,
    PASSED_OVER,
    READ,
    REFUSED,
    TASKS,
    Format,
)
from bot.http_api.problems import PROBLEM_JSON, TITLES, TYPE
from bot.http_api.views import Standing
from bot.services.core import Policy

VERSION = "1.0.0"
GENERATIONS, GENERATION, MODELS, OPENAPI = (
    "/v1/generations",
    "/v1/generations/{id}",
    "/v1/models",
    "/v1/openapi.json",
)
Schema = dict[str, Any]


def document(policy: Policy) -> Schema:
    """The whole document under the team's caps."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Imagine",
            "version": VERSION,
            "description": "Pictures drawn by Stable Diffusion: ask, then poll or be called back.",
        },
        "paths": {
            GENERATIONS: {"post": _create(), "get": _list()},
            GENERATION: {"parameters": [_id()], "get": _read(), "delete": _remove()},
            MODELS: {"get": _models()},
            OPENAPI: {"get": _self()},
        },
        "components": {
            "schemas": _schemas(policy),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key: imagine_ID_SECRET."}
            },
            "responses": {f"{status}": _problem_response(status) for status in TITLES},
        },
        "security": [{"key": []}],
    }


def _create() -> Schema:
    return {
        "operationId": "createGeneration",
        "summary": "Ask for pictures",
        "parameters": [
            {
                "name": "format",
                "in": "query",
                "description": "How the body is written: ours, a webui txt2img/img2img body, or the seed's "
                "/invocations body.",
                "schema": {"enum": list(Format), "default": Format.OURS},
            },
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same key with the same body is drawn once, however often it is sent.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "anyOf": [_ref("GenerationRequest"), _ref("WebuiRequest"), _ref("SageMakerRequest")]
                    }
                }
            },
        },
        "responses": {
            "202": {
                "description": "Taken, durably. Location names the generation.",
                "headers": {
                    "Location": {"schema": {"type": "string"}},
                    "Idempotency-Replayed": {"schema": {"const": "true"}},
                },
                "content": _json("Generation"),
            },
            **_problems(400, 401, 403, 409, 413, 415, 422, 429, 500, 503),
        },
    }


def _list() -> Schema:
    return {
        "operationId": "listGenerations",
        "summary": "Your generations, newest first",
        "parameters": [
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": 50, "default": 20},
            },
            {
                "name": "cursor",
                "in": "query",
                "description": "next_cursor of the page before.",
                "schema": {"type": "string"},
            },
        ],
        "responses": {
            "200": {"description": "One page.", "content": _json("GenerationPage")},
            **_problems(400, 401, 500, 503),
        },
    }


def _read() -> Schema:
    return {
        "operationId": "readGeneration",
        "summary": "Where a generation stands, and its pictures",
        "responses": {
            "200": {"description": "The generation.", "content": _json("Generation")},
            **_problems(401, 404, 500, 503),
        },
    }


def _remove() -> Schema:
    return {
        "operationId": "removeGeneration",
        "summary": "Cancel what is open, delete the pictures of what has ended",
        "responses": {
            "200": {"description": "The generation as it is now.", "content": _json("Generation")},
            **_problems(401, 404, 409, 500, 503),
        },
    }


def _models() -> Schema:
    return {
        "operationId": "listModels",
        "summary": "What may be named: models, LoRAs, samplers, styles",
        "responses": {
            "200": {"description": "As far as it is known.", "content": _json("Models")},
            **_problems(401, 500, 503),
        },
    }


def _self() -> Schema:
    return {
        "operationId": "readDocument",
        "summary": "This document",
        "security": [],
        "responses": {
            "200": {
                "description": "OpenAPI 3.1.",
                "content": {"application/json": {"schema": {"type": "object", "required": ["openapi"]}}},
            }
        },
    }


def _id() -> Schema:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[a-z2-7]{26}$"},
    }


def _schemas(policy: Policy) -> Schema:
    return {
        "GenerationRequest": body_schema(fields_of(policy)),
        "WebuiRequest": _webui(),
        "SageMakerRequest": _sagemaker(),
        "Generation": _generation(),
        "GenerationSummary": _object(_SUMMARY),
        "GenerationPage": _object(
            {
                "generations": {"type": "array", "items": _ref("GenerationSummary")},
                "next_cursor": _or_null("string"),
            }
        ),
        "Picture": _object(_PICTURE),
        "Models": _object(
            {
                "models": {"type": "array", "items": _named()},
                "loras": {"type": "array", "items": _named()},
                "samplers": {"type": "array", "items": {"type": "string"}},
                "styles": {"type": "array", "items": {"type": "string"}},
                "release": _or_null("string"),
                "is_complete": {"type": "boolean"},
            }
        ),
        "Problem": _problem(),
    }


_SUMMARY: Mapping[str, Schema] = {
    "id": {"type": "string"},
    "state": {"enum": list(Standing)},
    "outcome": {"enum": [*Outcome, None], "description": "How it ended, null before."},
    "created_at": {"type": "string", "format": "date-time"},
    "ended_at": {"type": ["string", "null"], "format": "date-time"},
    "url": {"type": "string"},
}
_PICTURE: Mapping[str, Schema] = {
    "url": {
        "type": "string",
        "format": "uri",
        "description": "Opens the PNG without a key until expires_at.",
    },
    "expires_at": {"type": "string", "format": "date-time"},
    "seed": {"type": "integer"},
    "width": {"type": "integer"},
    "height": {"type": "integer"},
    "sha256": {"type": "string"},
}


def _generation() -> Schema:
    return _object(
        {
            **_SUMMARY,
            "stage": {"type": "string", "description": "Where it stands, in a sentence."},
            "place": {"type": ["integer", "null"], "description": "Generations ahead of it while it waits."},
            "pictures": {"type": "array", "items": _ref("Picture")},
            "model": _or_null("string"),
            "notes": {"type": "array", "items": {"type": "string"}},
            "request": _request_echo(),
        }
    )


def _request_echo() -> Schema:
    return {
        "type": "object",
        "description": "What is drawn, with everything that was left open.",
        "required": ["prompt", "width", "height", "n", "steps", "seed"],
        "properties": {"prompt": {"type": "string"}, "loras": {"type": "array", "items": dict(LORA_SCHEMA)}},
    }


def _webui() -> Schema:
    """Every field that is known; what a value may be is webui's to say, and ours to refuse by name."""
    fields: dict[str, Schema] = {name: {} for name in sorted({*READ, *IDLE, *PASSED_OVER})}
    empty = {name: {"enum": list(EMPTY), "description": f"Empty: {why}."} for name, why in REFUSED.items()}
    return {
        "type": "object",
        "description": "format=webui: stable-diffusion-webui's txt2img or img2img body, and callback_url.",
        "additionalProperties": False,
        "required": ["prompt"],
        "properties": {**fields, "prompt": {"type": "string"}, CALLBACK: _or_null("string"), **empty},
    }


def _sagemaker() -> Schema:
    payloads: dict[str, Schema] = {
        payload: {"anyOf": [_ref("WebuiRequest"), {"enum": [None]}]} for payload in TASKS.values()
    }
    payloads[IMG2IMG]["description"] = "With the picture to start from in init_images."
    closed = {name: {"enum": list(EMPTY), "description": f"Empty: {why}."} for name, why in CLOSED.items()}
    return {
        "type": "object",
        "description": "format=sagemaker: a body of the seed's /invocations, and callback_url.",
        "additionalProperties": False,
        "required": ["task"],
        "properties": {
            **{name: {} for name in sorted(ENVELOPE)},
            "task": {"enum": list(TASKS)},
            CALLBACK: _or_null("string"),
            **payloads,
            **closed,
        },
    }


def _problem() -> Schema:
    error = _object({"field": {"type": "string"}, "detail": {"type": "string"}, "fix": {"type": "string"}})
    known = {
        "type": {"type": "string", "pattern": f"^{TYPE}"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    }
    optional = {"fix": {"type": "string"}, "errors": {"type": "array", "items": error}}
    return {"type": "object", "required": list(known), "properties": {**known, **optional}}


def _problem_response(status: int) -> Schema:
    return {"description": TITLES[status], "content": {PROBLEM_JSON: {"schema": _ref("Problem")}}}


def _problems(*statuses: int) -> Schema:
    return {f"{status}": {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


def _named() -> Schema:
    return {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def _or_null(kind: str) -> Schema:
    return {"type": [kind, "null"]}


def _json(schema: str) -> Schema:
    return {"application/json": {"schema": _ref(schema)}}


def _ref(schema: str) -> Schema:
    return {"$ref": f"#/components/schemas/{schema}"}
