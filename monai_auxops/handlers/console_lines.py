"""The text of the console's lines: columns that fit, their header, and numbers of equal width."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from monai_auxops.drawing.names import display_width, families

WIDTH = 7  # characters of a number such as -0.1234
BEST = "  best"
MORE = "  +99 more"
GROUPS = ("train", "val")


class LineLayout:
    """The columns of a training's lines; a new value adds one."""

    def __init__(self) -> None:
        self._known: list[str] = []
        self._columns: list[str] = []

    def header(self, names: Iterable[str], room: int, key: str | None = None) -> list[str]:
        """Add the columns that are new, and return the lines of the new header; none if all are known."""
        new = [name for name in dict.fromkeys(names) if name not in self._known]
        if not new:
            return []
        self._known = in_group_order([*self._known, *new])
        self._columns = fitting_columns(self._known, room, key=key)
        return header_lines(self._columns, left_out=len(self._known) - len(self._columns))

    def row(self, epoch: str, values: Mapping[str, float]) -> str:
        """Return the line of one epoch."""
        return row_text(epoch, self._columns, values)


def in_group_order(names: Sequence[str]) -> list[str]:
    """Sort losses first, then training, validation and other names, keeping their order within each."""
    order = {"": 2, "train": 0, "val": 1}
    return sorted(names, key=lambda name: -1 if name.partition("/")[0] == "loss" else order[group_of(name)])


def running_text(means: Mapping[str, float], room: int) -> str:
    """Format as many running means as fit into ``room`` characters, those of single classes last.

    Examples:
        >>> running_text({"loss": 0.5, "train_dice/gray": 0.25, "train_dice": 0.75}, 30)
        'loss 0.500  train_dice 0.750'
    """
    ranked = sorted(means, key=lambda name: "/" in name)
    texts = [f"{name} {means[name]:.3f}" for name in ranked]
    ends = itertools.accumulate(len(text) + 2 for text in texts)
    return "  ".join(text for text, end in zip(texts, ends, strict=True) if end <= room + 2)


def name_in_group(name: str) -> str:
    """Return a column's name without its group: ``dice`` for ``train_dice``, which is shown below ``train``."""
    group, _, rest = name.partition("_")
    return rest if rest and group in GROUPS else name


def column_width(name: str) -> int:
    """Return the width of a column, with the space before it."""
    return 2 + max(display_width(name_in_group(name)), WIDTH - 1)


def fitting_columns(columns: Sequence[str], room: int, key: str | None = None) -> list[str]:
    """Return the columns that fit into ``room`` characters, besides the epoch and the mark of the best.

    The ``key`` metric and the loss come first, then values that are not of a single class; classes of training last.

    Examples:
        >>> fitting_columns(["loss", "train_dice", "train_dice/gray", "val_dice"], 40, key="val_dice")
        ['loss', 'train_dice', 'val_dice']
        >>> fitting_columns(["train_dice", "train_dice/gray", "val_dice", "val_dice/gray"], 45, key="val_dice")
        ['train_dice', 'val_dice', 'val_dice/gray']
    """
    means = {member for group in GROUPS for member in mean_columns(columns, group)}
    whole = means | {name for name in columns if not group_of(name)}

    def rank(name: str) -> tuple[bool, ...]:
        return (name != key, name != "loss", name not in whole, name not in whole and group_of(name) == "train")

    ranked = sorted(columns, key=rank)
    ends = list(itertools.accumulate(map(column_width, ranked), initial=5))[1:]
    all_fit = not ends or ends[-1] + len(BEST) <= room
    beside = len(BEST if all_fit else MORE)
    fits = {name for name, end in zip(ranked, ends, strict=True) if end + beside <= room}
    return [name for name in columns if name in fits]


def mean_columns(columns: Sequence[str], group: str) -> list[str]:
    """Return the columns of a group that are not of a single class."""
    rests = {name_in_group(name): name for name in columns if group_of(name) == group}
    return [rests[members[""]] for members in families(rests).values() if "" in members]


def header_lines(columns: Sequence[str], left_out: int = 0) -> list[str]:
    """Return the lines above the numbers: the groups, if there are any, and the names.

    Examples:
        >>> print(*header_lines(["loss", "train_dice", "train_dice_gray", "val_dice"], left_out=2), sep="\\n")
                       ──────train──────  ─val──
        epoch    loss    dice  dice_gray    dice  +2 more
    """
    more = f"  +{left_out} more" if left_out else ""
    names = "epoch" + "".join(map(right_aligned, columns)) + more
    groups = [(group, sum(map(column_width, members))) for group, members in itertools.groupby(columns, group_of)]
    over = "".join(f"  {group:─^{size - 2}}" if group else " " * size for group, size in groups)
    return [f"     {over}", names] if over.strip() else [names]


def right_aligned(name: str) -> str:
    """Return the head of a column, aligned with its numbers.

    Examples:
        >>> right_aligned("train_loss"), right_aligned("dice/腫瘍")
        ('    loss', '  dice/腫瘍')
    """
    shown = name_in_group(name)
    return " " * (column_width(name) - display_width(shown)) + shown


def group_of(name: str) -> str:
    """Return ``train`` or ``val`` if the name starts with it."""
    return name.partition("_")[0] if name_in_group(name) != name else ""


def row_text(epoch: str, columns: Sequence[str], values: Mapping[str, float]) -> str:
    """Format the numbers of one epoch, with blanks for missing ones."""
    texts = {name: number_text(value) for name, value in values.items()}
    return f"{epoch:>5}" + "".join(f"{texts.get(name, ''):>{column_width(name)}}" for name in columns)


def number_text(value: float) -> str:
    """Format a number in at most seven characters.

    Examples:
        >>> number_text(0.5), number_text(-0.12345), number_text(12.0), number_text(123456.789), number_text(math.nan)
        ('0.5000', '-0.1235', '12', '1.2e+05', 'nan')
    """
    if math.isfinite(value) and value.is_integer() and 1 < abs(value) < 10**WIDTH:
        return f"{value:.0f}"
    text = f"{value:.4f}"
    if len(text) <= WIDTH:
        return text
    return f"{value:.5g}" if abs(value) < 10_000 else f"{value:.2g}"
