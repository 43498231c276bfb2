"""The negative loss."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.core.inputs import loss_values
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from monai_auxops.core.context import BuildContext
    from monai_auxops.core.ranks import Gather
    from monai_auxops.core.running import Totals
    from monai_auxops.ops.options import OpOptions


class NegLoss(AuxiliaryOperation):
    """Minus the loss of the batch: larger is better, so it can be the key metric.

    In a trainer it is the training loss. An evaluator and a plain loop have none: pass ``loss_function``, which is
    called once per batch on predictions and label, in float32. A NaN loss is not skipped: the epoch becomes NaN, and a
    warning names the first iteration in which it happened.

    Args:
        tag: name of the value, a scalar weighted by the size of its batch.
        do_summary: whether TensorBoard shows the value.
        do_print: whether the console shows the value.
        loss_function: ``loss_function(predictions, label)``, used if the context has no loss.
        **options: for every aux-op, see ``AuxiliaryOperation``.

    Raises:
        ValueError: no loss and no ``loss_function``.

    Examples:
        >>> negloss = NegLoss("negloss", loss_function=torch.nn.MSELoss())
        >>> _ = negloss(torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [2.0]]))
        >>> negloss.aggregate()
        {'negloss': -0.5}

    Source: Clara Train 3.1, ``ai4med.components.aux_ops.NegLoss``.
    """

    skip_nan = False
    higher_is_better = True

    def __init__(
        self,
        tag: str,
        do_summary: bool = True,
        do_print: bool = True,
        *,
        loss_function: Callable[[Tensor, Tensor | None], Tensor] | None = None,
        **options: Unpack[OpOptions],
    ) -> None:
        self.tag, self.loss_function = check_tag(tag, self), loss_function
        super().__init__(do_summary, do_print, **options)
        self.accumulated = (tag,)

    @property
    def reads_loss_alone(self) -> bool:
        """Whether an engine's output without predictions is enough, as a detection engine's is."""
        return self.loss_function is None

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """Return ``{tag: scalar}``."""
        loss = build_ctx.get("_loss")
        if loss is None and self.loss_function is not None:
            function = self.loss_function
            loss = build_ctx.once(("loss", id(function)), lambda: function(in_float32(predictions), label))
        if loss is None:
            raise ValueError(
                "expected a loss, got none from the engine; an evaluator has none (pass loss_function=), and an "
                "adversarial trainer has several (pass an output_transform= that returns one as 'loss')"
            )
        return {self.tag: -loss_values(loss, predictions.device).mean()}

    def epoch_values(self, totals: Totals, gather: Gather) -> dict[str, float]:
        """Return the mean; warn about NaN with the first iteration that had it on this process."""
        first = {} if self.running is None else self.running.first_nan
        if first:
            warnings.warn(
                f"{self!r}: the loss has been NaN since iteration {first[self.tag]} of the epoch", stacklevel=2
            )
        return super().epoch_values(totals, gather)


def in_float32(predictions: Tensor) -> Tensor:
    """Convert half precision to float32, so that an evaluator's loss does not overflow."""
    return predictions.float() if predictions.dtype in (torch.float16, torch.bfloat16) else predictions
