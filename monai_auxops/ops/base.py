"""The one base class: an aux-op is a metric that returns ``{tag: value}`` for one batch."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import torch
from ignite.engine import Engine
from monai.metrics import Metric
from torch import Tensor

from monai_auxops.cases.report import CaseReport, is_per_case
from monai_auxops.core.accumulator import Accumulator, Phase, is_per_sample
from monai_auxops.core.agreement import note_tags, settle_tags, signature
from monai_auxops.core.context import BuildContext, undisturbed
from monai_auxops.core.inputs import batches_of, plain
from monai_auxops.core.plan import Formula
from monai_auxops.core.ranks import Gather, Ranks
from monai_auxops.core.running import RunningMean, Totals
from monai_auxops.drawing.plots import Bounds, draw_bars
from monai_auxops.engine.attachment import Attachment, OutputTransform
from monai_auxops.engine.events import is_key
from monai_auxops.engine.hub import attach, detach
from monai_auxops.engine.outputs import pick
from monai_auxops.ops.checks import check_inputs, joined, naming_errors
from monai_auxops.ops.naming import Named, check_tag
from monai_auxops.ops.options import OP_OPTIONS, OpOptions, refuse_unknown

if TYPE_CHECKING:
    from typing_extensions import Unpack


class GraphComponent(Named, Metric):  # type: ignore[misc]  # MONAI is not typed
    """Clara's name for what is built from a ``BuildContext``."""

    @abstractmethod
    def build(self, build_ctx: BuildContext) -> dict[str, Tensor]:
        """Run on what the context offers."""


class AuxiliaryOperation(GraphComponent):
    """Base of all aux-ops. A new one writes ``get_output_tensors`` and nothing else.

    One object is used in one of three ways: in a plain loop (call, ``aggregate``, ``reset``), in a metric slot
    of a MONAI engine, or attached to any Ignite engine with ``attach``. Values of shape ``()``, ``[1]`` or ``[B]``
    accumulate to a mean over samples; NaN is skipped. Other outputs only stand in the context for later aux-ops.

    Args:
        do_summary: whether ``AuxTensorBoardStatsHandler`` shows the values.
        do_print: whether ``AuxStatsHandler`` shows the values.
        **options: for every aux-op, see ``OpOptions``: ``stage``, ``output_transform``,
            ``report_path``, ``case_key``.

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
    accumulated: tuple[str, ...] | None = None  # the tags with an epoch value; None: decided at the first batch
    sum_tags: tuple[str, ...] = ()  # names of what ``sums`` adds up
    without_batch_axis: tuple[str, ...] = ()  # tags whose first axis is no batch, whatever its length
    unsettled = False  # whether the tags were decided by a batch, which another rank may not have seen
    skip_nan = True
    do_summary = do_print = True
    stage = "raw"
    output_transform: OutputTransform | str | int | None = None
    report_path: Any = None
    case_key: str | None = None
    higher_is_better: bool | None = None  # None: neither
    bounds: Bounds = (None, None)  # of a value; None: no bound on that side
    cause_of_nothing = ""  # what else a user may have done, where an epoch has no value
    group: Any = None  # the process group whose ranks share the values; None: all ranks
    _accumulator: Accumulator | None = None
    _report: CaseReport | None = None
    _attachment: Attachment | None = None

    def __init__(self, do_summary: bool = True, do_print: bool = True, **options: Unpack[OpOptions]) -> None:
        self.do_summary, self.do_print = do_summary, do_print
        for name, default in self.keywords.items():  # kept under their names, for repr and whoever reads them back
            setattr(self, name, options.get(name, default))
        refuse_unknown(self, options, self.keywords)
        if self.stage not in ("raw", "post"):
            self.fail(f"stage to be 'raw' or 'post', got {self.stage!r}")
        for name, default in self._arguments():  # JSON's "false" is true
            if isinstance(default, bool) and getattr(self, name, default) not in (True, False):
                self.fail(f"{name} to be True or False, got {getattr(self, name)!r}")
        with naming_errors(self):
            self._report = None if self.report_path is None else CaseReport(self, self.report_path, self.case_key)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.build is not AuxiliaryOperation.build:
            raise TypeError(f"{cls.__name__} overrides build(); an aux-op writes get_output_tensors() instead")

    @abstractmethod
    def get_output_tensors(
        self, predictions: Tensor, label: Tensor | None, build_ctx: BuildContext
    ) -> dict[str, Tensor]:
        """The values of one batch.

        Args:
            predictions: raw network output ``[B, C, *S]``.
            label: the batch's label, or None.
            build_ctx: what earlier aux-ops left, the loss, and more.

        Returns:
            One tensor per tag.
        """

    @final
    def build(self, build_ctx: BuildContext) -> dict[str, Tensor]:
        """Run on one batch and leave each output in the context under its tag. An error names this aux-op."""
        try:
            batch = build_ctx.get("_model_output"), build_ctx.get("_label_input"), build_ctx
            outputs = self.get_output_tensors(*batch)
            if isinstance(outputs, dict) and any(build_ctx.holds(tag) for tag in outputs) and self.qualify():
                outputs = self.get_output_tensors(*batch)  # under longer names: another op has these
            return self._left(outputs, build_ctx)
        except ValueError as error:
            raise ValueError(f"{self!r}: {error}") from error
        except Exception as error:
            raise RuntimeError(f"{self!r} failed: {type(error).__name__}: {error}") from error

    def _left(self, outputs: dict[str, Tensor], build_ctx: BuildContext) -> dict[str, Tensor]:
        if not isinstance(outputs, dict) or not all(isinstance(value, Tensor) for value in outputs.values()):
            raise ValueError(f"expected get_output_tensors to return a dict of tensors, got {outputs!r}")
        detached = {check_tag(tag): plain(value) for tag, value in outputs.items()}
        for tag, value in detached.items():
            if build_ctx.get(tag) is not None and self.stage != "read":
                raise ValueError(
                    f"the tag {tag!r} was already written in this iteration; give one of them another name"
                )
            build_ctx.set(tag, value)
        return detached

    def accumulate(self, outputs: dict[str, Tensor], build_ctx: BuildContext) -> None:
        """Add the outputs of one batch to the running means."""
        size = build_ctx.batch_size
        if self.accumulated is None:
            self.accumulated, self.unsettled = self._with_epoch_value(outputs, size), True
        accumulator = self.accumulator
        if accumulator is not None:
            with naming_errors(self):
                accumulator.add(outputs, size)
            if self.sum_tags:
                accumulator.add_sums(self.sums(build_ctx))
        if self._report is not None and self._report.engine is None:
            self._report.add(self.case_values(outputs, size), build_ctx)

    def _with_epoch_value(self, outputs: dict[str, Tensor], size: int) -> tuple[str, ...]:
        tags = tuple(tag for tag, value in outputs.items() if is_per_sample(value, size))
        if not tags and outputs:
            shapes = {tag: list(value.shape) for tag, value in outputs.items()}
            self.warn_once(f"no output has an epoch value: expected one of shape (), [1] or [{size}], got {shapes}")
        return tags

    def formula(self, build_ctx: BuildContext) -> Formula | None:
        """Say how the values follow from shared counts; None if they need more, and the op takes the ordinary way."""
        return None

    def sums(self, build_ctx: BuildContext) -> Tensor:
        """Integers of one batch to add up over the epoch, ``[n, B]``: a row for each of ``sum_tags``."""
        raise NotImplementedError

    @property
    def accumulator(self) -> Accumulator | None:
        """What is added up over the epoch; None while the tags of an undeclared op are unknown."""
        if self._accumulator is None and self.accumulated is not None:
            self._accumulator = Accumulator(self.accumulated, self.skip_nan, self.sum_tags)
        return self._accumulator

    @property
    def running(self) -> RunningMean | None:
        """The means of the epoch so far; None while the tags of an undeclared op are unknown."""
        return None if self.accumulator is None else self.accumulator.mean

    @property
    def states(self) -> list[RunningMean]:
        """All that is summed over the epoch and over ranks."""
        return [] if self.accumulator is None else self.accumulator.states

    @property
    def resumed(self) -> bool:
        """Whether a saved epoch continues, so that its next start does not reset it."""
        return self.accumulator is not None and self.accumulator.phase is Phase.RESUMED

    def __call__(
        self,
        y_pred: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
        y: Tensor | Sequence[Tensor] | None = None,
        *,
        loss: Tensor | None = None,
        build_ctx: BuildContext | None = None,
    ) -> dict[str, Tensor]:
        """Measure one batch and add it to the epoch: the plain loop.

        Args:
            y_pred: predictions ``[B, C, *S]``, a list of outputs of which the first counts, or a list of samples.
            y: the label, or a list with one for each sample.
            loss: the batch's loss, for ``NegLoss``.
            build_ctx: made from the same tensors, to share counts and intermediate values with other aux-ops.
        """
        parts = pick((y_pred, y), self.output_transform, self)
        predictions, label = parts["pred"], parts.get("label")
        if build_ctx is not None:
            if loss is not None:
                self.fail("the loss inside build_ctx, got loss= beside it")
            check_inputs(self, build_ctx)
            with naming_errors(self):
                build_ctx.require(predictions, label)
            return self.measure(build_ctx)
        with naming_errors(self):
            batches = batches_of(predictions, label)
        every = [self.measure(BuildContext(*batch, loss=loss)) for batch in batches]
        return {tag: joined([outputs[tag] for outputs in every]) for tag in every[0]}

    def measure(self, build_ctx: BuildContext) -> dict[str, Tensor]:
        """Run on one batch and add it to the epoch: the one step of every way to use an aux-op."""
        check_inputs(self, build_ctx)
        with undisturbed(build_ctx.predictions.device):
            outputs = self.build(build_ctx)
            self.accumulate(outputs, build_ctx)
        return outputs

    def case_values(self, outputs: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
        """What each case has of a batch's outputs, ``[B]`` by tag; not what is one value for the whole batch.

        An op without an epoch value that has ``report_path`` shows the columns of its outputs ``[B, n]`` instead.
        """
        tags = self.accumulated or ()
        found = {tag: value for tag, value in outputs.items() if tag in tags and is_per_case(value, size)}
        if not tags and self._report is not None:
            for tag, value in outputs.items():
                if value.dim() == 2 and len(value) == size:
                    found |= {f"{tag}/{i}": column for i, column in enumerate(value.unbind(1))}
        return {tag: value.reshape(size) for tag, value in found.items()}

    def aggregate(self, sync: bool = True, group: Any = None) -> dict[str, float]:
        """Return the epoch value of each accumulated tag; NaN where nothing was valid.

        In a distributed run it is the value over all ranks, so each of them has to call it. A rank that calls something
        else is an error at once; a rank that does not come is an error after the process group's timeout.

        Args:
            sync: False returns the value over the batches of this process alone.
            group: the ``torch.distributed`` process group whose ranks are meant; default the attribute ``group``, and
                all ranks where that is None.

        Raises:
            ValueError: the ranks have different aux-ops, or call this in another order.
            RuntimeError: a rank does not come.
        """
        ranks = Ranks.alone() if not sync else Ranks.of(self.group if group is None else group)
        purpose = f"aggregate() of {signature(self)}"
        with ranks.meeting(purpose, note_tags([self])) as notes:
            settle_tags([self], notes)
            flat = ranks.total([state.packed() for state in self.states], purpose)
            return self.epoch_values(Totals.of(self.states, flat), ranks.gather)

    def get_buffer(self) -> Tensor:
        """Return an empty tensor ``[0, 1]``, which MONAI's ``IgniteMetricHandler`` keeps as details.

        An aux-op adds up and keeps no value of each image; ``report_path=`` writes them to a file.
        """
        return torch.empty(0, 1, device="cpu")

    def plot(self, ax: Any = None) -> Any:
        """Bars of this process' values so far, or of the epoch that just ended; returns matplotlib axes.

        Args:
            ax: draw here; default axes in a figure of their own, which a notebook shows.
        """
        values = self.values_of(Totals.of(self.states))
        if not values:
            self.fail("an aux-op with an epoch value to plot, and a batch measured")
        return draw_bars({tag: x for tag, x in values.items() if not tag.startswith("support/")}, self.bounds, ax)

    def reset(self) -> None:
        """Start a new epoch."""
        if self.accumulator is not None:
            self.accumulator.reset()
        if self._report is not None:
            self._report.reset()

    @property
    def definition(self) -> str:
        """What the values depend on: an epoch that was saved with another one cannot continue."""
        return ""

    def qualify(self) -> bool:
        """Give outputs a longer name because another op of the engine has theirs; False if this cannot be done."""
        return False

    @property
    def epoch_tags(self) -> tuple[str, ...] | None:
        """The tags that have an epoch value; None while they are unknown."""
        return self.accumulated

    def epoch_started(self, anew: bool = False) -> None:
        """Reset, unless the epoch goes on after ``load_state_dict``; ``anew``: its first samples come again."""
        if anew or not self.resumed:
            self.reset()
        elif self.accumulator is not None:
            self.accumulator.phase = Phase.OPEN

    def values_of(self, totals: Totals) -> dict[str, float]:
        """The values by tag, from sums and counts: the means, unless the op knows better."""
        means = totals.means()
        return {tag: means[tag] for tag in self.accumulated or ()}

    def contradictions(self, totals: Totals) -> Iterator[tuple[str, str]]:
        """What the epoch's data cannot be as the options say: a key, and a sentence that says how to mend it."""
        yield from ()

    def epoch_values(self, totals: Totals, gather: Gather) -> dict[str, float]:
        """The epoch's values by tag. ``gather`` brings a value of every rank, for what needs more than sums."""
        measured = self.accumulator is not None and self.accumulator.phase is not Phase.CLOSED
        if measured and self.accumulated and not any(totals.counts[tag] for tag in self.accumulated):
            self.warn_once(f"nothing to measure in a whole epoch, so its values are NaN{self.cause_of_nothing}")
        for about, message in self.contradictions(totals) if measured and self.sum_tags else ():
            self.warn_once(message, about)
        if self._report is not None:
            self._report.write(gather)
        return self.values_of(totals)

    def epoch_completed(self) -> None:
        """The epoch's values were taken: a state saved from now on belongs to no open epoch."""
        if self.accumulator is not None:
            self.accumulator.phase = Phase.CLOSED

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
            name: the metric name of the first accumulated tag; default the tags' own names.
            output_transform: from ``engine.state.output`` to a dict with ``pred`` and ``label`` (and ``loss``) or to
                ``(y_pred, y[, loss])``; needed where the output is neither. Default: the option of that name.
            group: the ``torch.distributed`` process group whose ranks run this engine; default the attribute
                ``group``, and all ranks where that is None.

        Raises:
            ValueError: attached already, a metric name twice, or a key metric without an epoch value.
        """
        if self._attachment is not None:
            raise ValueError(f"{self!r} is attached already; an engine needs an aux-op object of its own")
        if self.epoch_tags == () and is_key(engine, name):
            raise ValueError(f"{self!r} has no epoch value and cannot be the key metric {name!r}")
        transform = self.output_transform if output_transform is None else output_transform
        self.group = self.group if group is None else group
        self._attachment = attach(self, engine, name, transform)
        if self._report is not None:
            self._report.watch(engine)

    def detach(self) -> None:
        """Undo ``attach``: the engine runs as it would without this aux-op. Values written so far stay."""
        if self._attachment is not None:
            detach(self._attachment)
            self._attachment = None
            if self._report is not None:
                self._report.unwatch()

    def __getstate__(self) -> tuple[dict[str, Any], bool]:
        """Leave out what belongs to an engine or to this process."""
        own = {key: value for key, value in self.__dict__.items() if key not in ("_attachment", "group")}
        return own, self._attachment is not None

    def __setstate__(self, saved: tuple[dict[str, Any], bool]) -> None:
        """Become a copy: of an attached aux-op a fresh one that is not attached."""
        own, was_attached = saved
        self.__dict__.update(own)
        if was_attached:
            self.reset()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy everything but the process group, which both share."""
        other = memo[id(self)] = type(self).__new__(type(self))
        other.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        other.group = self.group
        return other

    def state_dict(self) -> dict[str, Any]:
        """The state of this process, small and on the CPU; no collective, safe on one rank alone.

        With ``report_path`` it holds the cases of the epoch so far as well.
        """
        state = {"open": False, "states": []} if self.accumulator is None else self.accumulator.state_dict()
        state |= {"definition": self.definition}
        return state if self._report is None else state | {"report": self._report.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue an epoch that was saved in its middle: the next reset at an epoch's start is skipped."""
        if self.accumulated is None and state["states"]:
            self.accumulated = tuple(state["states"][0]["tags"])
        self.reset()
        if state["open"] and state.get("definition", self.definition) != self.definition:
            self.fail(f"a state measured as {self.definition}, got one measured as {state['definition']}")
        if self.accumulator is not None:
            with naming_errors(self):
                self.accumulator.load_state_dict(state)
        if self._report is not None and "report" in state:
            self._report.load_state_dict(state["report"], bool(state["open"]))
