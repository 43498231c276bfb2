"""The base class: an aux-op is a metric that returns ``{tag: value}`` for one batch."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

from monai.metrics import Metric
from torch import Tensor

from monai_auxops.cases.report import CaseReport
from monai_auxops.core.context import BuildContext, refuse_capture, undisturbed
from monai_auxops.core.inputs import batches_of, naming_errors, plain_tensor
from monai_auxops.core.running import Totals
from monai_auxops.drawing.plots import Bounds, draw_bars
from monai_auxops.engine.events import is_key
from monai_auxops.engine.hub import attach, detach
from monai_auxops.engine.outputs import split_output
from monai_auxops.ops.checks import check_inputs, concatenate_outputs
from monai_auxops.ops.epoch import EpochState
from monai_auxops.ops.naming import Named, check_tag
from monai_auxops.ops.options import OP_OPTIONS, OpOptions, refuse_unknown

if TYPE_CHECKING:
    from ignite.engine import Engine
    from typing_extensions import Unpack

    from monai_auxops.core.group import Formula
    from monai_auxops.engine.attachment import Attachment, OutputTransform


class GraphComponent(Named, Metric):  # type: ignore[misc]  # MONAI is not typed
    """Clara's name for an object that is built from a ``BuildContext``."""

    @abstractmethod
    def build(self, build_ctx: BuildContext) -> dict[str, Tensor]:
        """Run on the values in the context."""


class AuxiliaryOperation(EpochState, GraphComponent):
    """Base class of all aux-ops. A subclass only has to implement ``get_output_tensors``.

    One object is used in one of three ways: in a plain loop (call, ``aggregate``, ``reset``), in a metric slot
    of a MONAI engine, or attached to any Ignite engine with ``attach``. Values of shape ``()``, ``[1]`` or ``[B]``
    accumulate to a mean over samples; NaN is skipped. Other outputs are only available to later aux-ops.

    Args:
        do_summary: whether ``AuxTensorBoardStatsHandler`` shows the values.
        do_print: whether ``AuxStatsHandler`` shows the values.
        **options: options of every aux-op, see ``OpOptions``: ``stage``, ``output_transform``, ``report_path``,
            ``case_key``.

    Raises:
        TypeError: an unknown option.

    Examples:
        >>> import torch
        >>> class Foreground(AuxiliaryOperation):
        ...     def get_output_tensors(self, predictions, label, build_ctx):
        ...         return {"foreground": (label > 0).flatten(1).float().mean(1)}
        >>> op = Foreground()
        >>> _ = op(torch.zeros(2, 1, 4), torch.tensor([[[0, 0, 1, 1]], [[0, 0, 0, 0]]]))
        >>> op.aggregate()
        {'foreground': 0.25}

    Source: Clara Train 3.1, ``ai4med.components.aux_ops``.
    """

    keywords = OP_OPTIONS
    without_batch_axis: tuple[str, ...] = ()  # tags whose first axis is not the batch, whatever its length
    do_summary = do_print = True
    stage = "raw"
    output_transform: OutputTransform | str | int | None = None
    report_path: Any = None
    case_key: str | None = None
    higher_is_better: bool | None = None  # None: neither
    bounds: Bounds = (None, None)  # bounds of a value; None: unbounded on that side
    _attachment: Attachment | None = None

    def __init__(self, do_summary: bool = True, do_print: bool = True, **options: Unpack[OpOptions]) -> None:
        self.do_summary, self.do_print = do_summary, do_print
        for name, default in self.keywords.items():  # stored as attributes, for repr and for reading them back
            setattr(self, name, options.get(name, default))
        refuse_unknown(self, options, self.keywords)
        if self.stage not in ("raw", "post"):
            self.fail(f"stage to be 'raw' or 'post', got {self.stage!r}")
        for name, default in self._arguments():  # the string "false" from a JSON file would be true
            if isinstance(default, bool) and getattr(self, name, default) not in (True, False):
                self.fail(f"{name} to be True or False, got {getattr(self, name)!r}")
        with naming_errors(self):
            self._report = None if self.report_path is None else CaseReport(self, self.report_path, self.case_key)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.build is not AuxiliaryOperation.build:
            raise TypeError(f"{cls.__name__} overrides build(); an aux-op implements get_output_tensors() instead")

    @abstractmethod
    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """Compute the values of one batch.

        Args:
            predictions: raw network output ``[B, C, *S]``.
            label: the batch's label, or None.
            build_ctx: outputs of earlier aux-ops, the loss, and more.

        Returns:
            One tensor per tag.
        """

    @final
    def build(self, build_ctx: BuildContext) -> dict[str, Tensor]:
        """Run on one batch and store each output in the context by its tag. Errors name this aux-op."""
        try:
            batch = build_ctx.get("_model_output"), build_ctx.get("_label_input"), build_ctx
            outputs = self.get_output_tensors(*batch)
            if isinstance(outputs, dict) and any(build_ctx.holds(tag) for tag in outputs) and self.qualify():
                outputs = self.get_output_tensors(*batch)  # with longer names, because another op uses these
            return self._publish(outputs, build_ctx)
        except ValueError as error:
            raise ValueError(f"{self!r}: {error}") from error
        except Exception as error:
            raise RuntimeError(f"{self!r} failed: {type(error).__name__}: {error}") from error

    def _publish(self, outputs: dict[str, Tensor], build_ctx: BuildContext) -> dict[str, Tensor]:
        if not isinstance(outputs, dict) or not all(isinstance(value, Tensor) for value in outputs.values()):
            raise ValueError(f"expected get_output_tensors to return a dict of tensors, got {outputs!r}")
        detached = {check_tag(tag): plain_tensor(value) for tag, value in outputs.items()}
        for tag, value in detached.items():
            if build_ctx.get(tag) is not None and self.stage != "read":
                raise ValueError(f"the tag {tag!r} was already written in this iteration; rename one of them")
            build_ctx.set(tag, value)
        return detached

    def formula(self, build_ctx: BuildContext) -> Formula | None:
        """Return how the values follow from shared counts; None if they need more, so that the op runs in full."""
        return None

    def __call__(
        self,
        y_pred: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
        y: Tensor | Sequence[Tensor] | None = None,
        *,
        loss: Tensor | None = None,
        build_ctx: BuildContext | None = None,
    ) -> dict[str, Tensor]:
        """Measure one batch and add it to the epoch, in a plain loop.

        Args:
            y_pred: predictions ``[B, C, *S]``, a list of outputs of which the first is used, or a list of samples.
            y: the label, or a list with one for each sample.
            loss: the batch's loss, for ``NegLoss``.
            build_ctx: a context made from the same tensors, to share counts and values with other aux-ops.
        """
        parts = split_output((y_pred, y), self.output_transform, self)
        predictions, label = parts["pred"], parts.get("label")
        if build_ctx is not None:
            if loss is not None:
                self.fail("the loss in build_ctx, got loss= as well")
            check_inputs(self, build_ctx)
            with naming_errors(self):
                build_ctx.require(predictions, label)
            return self.measure(build_ctx)
        with naming_errors(self):
            batches = batches_of(predictions, label)
        results = [self.measure(BuildContext(*batch, loss=loss)) for batch in batches]
        return {tag: concatenate_outputs([outputs[tag] for outputs in results]) for tag in results[0]}

    def measure(self, build_ctx: BuildContext) -> dict[str, Tensor]:
        """Run on one batch and add it to the epoch; every way to use an aux-op ends here."""
        check_inputs(self, build_ctx)
        refuse_capture(build_ctx.predictions.device)
        with undisturbed(build_ctx.predictions.device):
            outputs = self.build(build_ctx)
            self.accumulate(outputs, build_ctx)
        return outputs

    def plot(self, ax: Any = None) -> Any:
        """Draw this process' values so far, or of the epoch that just ended, as bars; return matplotlib axes.

        Args:
            ax: axes to draw in; default new axes in a new figure, which a notebook shows.
        """
        values = self.values_of(Totals.of(self.states))
        if not values:
            self.fail("an epoch value to plot and at least one measured batch")
        return draw_bars({tag: x for tag, x in values.items() if not tag.startswith("support/")}, self.bounds, ax)

    def qualify(self) -> bool:
        """Give outputs longer names, because another op of the engine uses theirs; False if that is impossible."""
        return False

    def attach(
        self,
        engine: Engine,
        name: str | None = None,
        *,
        output_transform: OutputTransform | None = None,
        group: Any = None,
    ) -> None:
        """Run in every iteration of ``engine`` and write the epoch values to ``engine.state.metrics``.

        Args:
            engine: a MONAI workflow or any Ignite engine.
            name: the metric name of the first accumulated tag; by default tags keep their own names.
            output_transform: maps ``engine.state.output`` to a dict with ``pred`` and ``label`` (and ``loss``) or to
                ``(y_pred, y[, loss])``; needed if the output is neither. Default: the option of that name.
            group: the ``torch.distributed`` process group whose ranks run this engine; default the attribute
                ``group``, or all ranks if that is None.

        Raises:
            ValueError: already attached, a metric name that is taken, or a key metric without an epoch value.
        """
        if self._attachment is not None:
            raise ValueError(f"{self!r} is already attached; each engine needs its own aux-op object")
        if self.epoch_tags == () and is_key(engine, name):
            raise ValueError(f"{self!r} has no epoch value and cannot be the key metric {name!r}")
        transform = self.output_transform if output_transform is None else output_transform
        self.group = self.group if group is None else group
        self._attachment = attach(self, engine, name, transform)
        if self._report is not None:
            self._report.watch(engine)

    def detach(self) -> None:
        """Undo ``attach``: the engine runs as without this aux-op. Values written so far are kept."""
        if self._attachment is not None:
            detach(self._attachment)
            self._attachment = None
            if self._report is not None:
                self._report.unwatch()

    def __getstate__(self) -> tuple[dict[str, Any], bool]:
        """Leave out state that belongs to an engine or to this process."""
        own = {key: value for key, value in self.__dict__.items() if key not in ("_attachment", "group")}
        return own, self._attachment is not None

    def __setstate__(self, saved: tuple[dict[str, Any], bool]) -> None:
        """Restore a copy; a copy of an attached aux-op is not attached."""
        own, was_attached = saved
        self.__dict__.update(own)
        if was_attached:
            self.reset()

    def __copy__(self) -> Any:
        """Copy deeply, because two aux-ops must not share their sums."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy everything except the process group, which is shared."""
        other = memo[id(self)] = type(self).__new__(type(self))
        other.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        other.group = self.group
        return other
