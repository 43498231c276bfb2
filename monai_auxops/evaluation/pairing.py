"""Pair predictions with labels by file name, without guessing between candidates."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from monai_auxops.evaluation.output import is_of_evaluation

SUFFIXES: Final = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".png", ".tiff", ".tif")
# Suffixes that tools add to a case's name: nnU-Net's first channel, MONAI's SaveImage, Slicer, and common words.
ENDINGS: Final = re.compile(r"[._-](0000|seg|segmentation|pred|prediction|label|labels|mask|gt)$", re.IGNORECASE)


class CasePair(NamedTuple):
    """The two files of a case."""

    case: str
    prediction: Path
    label: Path


@dataclass
class CasePairing:
    """The pairs, and a sentence for each file or case without one."""

    pairs: list[CasePair] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def find_pairs(predictions: Path, labels: Path) -> CasePairing:
    """Pair the images of two folders, including subfolders.

    Names are compared in three steps, each for the files that are still unpaired: the path below the folder, the file
    name, and the name without suffixes of tools (``_0000``, ``_seg``, ``_pred``, ``_label`` and the like) or the name
    of a folder that contains a single file. If a step finds more than one candidate, none is taken. A name that several
    files of a folder have, or that is only a suffix of tools (``seg.nii.gz``), does not say which case a file is of.

    Raises:
        ValueError: a folder without an image.
    """
    sides = _Side(predictions), _Side(labels)
    pairing = CasePairing()
    for keys_of in (path_keys, name_keys, bare_keys):
        _take_pairs(pairing, keys_of, *sides)
    bare = {bare_name(pair.case): pair.case for pair in pairing.pairs}
    for side, kind, other in ((sides[0], "prediction", "label"), (sides[1], "label", "prediction")):
        pairing.problems += [f"{path}: {_missing_partner(path, kind, other, bare)}" for path in side.files]
    pairing.pairs.sort()
    return pairing


class _Side:
    """The files of a folder that are not paired yet."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, dict.fromkeys(image_files(folder))
        self.all_files = tuple(self.files)
        if not self.files:
            raise ValueError(f"no image in {folder}: expected files that end in {', '.join(SUFFIXES)}")
        self.in_folder = Counter(path.parent for path in self.files)

    def by_key(self, keys_of: Callable[[Path, _Side], set[str]]) -> dict[str, list[Path]]:
        """Group all files by key, including those that are paired."""
        table: dict[str, list[Path]] = defaultdict(list)
        for path in self.all_files:
            for key in keys_of(path, self):
                table[key].append(path)
        return table


def image_files(folder: Path) -> list[Path]:
    """Return all images in ``folder`` and below it, without hidden ones and pictures of an evaluation.

    Links are followed; one that leads nowhere is returned as well, so that its case is not lost.
    """
    seen = {folder.resolve()}
    return sorted(path for path in _files_below(folder, seen) if path.name.lower().endswith(SUFFIXES))


def _files_below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, each folder once, even if links make a circle."""
    for path in folder.iterdir():
        if path.name.startswith(".") or is_of_evaluation(path):
            continue
        if not path.is_dir():
            yield path
        elif path.resolve() not in seen:
            seen.add(path.resolve())
            yield from _files_below(path, seen)


def case_name(path: Path) -> str:
    """Return the name of a file without its format's extension.

    Examples:
        >>> case_name(Path("out/case.v2_0000.nii.gz"))
        'case.v2_0000'
    """
    ending = next((end for end in SUFFIXES if path.name.lower().endswith(end)), "")
    return path.name[: len(path.name) - len(ending)]


def bare_name(name: str) -> str:
    """Return a name without suffixes of tools.

    Examples:
        >>> bare_name("BraTS_001_0000_seg"), bare_name("seg")
        ('BraTS_001', 'seg')
    """
    shorter = ENDINGS.sub("", name)
    return name if shorter == name else bare_name(shorter)


def path_keys(path: Path, side: _Side) -> set[str]:
    """Identify a file by its path below the folder."""
    return {_composed(str(path.relative_to(side.folder).with_name(case_name(path))))}


def name_keys(path: Path, _: _Side) -> set[str]:
    """Identify a file by its name."""
    return _identifying(case_name(path))


def bare_keys(path: Path, side: _Side) -> set[str]:
    """Identify a file by its bare name, and by its folder's name if it is the only file there."""
    alone = path.parent != side.folder and side.in_folder[path.parent] == 1
    return _identifying(bare_name(case_name(path))) | ({_composed(path.parent.name)} if alone else set())


def _identifying(name: str) -> set[str]:
    """Return the name as a key; no key if it is only a word of tools, such as ``seg``, which every case may have."""
    return set() if ENDINGS.fullmatch(f"_{name}") else {_composed(name)}


def _composed(name: str) -> str:
    """Write an accented letter as one character, because macOS and other systems store its parts."""
    return unicodedata.normalize("NFC", name)


def _take_pairs(
    pairing: CasePairing, keys_of: Callable[[Path, _Side], set[str]], predicted: _Side, labeled: _Side
) -> None:
    """Move matching files from the two sides to ``pairing``."""
    mine_by_key, theirs_by_key = predicted.by_key(keys_of), labeled.by_key(keys_of)
    for key in sorted(mine_by_key.keys() & theirs_by_key.keys()):
        mine = [path for path in mine_by_key[key] if path in predicted.files]
        theirs = [path for path in theirs_by_key[key] if path in labeled.files]
        is_last = len(mine) == len(theirs) == 1  # of several files of this name, perhaps of two cases
        if is_last and len(mine_by_key[key]) == len(theirs_by_key[key]) == 1:
            pairing.pairs.append(CasePair(key, mine[0], theirs[0]))
        elif mine and theirs and not is_last:
            names = ", ".join(map(str, [*mine, *theirs]))
            pairing.problems.append(f"{key}: not measured, because there is more than one file for the case ({names})")
        else:
            continue
        for side, taken in ((predicted, mine), (labeled, theirs)):
            for path in taken:
                del side.files[path]


def _missing_partner(path: Path, kind: str, other: str, paired: dict[str, str]) -> str:
    twin = paired.get(bare_name(case_name(path)))
    if twin is None:
        return f"a {kind} without a {other}"
    return f"a second {kind} for the case {twin}; the one with the same name as its {other} was measured"
