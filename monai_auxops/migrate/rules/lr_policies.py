"""Learning-rate policies: a PyTorch scheduler, stepped by a handler."""

from __future__ import annotations

from typing import Final

from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.base import Caveat, Param, Rule, Section, T
from monai_auxops.migrate.rules.kinds import integer, number
from monai_auxops.migrate.rules.values import A

_OPTIMIZER = Expr("@optimizer")
_EPOCHS = Expr("@epochs")
_SCHEDULER = Expr("@lr_scheduler")
_BY_EPOCH = T("LrScheduleHandler", slot="train_handlers", lr_scheduler=_SCHEDULER, print_lr=True)
_KEY_METRIC = Expr("$lambda engine: engine.state.metrics[engine.state.key_metric_name]")

LR_POLICIES: Final = (
    Rule(
        name="DecayOnStep",
        section=Section.LR_POLICY,
        params=(Param("decay_ratio", kind=number), Param("decay_freq", kind=integer)),
        targets=(
            T(
                "torch.optim.lr_scheduler.StepLR",
                optimizer=_OPTIMIZER,
                step_size=A("decay_freq"),
                gamma=A("decay_ratio"),
            ),
            T(
                "LrScheduleHandler",
                slot="train_handlers",
                lr_scheduler=_SCHEDULER,
                print_lr=False,
                epoch_level=False,
            ),
        ),
        outcome=Outcome.EXACT,
        why="Stepped after each iteration, as Clara counted.",
        clara="Multiplies the rate by decay_ratio every decay_freq training steps.",
    ),
    Rule(
        name="ReducePoly",
        section=Section.LR_POLICY,
        params=(Param("poly_power", 0.9, number),),
        targets=(
            T(
                "torch.optim.lr_scheduler.PolynomialLR",
                optimizer=_OPTIMIZER,
                total_iters=_EPOCHS,
                power=A("poly_power"),
            ),
            _BY_EPOCH,
        ),
        outcome=Outcome.EQUIVALENT,
        why="The formula is inferred from the name and its inputs: rate x (1 - epoch / epochs) ^ poly_power.",
        clara="Polynomial decay over all epochs.",
        also=("ReduceLRPoly",),
    ),
    Rule(
        name="ReduceCosine",
        section=Section.LR_POLICY,
        params=(Param("rate", 0.5, number, note="read as half a cosine over all epochs, which is what 0.5 gives"),),
        targets=(T("torch.optim.lr_scheduler.CosineAnnealingLR", optimizer=_OPTIMIZER, T_max=_EPOCHS), _BY_EPOCH),
        outcome=Outcome.EQUIVALENT,
        why="Half a cosine over all epochs.",
        clara="Cosine decay over all epochs.",
        caveats=(
            Caveat(
                lambda rate: rate != 0.5,
                "the effect of a rate other than 0.5 is not documented; the bundle uses 0.5",
                Outcome.APPROXIMATE,
            ),
        ),
    ),
    Rule(
        name="ReduceOnPlateau",
        section=Section.LR_POLICY,
        params=(Param("plateau_count_trigger", kind=integer), Param("reduction_rate", kind=number)),
        targets=(
            T(
                "torch.optim.lr_scheduler.ReduceLROnPlateau",
                optimizer=_OPTIMIZER,
                mode="max",
                factor=A("reduction_rate"),
                patience=A("plateau_count_trigger", lambda count: max(count - 1, 0)),
            ),
            T("LrScheduleHandler", slot="val_handlers", lr_scheduler=_SCHEDULER, step_transform=_KEY_METRIC),
        ),
        outcome=Outcome.APPROXIMATE,
        why="Stepped by the validation's key metric; PyTorch asks for an improvement of 0.01 percent, Clara for any.",
        clara="Multiplies the rate after a number of validations without improvement.",
    ),
)
