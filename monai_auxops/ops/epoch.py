"""What an aux-op keeps over an epoch: sums of its values, the report of its cases, and a state to resume from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from monai_auxops.cases.report import CaseReport, is_per_case
from monai_auxops.core.accumulator import Accumulator, Phase, is_per_sample
from monai_auxops.core.agreement import note_tags, settle_tags, signature
from monai_auxops.core.inputs import naming_errors
from monai_auxops.core.ranks import Gather, Ranks, world_size
from monai_auxops.core.running import RunningMean, Totals
from monai_auxops.ops.naming import Named

if TYPE_CHECKING:
    from monai_auxops.core.context import BuildContext


class EpochState(Named):
    """The half of an aux-op that lasts for an epoch; ``AuxiliaryOperation`` adds what happens in one batch.

    It adds up the outputs of each batch, reduces the sums over ranks, and saves and restores them. The hub of an engine
    calls ``epoch_started``, ``accumulate``, ``epoch_values`` and ``epoch_completed``; a plain loop ``aggregate`` and
    ``reset``.
    """

    accumulated: tuple[str, ...] | None = None  # the tags with an epoch value; None: determined by the first batch
    sum_tags: tuple[str, ...] = ()  # names of the rows of ``sums``
    unsettled = False  # whether a batch determined the tags; another rank may not have seen one
    skip_nan = True
    cause_of_nothing = ""  # a hint on user errors, for an epoch without a value
    group: Any = None  # the process group whose ranks share the values; None: all ranks
    _accumulator: Accumulator | None = None
    _report: CaseReport | None = None

    @property
    def accumulator(self) -> Accumulator | None:
        """The sums over the epoch; None while the tags of an undeclared op are unknown."""
        if self._accumulator is None and self.accumulated is not None:
            self._accumulator = Accumulator(self.accumulated, self.skip_nan, self.sum_tags)
        return self._accumulator

    @property
    def running(self) -> RunningMean | None:
        """The running means of the epoch; None while the tags of an undeclared op are unknown."""
        return None if self.accumulator is None else self.accumulator.mean

    @property
    def states(self) -> list[RunningMean]:
        """Everything that is summed over the epoch and over ranks."""
        return [] if self.accumulator is None else self.accumulator.states

    @property
    def resumed(self) -> bool:
        """Whether a saved epoch continues, so that its next start does not reset it."""
        return self.accumulator is not None and self.accumulator.phase is Phase.RESUMED

    @property
    def definition(self) -> str:
        """The options that the values depend on; a saved epoch can continue only with the same ones."""
        return ""

    @property
    def epoch_tags(self) -> tuple[str, ...] | None:
        """The tags that have an epoch value; None while they are unknown."""
        return self.accumulated

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

    def sums(self, build_ctx: BuildContext) -> Tensor:
        """Return integers of one batch to sum over the epoch, ``[n, B]``: a row for each of ``sum_tags``."""
        raise NotImplementedError

    def case_values(self, outputs: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
        """Return the outputs that have a value per case, ``[B]`` by tag, without values of the whole batch.

        For an op with ``report_path`` but no epoch value these are the columns of its outputs ``[B, n]``.
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

        In a distributed run it is the value over all ranks, so each of them has to call it. It fails at once if a rank
        calls something else, and after the process group's timeout if a rank does not call it.

        Args:
            sync: False returns the value over the batches of this process only.
            group: the ``torch.distributed`` process group of these ranks; default the attribute ``group``, or all ranks
                if that is None.

        Raises:
            ValueError: the ranks have different aux-ops, or call this in a different order.
            RuntimeError: a rank does not call it.
        """
        ranks = Ranks.alone() if not sync else Ranks.of(self.group if group is None else group)
        purpose = f"aggregate() of {signature(self)}"
        with ranks.meeting(purpose, note_tags([self])) as notes:
            settle_tags([self], notes)
            flat = ranks.total([state.packed() for state in self.states], purpose)
            self.warn_without_writer(ranks)
            return self.epoch_values(Totals.of(self.states, flat), ranks.gather)

    def get_buffer(self) -> Tensor:
        """Return an empty tensor ``[0, 1]``, which MONAI's ``IgniteMetricHandler`` keeps as details.

        An aux-op keeps sums, not the value of each image; ``report_path=`` writes those to a file.
        """
        return torch.empty(0, 1, device="cpu")

    def epoch_started(self, anew: bool = False) -> None:
        """Reset, unless the epoch continues after ``load_state_dict``; ``anew``: it restarts with its first samples."""
        if anew or not self.resumed:
            self.reset()
        elif self.accumulator is not None:
            self.accumulator.phase = Phase.OPEN

    def epoch_values(self, totals: Totals, gather: Gather) -> dict[str, float]:
        """Return the epoch's values by tag; ``gather`` collects a value of every rank if sums are not enough."""
        measured = self.accumulator is not None and self.accumulator.phase is not Phase.CLOSED
        if measured and self.accumulated and not any(totals.counts[tag] for tag in self.accumulated):
            self.warn_once(f"nothing to measure in a whole epoch, so its values are NaN{self.cause_of_nothing}")
        for about, message in self.contradictions(totals) if measured and self.sum_tags else ():
            self.warn_once(message, about)
        if self._report is not None:
            self._report.write(gather)
        return self.values_of(totals)

    def warn_without_writer(self, ranks: Ranks) -> None:
        """Warn once, on the first of ``ranks``, if none of them is rank 0, which writes the report."""
        if self._report is not None and ranks.is_first and world_size() > 1 and 0 not in ranks.members:
            group = ", ".join(map(str, ranks.members))
            self.warn_once(
                f"only rank 0 writes the report of report_path=, and the group= of rank {group} does not include it, "
                "so there is none",
                about="report",
            )

    def values_of(self, totals: Totals) -> dict[str, float]:
        """Return the values by tag, from sums and counts: the means, unless overridden."""
        means = totals.means()
        return {tag: means[tag] for tag in self.accumulated or ()}

    def contradictions(self, totals: Totals) -> Iterator[tuple[str, str]]:
        """Yield contradictions between the epoch's data and the options: a key, and a message with the remedy."""
        yield from ()

    def epoch_completed(self) -> None:
        """Close the epoch, so that a state saved from now on belongs to no open epoch."""
        if self.accumulator is not None:
            self.accumulator.phase = Phase.CLOSED

    def reset(self) -> None:
        """Start a new epoch."""
        if self.accumulator is not None:
            self.accumulator.reset()
        if self._report is not None:
            self._report.reset()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this process, small and on the CPU; no collective, safe to call on a single rank.

        With ``report_path`` it includes the cases of the epoch so far.
        """
        state = {"open": False, "states": []} if self.accumulator is None else self.accumulator.state_dict()
        state |= {"definition": self.definition}
        return state if self._report is None else state | {"report": self._report.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue an epoch that was saved before its end: the next reset at an epoch's start is skipped."""
        if self.accumulated is None and state["states"]:
            self.accumulated = tuple(state["states"][0]["tags"])
        self.reset()
        if state["open"] and state.get("definition", self.definition) != self.definition:
            self.fail(f"a state measured with {self.definition}, got one measured with {state['definition']}")
        if self.accumulator is not None:
            with naming_errors(self):
                self.accumulator.load_state_dict(state)
        if self._report is not None and "report" in state:
            self._report.load_state_dict(state["report"], bool(state["open"]))
