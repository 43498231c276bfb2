"""Two values of one meaning, watched while a training runs."""

import warnings

import pytest
from ignite.engine import Engine, Events

from monai_auxops import AuxAgreementHandler, AuxStatsHandler

NAN = float("nan")


def run(values, pairs=None, **arguments):
    """An engine whose metrics are `values`, a dict for each epoch."""
    engine, handler = Engine(lambda engine, batch: None), AuxAgreementHandler(pairs or {"old": "new"}, **arguments)
    engine.add_event_handler(
        Events.EPOCH_COMPLETED, lambda: engine.state.metrics.update(values[engine.state.epoch - 1])
    )
    handler.attach(engine)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine.run([0], max_epochs=len(values))
    return handler, [str(one.message) for one in caught if "Agreement" in str(one.message)]


def test_values_that_agree_say_nothing():
    assert run([{"old": 0.5, "new": 0.50001}, {"old": NAN, "new": NAN}])[1] == []


def test_the_first_epoch_that_parts_is_reported_once():
    handler, said = run([{"old": 0.5, "new": 0.5}, {"old": 0.5, "new": 0.6}, {"old": 0.5, "new": 0.7}])
    assert handler.parted == {"old": (2, 0.5, 0.6)}
    assert len(said) == 1
    assert "differ in epoch 2: 0.500000 and 0.600000" in said[0]


@pytest.mark.parametrize("values", [{"old": NAN, "new": 0.5}, {"old": 0.5, "new": NAN}])
def test_a_nan_beside_a_number_parts(values):
    assert len(run([values])[1]) == 1


def test_what_is_not_there_or_no_number_is_reported_once():
    _, said = run([{"old": 0.5, "list": [1, 2]}] * 2, {"old": "new", "list": "old"})
    assert said == [
        "AuxAgreementHandler: no metric named 'new'; there are ['list', 'old']",
        "AuxAgreementHandler: 'list' is not a single number",
    ]


@pytest.mark.parametrize("arguments", [({},), ("dice",), ({"a": "b"}, -1.0), ({"a": "b"}, NAN)])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="AuxAgreementHandler: expected"):
        AuxAgreementHandler(*arguments)


def test_a_handler_brings_others():
    attached = []

    class Note:
        def attach(self, engine):
            attached.append(engine)

    engine = Engine(lambda engine, batch: None)
    AuxStatsHandler(also=[Note(), Note()]).attach(engine)
    assert attached == [engine, engine]
