"""Requests that agree are drawn in one go, around the oldest, and nobody pays for it with his turn."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.serving.invocation import parse_invocation
from container.serving.pattern_engine import PatternEngine
from container.serving.settings import Limits
from container.serving.tickets import Ticket, gather, pictures_in
from tests.container.engines import Batching
from tests.container.served import PATIENCE, Call, eventually, info, serving, text_to_image


def open_invocations(client):
    return client.get("/control/progress").json()["invocations"]


class Line:
    """Requests sent one after the other, so that the first is being drawn and the others wait in order."""

    def __init__(self, client, engine):
        self._client, self._engine = client, engine
        self.calls = {}

    def send(self, name, *, beside=None, **fields):
        body = {**text_to_image(prompt=name, **fields), **(beside or {})}
        self.calls[name] = Call(self._client, body, inference_id=name.replace(" ", "-"))
        place = len(self.calls)
        eventually(lambda: len(open_invocations(self._client)) == place)
        assert self._engine.at_gate.wait(PATIENCE)

    def answers(self):
        self._engine.allow()
        return {name: call.response() for name, call in self.calls.items()}

    def statuses(self):
        return {name: answer.status_code for name, answer in self.answers().items()}


@pytest.fixture
def engine():
    """Draws up to eight pictures together, once it is allowed to."""
    engine = Batching()
    yield engine
    engine.allow()


def test_requests_that_agree_are_drawn_in_one_batch_and_answered_each_with_its_own(engine):
    with serving(engine) as client:
        line = Line(client, engine)
        for seed, name in enumerate(["first", "a", "b", "c"]):
            line.send(name, seed=seed)
        answers = line.answers()
    assert engine.batches == [["first"], ["a", "b", "c"]]
    with serving(PatternEngine()) as alone:
        for seed, (name, answer) in enumerate(answers.items()):
            drawn = alone.post("/invocations", json=text_to_image(prompt=name, seed=seed)).json()
            assert answer.json()["images"] == drawn["images"]
            assert info(answer.json())["all_seeds"] == [seed]


def test_what_does_not_agree_keeps_its_turn(engine):
    """Another size, several iterations and exact ones are drawn by themselves."""
    with serving(engine) as client:
        line = Line(client, engine)
        line.send("first")
        line.send("a")
        line.send("large", width=128)
        line.send("exact", beside={"exact": True})
        line.send("twice", n_iter=2)
        line.send("b")
        assert set(line.statuses().values()) == {200}
    assert engine.batches == [["first"], ["a", "b"], ["large"], ["exact"], ["twice"], ["twice"]]


def test_a_batch_holds_no_more_pictures_than_fit(engine):
    with serving(engine) as client:
        line = Line(client, engine)
        for name, batch_size in {"first": 1, "a": 4, "b": 5, "c": 3, "d": 2}.items():
            line.send(name, batch_size=batch_size)
        assert set(line.statuses().values()) == {200}
    assert engine.batches == [["first"], ["a", "c"], ["b", "d"]]


def test_one_large_job_among_a_hundred_small_ones_starts_within_two_batches(engine):
    with serving(engine, limits=Limits(waiting=200)) as client:
        line = Line(client, engine)
        line.send("small 0")
        line.send("large", width=128)
        for number in range(1, 100):
            line.send(f"small {number}")
        assert set(line.statuses().values()) == {200}
    assert engine.batches[:2] == [["small 0"], ["large"]]
    assert max(len(batch) for batch in engine.batches) == 8


def parsed(**fields):
    body = json.dumps(text_to_image(**fields)).encode()
    catalogue = PatternEngine().catalogue()
    return parse_invocation(body, catalogue=catalogue, limits=Limits(), choose_seed=lambda: 1)


TASKS = {size: parsed(batch_size=size) for size in (1, 2, 5)}
ITERATING = parsed(n_iter=2)
WAITING = st.lists(
    st.tuples(st.sampled_from("sml"), st.sampled_from(sorted(TASKS))), min_size=1, max_size=120
)


def batches_of(waiting, *, most):
    """The batches that a line is drawn in, as places in it."""
    line = [
        Ticket(inference_id=str(place), task=TASKS[size], key=key)
        for place, (key, size) in enumerate(waiting)
    ]
    while line:
        group = gather(line, most=most)
        yield [int(ticket.inference_id) for ticket in group]
        line = [ticket for ticket in line if ticket not in group]


@given(waiting=WAITING, most=st.integers(1, 16))
def test_a_batch_is_around_the_oldest_and_only_of_what_agrees_and_fits(waiting, most):
    drawn = set()
    for batch in batches_of(waiting, most=most):
        assert batch[0] == min(set(range(len(waiting))) - drawn)
        assert batch == sorted(batch)
        assert len({waiting[place][0] for place in batch}) == 1
        assert len(batch) == 1 or sum(waiting[place][1] for place in batch) <= most
        drawn |= set(batch)
    assert drawn == set(range(len(waiting)))


@given(waiting=WAITING, most=st.integers(1, 16))
def test_nobody_waits_for_more_batches_because_of_younger_ones(waiting, most):
    """The batch a request is in is no later than if only its elders had been there."""
    with_all = {place: turn for turn, batch in enumerate(batches_of(waiting, most=most)) for place in batch}
    for place in (len(waiting) - 1, len(waiting) // 2):
        elders = itertools.islice(waiting, place + 1)
        alone = {p: turn for turn, batch in enumerate(batches_of(list(elders), most=most)) for p in batch}
        assert with_all[place] <= alone[place]


@given(place=st.integers(0, 99), most=st.integers(1, 16))
def test_one_large_job_anywhere_among_a_hundred_waits_for_the_batches_of_its_elders_alone(place, most):
    """As many as they fill; those behind it, however many, never go first but in a place left free."""
    waiting = [("s", 1)] * 100
    waiting.insert(place, ("l", 1))
    (turn,) = [turn for turn, batch in enumerate(batches_of(waiting, most=most)) if place in batch]
    assert turn == -(-place // most)


def test_tickets_without_a_key_and_several_iterations_stay_alone():
    keyless = [Ticket(inference_id=None, task=TASKS[1]) for _ in range(3)]
    assert gather(keyless, most=8) == keyless[:1]
    assert pictures_in(Ticket(inference_id=None, task=ITERATING)) == 1


def test_cancelling_one_of_a_batch_drops_only_its_answer(engine):
    with serving(engine) as client:
        line = Line(client, engine)
        line.send("first", width=128, steps=1)
        for name in "abc":
            line.send(name, steps=4)
        engine.allow(2)
        eventually(lambda: [i["step"] for i in open_invocations(client)] == [1, 1, 1])
        assert client.post("/control/cancel", json={"id": "b"}).json() == {"cancelled": 1}
        engine.allow(1)
        assert line.calls["b"].response().status_code == 499
        assert [(i["id"], i["state"], i["step"]) for i in open_invocations(client)] == [
            ("a", "drawing", 2),
            ("c", "drawing", 2),
        ]
        assert line.statuses() == {"first": 200, "a": 200, "b": 499, "c": 200}
    assert engine.batches == [["first"], ["a", "b", "c"]]


def test_a_batch_that_all_have_cancelled_is_stopped(engine):
    with serving(engine) as client:
        line = Line(client, engine)
        line.send("first", width=128, steps=1)
        line.send("a", steps=150)
        line.send("b", steps=150)
        engine.allow(2)
        eventually(lambda: [i["step"] for i in open_invocations(client)] == [1, 1])
        for name in "ab":
            client.post("/control/cancel", json={"id": name})
        engine.allow(1)
        eventually(lambda: open_invocations(client) == [])
        assert [line.calls[name].response().status_code for name in "ab"] == [499, 499]
        assert client.get("/ping").status_code == 200


@pytest.mark.parametrize(
    ("fits", "batches"),
    [
        (2, [["first"], ["a", "b", "c"], ["a", "b"], ["c"]]),
        (1, [["first"], ["a", "b", "c"], ["a", "b"], ["a"], ["b"], ["c"]]),
    ],
)
def test_a_batch_that_does_not_fit_into_memory_is_drawn_in_halves(fits, batches):
    engine = Batching(fits=fits)
    with serving(engine, failures_until_unhealthy=1) as client:
        line = Line(client, engine)
        for name in ["first", "a", "b", "c"]:
            line.send(name)
        assert set(line.statuses().values()) == {200}
        assert client.get("/ping").status_code == 200
    assert engine.batches == batches


@pytest.mark.parametrize(("culprit", "status"), [("poison", 500), ("wrong", 400)])
def test_one_requests_fault_is_not_the_others(engine, culprit, status):
    with serving(engine, failures_until_unhealthy=2) as client:
        line = Line(client, engine)
        for name in ["first", "a", culprit, "c"]:
            line.send(name)
        assert line.statuses() == {"first": 200, "a": 200, culprit: status, "c": 200}
        assert client.get("/ping").status_code == 200
    assert engine.batches == [["first"], ["a", culprit, "c"], ["a"], [culprit], ["c"]]


def test_a_stop_aborts_every_member_of_a_batch(engine):
    with serving(engine, finish_s=0.1, closing_s=0.1) as client:
        line = Line(client, engine)
        line.send("first", width=128, steps=1)
        line.send("a")
        line.send("b")
        engine.allow(1)
        eventually(lambda: len(engine.batches) == 2)
        client.server.should_exit = True
        answers = [line.calls[name].response() for name in "ab"]
    assert [answer.status_code for answer in answers] == [503, 503]
