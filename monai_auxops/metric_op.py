"""Any metric of MONAI or torchmetrics as an aux-op."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from monai_auxops.core.context import BuildContext
from monai_auxops.ops.base import AuxiliaryOperation
from monai_auxops.ops.naming import check_tag

if TYPE_CHECKING:
    from monai_auxops.core import ranks
    from monai_auxops.core.running import Totals

LOWER_IS_BETTER = ("Hausdorff", "SurfaceDistance", "Error", "MSE", "MAE", "RMSE", "Loss")
HIGHER_IS_BETTER = ("Dice", "IoU", "SurfaceDice", "Accuracy", "AUC", "AUROC", "SSIM", "PSNR", "F1", "Jaccard")
WITHOUT_CASES = ("AUC", "AveragePrecision", "FID", "MMD", "ConfusionMatrix", "FBeta", "PanopticQuality")
Arguments = Mapping[str, Any] | Callable[[BuildContext], Mapping[str, Any]]


class MetricOp(AuxiliaryOperation):
    """Any metric of ``monai.metrics`` or torchmetrics as an aux-op, shown in console, curves, case table and report.

    With values per case (``per_case``) the metric is called on each batch and then reset: its own buffers never
    grow, NaN means "nothing to measure" as everywhere, the mean does not depend on batch size or ranks, and the case
    table contains the values of each case. Otherwise the metric accumulates by itself, and its value is computed once
    per epoch.

    **Cost.** A metric computes as it does on its own: ``HausdorffDistanceMetric`` and ``SurfaceDiceMetric``
    copy each case to the host and take milliseconds to seconds per volume, also in training; attach them to the
    evaluator. torchmetrics with ``per_case`` is called once per case. Without ``per_case`` the buffers hold the epoch
    (``ROCAUCMetric``: all scores) and are gathered once per epoch: MONAI's by this class, torchmetrics' by themselves.

    Args:
        metric: the metric; from now on it belongs to this aux-op, which resets it.
        tag: the name of the mean over classes. The classes are ``<tag>/<class>``.
        class_names: names of the metric's columns; default their numbers. If given, the tags are known before the first
            batch.
        per_case: whether each case has values; default true for MONAI's metrics that return ``[B]`` or ``[B, C]``,
            which ``ConfusionMatrixMetric`` and others of counts do not.
        binarize: compare masks: scores become one-hot by argmax, or by ``threshold``, and index labels become one
            channel per class. Default true for metrics with ``include_background``, except those of calibration.
        threshold: a probability, for one channel and for independent predictions.
        final_activation: ``"sigmoid"`` if the network leaves out its sigmoid.
        is_independent_predictions: each channel is a class of its own.
        higher_is_better: default as the metric or its name says (a distance or an error: False), otherwise unknown.
        arguments: further arguments for each call of the metric, for example ``{"spacing": (1.0, 1.0, 2.5)}``, or a
            function of the ``BuildContext`` that returns them.
        do_summary: whether TensorBoard shows the values.
        do_print: whether the console shows the values.
        **options: for every aux-op: ``stage``, ``output_transform``, ``report_path``, ``case_key``.

    Raises:
        ValueError: not a metric, a tag that is taken, a number of ``class_names`` that does not fit.

    Examples:
        >>> from monai.metrics import HausdorffDistanceMetric
        >>> op = MetricOp(HausdorffDistanceMetric(include_background=False), "hd", class_names=["left", "right"])
        >>> label = torch.tensor([[[[0, 1, 1, 0, 2, 2]] * 2]])
        >>> scores = torch.nn.functional.one_hot(label[:, 0].roll(1, 2), 3).movedim(-1, 1).float()
        >>> _ = op(scores, label)
        >>> op.aggregate()
        {'hd': 2.5, 'hd/left': 1.0, 'hd/right': 4.0}
    """

    metric: Any = None
    tag = ""

    def __init__(
        self,
        metric: Any,
        tag: str,
        do_summary: bool = True,
        do_print: bool = True,
        *,
        class_names: Sequence[str] | None = None,
        per_case: bool | None = None,
        binarize: bool | None = None,
        threshold: float = 0.5,
        final_activation: str | None = None,
        is_independent_predictions: bool = False,
        higher_is_better: bool | None = None,
        arguments: Arguments | None = None,
        **options: Any,
    ) -> None:
        self.metric, self.tag, self.class_names = metric, check_tag(tag, self), class_names
        self.threshold, self.final_activation = threshold, final_activation
        self.is_independent_predictions, self.arguments = is_independent_predictions, arguments
        super().__init__(do_summary, do_print, **options)
        if not callable(metric) or not hasattr(metric, "reset"):
            self.fail(f"metric to be a metric of monai.metrics or torchmetrics, got {type(metric).__name__}")
        if final_activation not in (None, "sigmoid"):
            self.fail(f"final_activation to be None or 'sigmoid', got {final_activation!r}")
        if final_activation is not None and not 0 < threshold < 1:
            self.fail(f"0 < threshold < 1, a probability, with {final_activation!r}, got {threshold}")
        self.binarize = compares_masks(metric) if binarize is None else binarize
        self.per_case = is_of_monai(metric) and gives_case_values(metric) if per_case is None else per_case
        self.higher_is_better = direction_of(metric) if higher_is_better is None else higher_is_better
        names = [f"{tag}/{name}" for name in class_names or ()]
        if not self.per_case:
            self.accumulated, self._epoch_tags = (), (tag, *names)
        elif class_names is not None:
            self.accumulated = (tag, *names)

    def __repr__(self) -> str:
        """Name the metric by its class, because its own representation is an address or many lines."""
        return f"MetricOp({type(self.metric).__name__}, tag={self.tag!r})"

    __str__ = __repr__

    @property
    def epoch_tags(self) -> tuple[str, ...] | None:
        """The tags that have an epoch value; None while they are unknown."""
        return self.accumulated if self.per_case else self._epoch_tags

    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """Return ``{tag: [B], tag/<class>: [B]}`` with values per case, otherwise nothing."""
        if label is None:
            raise ValueError("expected a label, got None")
        pair = self._masks(predictions, label) if self.binarize else (predictions, label)
        arguments = self.arguments(build_ctx) if callable(self.arguments) else (self.arguments or {})
        if hasattr(self.metric, "to"):
            self.metric.to(predictions.device)
        if not self.per_case:
            self.metric(*pair, **arguments)
            return {}
        return self._by_tag(self._per_case(*pair, arguments))

    def _masks(self, predictions: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        predictions = predictions[:, None] if predictions.dim() == 1 else predictions
        channels = predictions.shape[1]
        label = label.unsqueeze(1) if label.dim() == predictions.dim() - 1 else label
        if channels > 1 and label.shape[1] == 1:
            label = one_hot(label[:, 0], channels)
        if channels > 1 and not self.is_independent_predictions:
            return one_hot(predictions.max(1).indices, channels), (label > 0.5).float()
        cut = self.threshold
        if self.final_activation == "sigmoid":
            cut = math.log(cut / (1 - cut))
        return (predictions > cut).float(), (label > 0.5).float()

    def _per_case(self, predictions: Tensor, label: Tensor, arguments: Mapping[str, Any]) -> Tensor:
        """Return the values ``[B]`` or ``[B, C]`` of the batch; the metric is empty before and after."""
        self.metric.reset()
        if is_of_monai(self.metric):
            values = self.metric(predictions, label, **arguments)
        else:
            cases = zip(predictions.split(1), label.split(1), strict=True)
            each = []
            for case in cases:
                each.append(torch.as_tensor(self.metric(*case, **arguments)).reshape(-1))
                self.metric.reset()
            values = torch.stack(each)
        self.metric.reset()
        if not isinstance(values, Tensor) or values.dim() == 0 or len(values) != len(predictions):
            came = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(f"expected a value for each of {len(predictions)} cases, got {came}; try per_case=False")
        if values.dim() > 2:  # counts, of which the metric makes its value at the end of the epoch
            raise ValueError(f"expected values [B] or [B, C], got {list(values.shape)}; pass per_case=False")
        return values

    def _by_tag(self, values: Tensor) -> dict[str, Tensor]:
        if values.dim() == 1 or (values.shape[1] == 1 and self.class_names is None):
            return {self.tag: values.reshape(len(values))}
        names = self.class_names or [str(i) for i in range(values.shape[1])]
        if len(names) != values.shape[1]:
            raise ValueError(f"expected {values.shape[1]} class_names, one for each column, got {list(names)}")
        columns = {f"{self.tag}/{name}": column for name, column in zip(names, values.unbind(1), strict=True)}
        return {self.tag: values.nanmean(1)} | columns

    def epoch_values(self, totals: Totals, gather: ranks.Gather) -> dict[str, float]:
        """Return the means over cases; without values per case, the metric's value of the whole epoch."""
        if self.per_case:
            return super().epoch_values(totals, gather)
        value = self._of_monai(gather) if is_of_monai(self.metric) else self.metric.compute()
        values = {self.tag: math.nan} if value is None else self._flat(value, self.tag)
        missing = dict.fromkeys(self._epoch_tags, math.nan)
        self._epoch_tags = tuple((missing | values).keys())
        return missing | values

    def _of_monai(self, gather: ranks.Gather) -> Any:
        """Compute the metric from the buffers of all ranks: one gather, even if a rank had no batch."""
        buffers = self.metric._buffers
        mine = None if buffers is None else [torch.stack(list(kept)).cpu() for kept in buffers]
        parts = [part for part in gather(mine) if part is not None]
        if not parts:
            return None
        self.metric._synced_tensors = [torch.cat(columns) for columns in zip(*parts, strict=True)]
        self.metric._synced = True
        return self.metric.aggregate()

    def _flat(self, value: Any, tag: str) -> dict[str, float]:
        """Return the value by tag: one number, a number per class, a dict of them, or several values of MONAI."""
        if isinstance(value, Mapping):
            return {f"{tag}/{name}": float(each) for name, each in value.items()}
        if isinstance(value, list):
            return self._flat(value[0], tag) if len(value) == 1 else self._several(value, tag)
        if isinstance(value, tuple):  # with the number of valid cases (get_not_nans)
            value = value[0]
        numbers = torch.as_tensor(value, dtype=torch.float64).reshape(-1)
        if len(numbers) == 1:
            return {tag: float(numbers)}
        names = self.class_names or [str(i) for i in range(len(numbers))]
        return {tag: float(numbers.nanmean())} | {
            f"{tag}/{name}": number for name, number in zip(names, numbers.tolist(), strict=True)
        }

    def _several(self, values: Sequence[Any], tag: str) -> dict[str, float]:
        """Return the values of a metric with several names, as ``ConfusionMatrixMetric``; the tag has the first one."""
        found: dict[str, float] = {}
        for name, value in zip(self.metric.metric_name, values, strict=True):
            found |= self._flat(value, f"{tag}/{name}")
        return {tag: next(iter(found.values()))} | found

    def reset(self) -> None:
        """Start a new epoch."""
        super().reset()
        self.metric.reset()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this process on the CPU; without values per case it includes the metric's own state."""
        state = super().state_dict()
        return state if self.per_case else state | {"metric": on_cpu(getattr(self.metric, self._kept_in))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue an epoch that was saved before its end."""
        super().load_state_dict(state)
        if self._kept_in == "_buffers":
            self.metric._buffers = state.get("metric")
        else:
            for name, value in (state.get("metric") or {}).items():
                setattr(self.metric, name, value)

    @property
    def _kept_in(self) -> str:
        return "_buffers" if is_of_monai(self.metric) else "metric_state"


def on_cpu(state: Any) -> Any:
    """Copy tensors in lists and dicts to the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, Mapping):
        return {name: on_cpu(value) for name, value in state.items()}
    return [on_cpu(value) for value in state] if isinstance(state, list | tuple) else state


def one_hot(index: Tensor, classes: int) -> Tensor:
    """Return a channel per class ``[B, C, *S]`` from indices ``[B, *S]``; an index that is not a class is in none."""
    numbers = torch.arange(classes, device=index.device).reshape(1, -1, *(1,) * (index.dim() - 1))
    return (index.unsqueeze(1) == numbers).float()


def is_of_monai(metric: Any) -> bool:
    """Tell whether a metric is one of MONAI's, which return a batch's values when called.

    Examples:
        >>> from monai.metrics import DiceMetric
        >>> is_of_monai(DiceMetric())
        True
    """
    from monai.metrics import CumulativeIterationMetric

    return isinstance(metric, CumulativeIterationMetric)


def compares_masks(metric: Any) -> bool:
    """Tell whether a metric compares masks; those of calibration need the probabilities."""
    return hasattr(metric, "include_background") and "Calibration" not in type(metric).__name__


def gives_case_values(metric: Any) -> bool:
    """Tell whether a metric of MONAI returns a value per case; those of all samples at once, or of counts, do not."""
    return not any(word in type(metric).__name__ for word in WITHOUT_CASES)


def direction_of(metric: Any) -> bool | None:
    """Tell whether more is better, as the metric or its name says; None if neither does.

    Examples:
        >>> from monai.metrics import HausdorffDistanceMetric, SurfaceDiceMetric, SurfaceDistanceMetric
        >>> direction_of(HausdorffDistanceMetric()), direction_of(SurfaceDistanceMetric())
        (False, False)
        >>> direction_of(SurfaceDiceMetric([1.0]))
        True
    """
    said = getattr(metric, "higher_is_better", None)
    name = type(metric).__name__
    if said is not None:
        return bool(said)
    if any(word in name for word in LOWER_IS_BETTER):
        return False
    return True if any(word in name for word in HIGHER_IS_BETTER) else None
