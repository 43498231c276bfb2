import io
import math

import pytest
import torch

from monai_auxops.core.running import RunningMean, Totals

NAN = math.nan


@pytest.fixture(autouse=True, params=[1, 2, 32], ids="together_{}".format)
def _together(request, monkeypatch):
    """How many batches wait for each other."""
    monkeypatch.setattr("monai_auxops.core.running.MAX_WAITING_BATCHES", request.param)


def running(*batches, **options):
    mean = RunningMean(["a", "b"], **options)
    for values in batches:
        mean.update(torch.tensor(values))
    return mean


def test_mean_over_valid_samples():
    mean = running([[1.0, NAN, 3.0], [NAN, NAN, NAN]], [[5.0], [1.0]])
    assert mean.means() == {"a": 3.0, "b": 1.0}


@pytest.mark.parametrize("batches", [[], [[[NAN], [NAN]]]], ids=["no_batch", "no_valid_sample"])
def test_nothing_valid_is_nan(batches):
    assert running(*batches).means() == pytest.approx({"a": NAN, "b": NAN}, nan_ok=True)


def test_inf_stays():
    assert running([[math.inf, NAN], [-math.inf, 1.0]]).means() == {"a": math.inf, "b": -math.inf}


def test_nan_may_stay_and_its_first_update_is_known():
    mean = running([[1.0], [1.0]], [[NAN], [2.0]], [[NAN], [3.0]], skip_nan=False)
    assert mean.means() == pytest.approx({"a": NAN, "b": 2.0}, nan_ok=True)
    assert mean.first_nan == {"a": 2}


def test_reset_forgets_everything():
    mean = running([[NAN], [1.0]], skip_nan=False)
    mean.reset()
    assert (mean.updates, mean.first_nan) == (0, {})
    mean.update(torch.tensor([[4.0], [6.0]]))
    assert mean.means() == {"a": 4.0, "b": 6.0}


def test_sums_are_float64_and_counts_int64():
    """In float32 a million thousandths drift, and a counter stops at 2**24."""
    mean = RunningMean(["a"])
    for _ in range(1000):
        mean.update(torch.full((1, 1000), 0.001))
    assert mean.means()["a"] == pytest.approx(float(torch.tensor(0.001)), rel=1e-12)
    mean.counts.add_(2**24)
    before = mean.counts.item()
    mean.update(torch.ones(1, 1))
    assert mean.counts.item() == before + 1
    assert (mean.sums.dtype, mean.counts.dtype) == (torch.float64, torch.int64)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.bool]
)
def test_dtypes(dtype):
    mean = RunningMean(["a"])
    mean.update(torch.tensor([[1, 0, 1, 1]]).to(dtype))
    assert mean.means() == {"a": 0.75}


def test_packed_states_add_up_over_ranks():
    batches = [[[1.0, 2.0], [NAN, 1.0]], [[6.0], [NAN]], [[NAN], [2.0]]]
    whole = running(*batches)
    ranks = [running(batches[0]), running(*batches[1:]), running()]  # the last saw no batch
    total = sum(rank.packed() for rank in ranks)
    assert total.shape == (4,)
    assert total.dtype == torch.float64
    assert Totals.of([whole], total.tolist()).means() == whole.means() == {"a": 3.0, "b": 1.5}


def test_an_epoch_may_begin_in_inference_mode_and_go_on_outside():
    with torch.inference_mode():
        mean = running([[1.0], [2.0]])
    mean.update(torch.tensor([[3.0], [4.0]]))
    assert mean.means() == {"a": 2.0, "b": 3.0}


def round_trip(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("skip_nan", [True, False])
def test_state_round_trip_in_mid_epoch(skip_nan):
    batches = [[[1.0], [2.0]], [[NAN], [4.0]], [[6.0], [8.0]]]
    first, second = running(batches[0], batches[1], skip_nan=skip_nan), RunningMean(["a", "b"], skip_nan)
    second.load_state_dict(round_trip(first.state_dict()))
    second.update(torch.tensor(batches[2]))
    whole = running(*batches, skip_nan=skip_nan)
    assert second.means() == pytest.approx(whole.means(), nan_ok=True)
    assert (second.first_nan, second.updates) == (whole.first_nan, 3)


def test_a_saved_state_is_a_copy():
    mean = running([[1.0], [2.0]])
    state = mean.state_dict()
    other = RunningMean(["a", "b"])
    other.load_state_dict(state)
    for one in (mean, other):
        one.update(torch.tensor([[100.0], [100.0]]))
    assert state["sums"].tolist() == [1.0, 2.0]
    assert state["counts"].tolist() == [1, 1]


def test_batches_of_other_shapes_and_types_wait_apart():
    mean = running([[1.0, 2.0], [NAN, 4.0]], [[3.0], [1.0]], skip_nan=False)
    mean.update(torch.tensor([[2**53 - 1, 1], [0, 1]]))
    assert mean.counts.tolist() == [5, 5]
    assert mean.sums.tolist()[0] == 2**53 + 6
    assert mean.first_nan == {"b": 1}


def test_nothing_waits_longer_than_it_may():
    mean = RunningMean(["a"])
    for number in range(100):
        mean.update(torch.full((1, 2), float(number)))
        assert len(mean._waiting) < 32
    assert mean.means() == {"a": 49.5}


def test_a_reset_forgets_who_waits():
    mean = running([[1.0], [2.0]])
    mean.reset()
    mean.update(torch.tensor([[3.0], [4.0]]))
    assert mean.means() == {"a": 3.0, "b": 4.0}


def test_a_state_of_other_tags_is_refused():
    with pytest.raises(ValueError, match=r"holds the tags \['a', 'b'\], expected \['a'\]"):
        RunningMean(["a"]).load_state_dict(running().state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_state_follows_the_values_to_their_device():
    mean = running([[1.0], [2.0]])
    mean.update(torch.tensor([[3.0], [4.0]], device="cuda"))
    assert mean.sums.device.type == "cuda"
    other = RunningMean(["a", "b"])
    other.load_state_dict(mean.state_dict())
    other.update(torch.tensor([[5.0], [6.0]], device="cuda"))
    assert other.means() == {"a": 3.0, "b": 4.0}
