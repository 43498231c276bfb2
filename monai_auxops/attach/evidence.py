"""What a bundle tells about how it measures, what the user answers, and what follows from both."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from monai_auxops.attach.chain import read_steps
from monai_auxops.attach.losses import LossFacts, read_loss
from monai_auxops.attach.meanings import Meaning, keys_of, overlap_of, read_meanings
from monai_auxops.attach.network import Output, read_channels, stacks_outputs
from monai_auxops.attach.postprocessing import PostProcessing, onehot_preprocessing, read_postprocessing

if TYPE_CHECKING:
    from monai_auxops.attach.engines import EngineItem
    from monai_auxops.attach.runs import BundleRun


@dataclass(frozen=True)
class Answers:
    """What the user tells if a bundle does not; None means derive it."""

    activation: str | None = None
    threshold: float | None = None
    channels: str | None = None
    labels: str | None = None
    background: str | None = None
    stage: str | None = None
    class_names: tuple[str, ...] | None = None
    output_transform: str | int | None = None


@dataclass(frozen=True)
class Evidence:
    """What the bundle tells, read once for an engine.

    Args:
        engine: the engine.
        post: its post-processing.
        loss: of the trainer.
        meanings: of its metrics.
        output: what metadata.json tells.
        channels: the number of channels of the network, or None.
        where: the source of that number.
        keys: of the prediction and the label that its metrics read.
        onehot_before: the preprocessing that makes its labels one-hot, or nothing.
        stacked: whether the network stacks its outputs along a second axis (deep supervision).
    """

    engine: EngineItem
    post: PostProcessing
    loss: LossFacts
    meanings: tuple[Meaning, ...]
    output: Output
    channels: int | None
    where: str
    keys: tuple[str, str] = ("pred", "label")
    onehot_before: str = ""
    stacked: bool = False

    @property
    def single(self) -> bool:
        """Whether the network has one channel."""
        return (self.channels or self.output.channels) == 1

    @property
    def overlap(self) -> Meaning | None:
        """The bundle's own Dice or IoU of the whole prediction."""
        return overlap_of(one for one in self.meanings if one.keys in ((), self.keys))


@dataclass(frozen=True)
class Measure:
    """How predictions and labels are compared.

    Args:
        exclusive: whether the classes exclude each other.
        activation: what the network left out, for thresholded channels.
        threshold: of probabilities, or of raw values without an activation.
        onehot: whether labels have a channel for each class.
        onehot_before: the same, before post-processing.
        skip_background: whether class 0 is left out.
        jaccard: IoU instead of Dice.
        empty_value: of a class that is absent; None if it does not count.
        stage: before or after post-processing.
        inverted: whether post-processing goes back to the original grid.
        names: of all channels, or None.
        channels: their number, or None.
        why: a line for each derivation.
        source: ``"the training"`` or ``"the validation"``, of which this is the measure.
    """

    exclusive: bool
    activation: str | None = None
    threshold: float = 0.5
    onehot: bool = False
    onehot_before: bool = False
    skip_background: bool = False
    jaccard: bool = False
    empty_value: float | None = None
    stage: str = "raw"
    inverted: bool = False
    names: tuple[str, ...] | None = None
    channels: int | None = None
    why: tuple[str, ...] = field(default=())
    source: str = ""

    @property
    def counted_names(self) -> tuple[str, ...]:
        """The names of the classes that count."""
        names = self.names or ()
        return names[1:] if self.skip_background else names


def with_reason(measure: Measure, line: str) -> Measure:
    """Return a measure with one more line that says why."""
    return replace(measure, why=(*measure.why, line))


def read_evidence(
    run: BundleRun, engine: EngineItem, trainer: EngineItem | None, output: Output, chosen: str | int | None
) -> Evidence:
    """Read everything that a bundle tells about how an engine measures the network's output ``chosen``."""
    config = run.config
    channels, where = read_channels(config, engine)
    meanings = tuple(read_meanings(config, engine))
    others = (one for other in run.engines for one in read_meanings(config, other))  # read only if need be
    steps = list(read_steps(config, f"{engine.item_id}::postprocessing"))
    keys = keys_of(meanings, others, steps, chosen)
    return Evidence(
        engine,
        read_postprocessing(steps, keys),
        read_loss(config, trainer),
        meanings,
        output,
        channels,
        where,
        keys,
        onehot_preprocessing(config, engine),
        stacks_outputs(config, engine),
    )
