import math

import pytest
import torch
from ignite.engine import Engine
from monai.engines import AdversarialTrainer
from monai.losses import DiceCELoss

from monai_auxops import BuildContext, ComputeDice, NegLoss


def losses(op, batches):
    """Feed ``(loss, batch size)`` pairs as a trainer would."""
    for loss, size in batches:
        op(torch.zeros(size, 1), None, loss=torch.as_tensor(loss))
    return op


def test_minus_the_loss_of_the_batch():
    out = NegLoss("negloss")(torch.zeros(2, 1), None, loss=torch.tensor(0.25))
    assert out["negloss"].shape == ()
    assert out["negloss"].item() == -0.25


def test_a_batch_weighs_as_its_samples():
    op = losses(NegLoss("negloss"), [(1.0, 3), (4.0, 1)])
    assert op.aggregate() == {"negloss": -(3 * 1.0 + 1 * 4.0) / 4}


@pytest.mark.parametrize("loss", [torch.tensor([1.0, 3.0]), torch.tensor([[1.0], [3.0]]), 2, 2.0], ids=str)
def test_a_loss_per_sample_is_averaged_and_a_number_taken(loss):
    ctx = BuildContext(torch.zeros(2, 1), loss=loss)
    assert NegLoss("negloss")(ctx.predictions, None, build_ctx=ctx)["negloss"].item() == -2.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_dtypes(dtype):
    out = NegLoss("negloss")(torch.zeros(1, 1), None, loss=torch.tensor(0.5, dtype=dtype, requires_grad=True))
    assert out["negloss"].item() == -0.5
    assert not out["negloss"].requires_grad


def test_loss_function_of_predictions_and_label():
    function = DiceCELoss(softmax=True, to_onehot_y=True)
    predictions, label = torch.randn(3, 2, 8, 8), torch.randint(0, 2, (3, 1, 8, 8))
    op = NegLoss("negloss", loss_function=function)
    assert op([predictions, predictions[..., ::2]], label)["negloss"].item() == -function(predictions, label).item()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_loss_function_sees_half_precision_as_float32(dtype):
    op = NegLoss("negloss", loss_function=torch.nn.MSELoss(reduction="sum"))
    out = op(torch.full((1, 100), 100.0, dtype=dtype), torch.zeros(1, 100))
    assert out["negloss"].item() == -1e6  # overflows float16


def test_loss_function_is_called_once_per_batch_of_all_that_share_it():
    calls = []

    def function(predictions, label):
        calls.append(label)
        return (predictions - label).abs().mean()

    ctx = BuildContext(torch.ones(2, 1), torch.zeros(2, 1))
    for op in (NegLoss("a", loss_function=function), NegLoss("b", loss_function=function)):
        op(ctx.predictions, ctx.label, build_ctx=ctx)
    assert len(calls) == 1
    assert ctx.get("a").item() == ctx.get("b").item() == -1.0


def test_the_training_loss_wins_over_the_loss_function():
    op = NegLoss("negloss", loss_function=torch.nn.MSELoss())
    assert op(torch.ones(2, 1), torch.zeros(2, 1), loss=torch.tensor(7.0))["negloss"].item() == -7.0


def test_nan_makes_the_epoch_nan_and_warns_with_the_iteration():
    op = losses(NegLoss("negloss"), [(1.0, 2), (2.0, 2), (math.nan, 2), (1.0, 1), (math.nan, 2)])
    with pytest.warns(UserWarning, match=r"NegLoss\(tag='negloss'\).*has been NaN since iteration 3") as caught:
        assert math.isnan(op.aggregate()["negloss"])
    assert len(caught) == 1
    op.reset()
    assert losses(op, [(1.0, 2)]).aggregate() == {"negloss": -1.0}


@pytest.mark.parametrize("loss", [math.inf, -math.inf])
def test_inf_stays_inf(loss):
    assert losses(NegLoss("negloss"), [(1.0, 2), (loss, 2)]).aggregate() == {"negloss": -loss}


def test_an_epoch_without_a_batch_is_nan():
    assert math.isnan(NegLoss("negloss").aggregate()["negloss"])


def test_no_loss_is_refused():
    with pytest.raises(ValueError, match=r"NegLoss\(tag='negloss'\): expected a loss, got none.*loss_function="):
        NegLoss("negloss")(torch.zeros(2, 1), torch.zeros(2, 1))


def adversarial_trainer():
    """Return a trainer whose output holds three losses and no ``loss``."""
    image = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    networks = torch.nn.Conv2d(1, 1, 1), torch.nn.Conv2d(1, 1, 4)
    generator, discriminator = (torch.optim.SGD(network.parameters(), 0.0) for network in networks)
    return AdversarialTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[{"image": image, "label": image}],
        g_network=networks[0],
        g_optimizer=generator,
        g_loss_function=lambda logits: logits.mean(),
        recon_loss_function=torch.nn.L1Loss(),
        d_network=networks[1],
        d_optimizer=discriminator,
        d_loss_function=lambda real, fake: (fake - real).mean(),
    )


def test_one_of_several_losses_of_an_adversarial_trainer():
    trainer = adversarial_trainer()
    NegLoss("negloss", output_transform=lambda out: out | {"loss": out["reconstruction_loss"]}).attach(trainer)
    trainer.run()
    assert trainer.state.metrics["negloss"] == -trainer.state.output["reconstruction_loss"].item()


def test_an_adversarial_trainer_has_no_single_loss():
    trainer = adversarial_trainer()
    NegLoss("negloss").attach(trainer)
    with pytest.raises(ValueError, match=r"expected a loss.*adversarial.*output_transform="):
        trainer.run()


def test_two_losses_are_refused():
    ctx = BuildContext(torch.zeros(2, 1), loss=torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"NegLoss\(tag='negloss'\).*build_ctx, got loss="):
        NegLoss("negloss")(ctx.predictions, None, loss=torch.tensor(2.0), build_ctx=ctx)


@pytest.mark.parametrize("tag", ["", "loss", "_loss", None], ids=repr)
def test_tags_that_cannot_be(tag):
    with pytest.raises(ValueError, match=r"NegLoss\(.*expected a tag.*got"):
        NegLoss(tag)


@pytest.mark.parametrize("decollated", [False, True])
@pytest.mark.parametrize("image", [torch.zeros(2, 1, 4), None])
def test_an_engine_without_predictions_has_a_loss_all_the_same(decollated, image):
    """As detection engines: image, label and loss, and no ``pred``."""
    output = {"label": [{}], "loss": torch.tensor(0.5)} | ({} if image is None else {"image": image})

    def step(engine, batch):
        return [dict(output)] if decollated else dict(output)

    engine = Engine(step)
    NegLoss("negloss").attach(engine, "train_negloss")
    engine.run([0, 1], max_epochs=1)
    assert engine.state.metrics["train_negloss"] == -0.5


def test_an_op_that_needs_predictions_does_not_read_the_image_instead():
    engine = Engine(lambda engine, batch: {"image": torch.rand(2, 2, 4), "label": torch.ones(2, 1, 4), "loss": 0.5})
    NegLoss("negloss").attach(engine)
    ComputeDice("dice").attach(engine)
    with pytest.raises(ValueError, match=r"ComputeDice\(tag='dice'\): expected the engine's output to be a dict with"):
        engine.run([0], max_epochs=1)


@pytest.mark.parametrize("output", [{"loss": {"seg": 1.0}}, {"pred": torch.zeros(2, 1), "label": None, "loss": "high"}])
def test_a_loss_that_is_no_number_is_an_error_that_names_the_op(output):
    engine = Engine(lambda *_: output)
    NegLoss("negloss").attach(engine, "negloss")
    with pytest.raises(ValueError, match=r"NegLoss\(tag=.negloss.\): expected the loss to be a number"):
        engine.run([0])


def test_losses_of_samples_alone_count_as_samples():
    losses_of = iter([torch.tensor([1.0, 3.0]), torch.tensor([5.0])])
    engine = Engine(lambda *_: {"loss": next(losses_of)})
    NegLoss("negloss").attach(engine, "negloss")
    engine.run([0, 1])
    assert engine.state.metrics["negloss"] == -3.0
