import json
import re

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.job import Job, Outcome, job_id
from tests.factories import make_job, make_picture, make_request, make_result

moments = st.none() | st.floats(0, 4e9)
results = st.builds(
    make_result,
    outcome=st.sampled_from(Outcome),
    pictures=st.lists(st.builds(make_picture, seed=st.integers(0, 2**32 - 1)), max_size=3).map(tuple),
    unknown_words=st.lists(st.text()).map(tuple),
)
jobs = st.builds(
    make_job,
    request=st.builds(make_request, prompt=st.text(st.characters(codec="utf-8"))),
    notes=st.lists(st.text(st.characters(codec="utf-8"))).map(tuple),
    announce_intent_at=moments,
    announced_ref=st.none() | st.text(max_size=20),
    held=st.none() | results,
    result=st.none() | results,
    delivery_refs=st.lists(st.text(max_size=12)).map(tuple),
    undelivered=st.none() | st.sampled_from(Outcome),
    next_check_at=moments,
)


@given(jobs)
def test_a_row_survives_being_written_and_read(job):
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_a_row_of_a_newer_version_is_read():
    row = make_job(result=make_result()).to_json()
    row["invented_later"] = 1
    row["result"]["invented_later"] = 2

    assert Job.from_json(row) == make_job(result=make_result())


def test_a_row_of_an_older_version_is_read():
    row = make_job().to_json()
    for name in ("announcements", "deliveries", "undelivered", "notes"):
        del row[name]

    assert Job.from_json(row) == make_job()


@given(st.text(), st.text(), st.integers(0, 9))
def test_a_job_id_is_26_letters_that_fit_a_file_name(tenant, source, ordinal):
    assert re.fullmatch(r"[a-z2-7]{26}", job_id(tenant, source.encode("utf-8", "replace").decode(), ordinal))


def test_a_job_id_names_workspace_source_and_number():
    names = {
        job_id(tenant, source, number) for tenant in ("T1", "T2") for source in "ab" for number in (0, 1)
    }

    assert len(names) == 8
    assert job_id("T1", "a") == job_id("T1", "a"), "the same command is the same job"
