"""Results are found wherever the endpoint wrote them, and failures read in one way."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aws.result_objects import ResultObjects, failure_body, job_id_in
from bot.domain.job import Outcome
from bot.domain.wire import read_failure
from bot.local.memory_objects import MemoryObjects

JOB, OTHER = "a2" * 13, "b" * 26
OUTPUT, FAILURES = f"out/T01/{JOB}.out", f"failed/T01/{JOB}"


@pytest.mark.parametrize(
    "name",
    [
        OUTPUT,
        f"out/T01.{JOB}.1.out",
        f"failed/T01.{JOB}.2-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0-error.out",
        f"failed/T01/{JOB}-1-error.out",
        f"in/T01/{JOB}.1.json",
        f"T01.{JOB}.1",
    ],
)
def test_a_job_id_is_read_out_of_any_key_and_inference_id(name: str):
    assert job_id_in(name) == JOB


@pytest.mark.parametrize(
    "name",
    [
        "",
        "out/",
        "failed/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0-error.out",
        f"out/{JOB}a.out",
        f"out/{JOB.upper()}.out",
    ],
)
def test_a_key_without_a_job_id_has_none(name: str):
    assert job_id_in(name) is None


@given(st.text())
def test_any_text_has_a_job_id_or_none(text: str):
    found = job_id_in(text)
    assert found is None or (len(found) == 26 and found in text)


@pytest.mark.parametrize("ordinal", [1, 2])
def test_a_success_under_its_inference_id_is_found_at_home(ordinal: int):
    store = MemoryObjects()
    store.put(f"out/T01.{JOB}.{ordinal}.out", b"{}")
    assert ResultObjects(store).get(OUTPUT) == b"{}"
    assert ResultObjects(store).get(f"out/T01/{OTHER}.out") is None


def test_a_success_at_home_comes_first():
    store = MemoryObjects()
    store.put(f"out/T01.{JOB}.1.out", b"elsewhere")
    store.put(OUTPUT, b"home")
    assert ResultObjects(store).get(OUTPUT) == b"home"


def test_failures_under_inference_ids_are_listed_with_those_at_home():
    store = MemoryObjects()
    for key in (
        f"failed/T01.{JOB}.1-x-error.out",
        f"failed/T01/{JOB}-2-error.out",
        f"failed/T01.{OTHER}.1-x",
    ):
        store.put(key, b"{}")
    assert ResultObjects(store).list(FAILURES) == (
        f"failed/T01/{JOB}-2-error.out",
        f"failed/T01.{JOB}.1-x-error.out",
    )


def test_what_a_job_left_is_deleted_wherever_it_lies():
    store = MemoryObjects()
    objects = ResultObjects(store)
    store.put(f"out/T01.{JOB}.1.out", b"{}")
    store.put(f"failed/T01.{JOB}.2-x-error.out", b"{}")
    for key in (OUTPUT, *objects.list(FAILURES)):
        objects.delete(key)
    assert store.list("") == ()


def test_other_objects_are_passed_through():
    objects = ResultObjects(MemoryObjects())
    objects.put("images/T01/x/1.png", b"no JSON")
    assert objects.get("images/T01/x/1.png") == b"no JSON"
    assert objects.list("images/") == ("images/T01/x/1.png",)
    objects.delete("images/T01/x/1.png")
    assert objects.get("images/T01/x/1.png") is None


TOLD = {"error": {"code": "out_of_memory", "message": "{too} big", "field": None}}


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("ClientError: Received server error (500) from model. See the logs.", Outcome.ENGINE_FAILED),
        (
            f'Received server error (507) from primary with message "{json.dumps(TOLD)}".',
            Outcome.OUT_OF_MEMORY,
        ),
        ("ModelError: Invocation timed out while waiting for a response", Outcome.TIMED_OUT),
        ("The request expired in the queue", Outcome.WAITED_TOO_LONG),
        ("{", Outcome.ENGINE_FAILED),
        ("{}", Outcome.ENGINE_FAILED),
        ('{"error": "no object"}', Outcome.ENGINE_FAILED),
        ("", Outcome.ENGINE_FAILED),
    ],
)
def test_sagemakers_reason_for_a_failure_becomes_an_outcome(reason: str, outcome: Outcome):
    assert read_failure(failure_body(reason)) is outcome
    store = MemoryObjects()
    store.put(f"{FAILURES}-1-error.out", reason.encode())
    assert read_failure(ResultObjects(store).get(f"{FAILURES}-1-error.out") or b"") is outcome


@given(st.binary())
def test_any_failure_object_reads_as_a_failure(body: bytes):
    store = MemoryObjects()
    store.put(f"{FAILURES}-1-error.out", body)
    read_failure(ResultObjects(store).get(f"{FAILURES}-1-error.out") or b"")
