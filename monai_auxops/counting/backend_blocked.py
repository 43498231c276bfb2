"""Count on the CPU in plain torch, in blocks that stay in its cache.

What makes it fast, each found by measurement (``benchmarks/``):

- The first maximum over channels is a max pool with one tap per channel. Laid over the memory of a whole sample, the
  taps are a channel stride apart, so nothing is copied and the class comes out with the maximum: half the time of
  ``amax``, compare, ``amax``, and a tenth of ``max(dim=1)``.
- A comparison that writes float32 is three times faster than one that writes bool, so masks are floats, of one class
  at a time; a block has fewer than 2^24 voxels, so float32 sums of them are exact.
- Label class and predicted class form one key, and one small ``bincount`` of keys gives all counts.
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
from collections.abc import Iterator

import torch
from torch import Tensor

from monai_auxops.counting import backend_vectorized as vectorized
from monai_auxops.counting.counts import Counts, Membership, counts_of_sums

__all__ = ["count", "flattened", "table"]

CPU = torch.device("cpu")  # regardless of torch.set_default_device
BLOCK = 131_072  # voxels, or logits if those are copied: a few such float32 buffers fit an L2 cache
MAX_SMALL_SAMPLE = 4_096  # voxels in a sample below which the calls for one sample cost more than its voxels
TILE = 128  # most voxels the pool handles at a time: their running maxima and indices stay in the L1 cache

_max_pool = torch.ops.aten.max_pool2d_with_indices.out


def count(x: Tensor, y: Tensor, membership: Membership) -> Counts:
    """Count ``x`` ``[B, C, *S]`` against ``y`` ``[B, C or 1, *S]``."""
    if _is_small(x):
        return Counts._make(map(torch.cat, zip(*_by_samples(x, y, membership), strict=True)))
    if membership.exclusive and not membership.onehot:
        return vectorized.counts_of_joint(_joint(x, y)[:, 1:-1])
    return _mask_sums(x, y, membership)


def table(x: Tensor, y: Tensor) -> Tensor:
    """Count by label class and predicted class, ``[B, C, C]``."""
    return vectorized.table(x, y) if _is_small(x) else _joint(x, y)[:, 1:-1, :-1]


def _is_small(x: Tensor) -> bool:
    """Tell if samples have too few voxels for a loop over them, or more classes than a float32 key can tell apart."""
    classes = x.shape[1]
    return math.prod(x.shape[2:]) <= max(MAX_SMALL_SAMPLE, 16 * classes) or classes > 2048


def _by_samples(x: Tensor, y: Tensor, membership: Membership) -> Iterator[Counts]:
    """Count as many samples at a time as a block holds."""
    step = max(1, BLOCK // max(1, math.prod(x.shape[1:])))
    for b in range(0, max(1, x.shape[0]), step):
        yield vectorized.count(x[b : b + step], y[b : b + step], membership)


class _Scratch(threading.local):
    """Buffers that a thread keeps, a few MB: page faults of fresh ones cost as much as the arithmetic."""

    def __init__(self) -> None:
        self.buffers: dict[tuple[str, torch.dtype], Tensor] = {}

    def get_empty(self, name: str, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return an empty tensor that keeps its memory, for ``out=`` or ``resize_``."""
        if (name, dtype) not in self.buffers:
            with torch.inference_mode(False):  # a tensor made in that mode could not be written outside it
                self.buffers[name, dtype] = torch.empty(0, dtype=dtype, device=CPU)
        return self.buffers[name, dtype].resize_(0)


_scratch = _Scratch()


def _joint(x: Tensor, y: Tensor) -> Tensor:
    """Count by label class plus 1 (0 and C + 1: none) and predicted class (C: none), ``[B, C + 2, C + 1]``."""
    batch, classes = x.shape[:2]
    size = (classes + 2) * (classes + 1)
    joint = torch.zeros(batch, size, dtype=torch.int64, device=CPU)
    for b, scores, label in _blocks(x, y, exclusive=True):
        code = _first_maximum(scores).add_(_label_code(label[0], classes), alpha=classes + 1)
        code.add_(classes + 1.5)  # label -1 becomes row 0, and the conversion to integers rounds
        key = _scratch.get_empty("key", torch.int16 if size < 2**15 else torch.int32).resize_(code.shape)
        joint[b] += torch.bincount(key.copy_(code), minlength=size)
    return joint.view(batch, classes + 2, classes + 1)


def _mask_sums(x: Tensor, y: Tensor, membership: Membership) -> Counts:
    """Count classes that may overlap, one class at a time, so that its masks stay in the cache."""
    batch, classes = x.shape[:2]
    totals = torch.zeros(batch, 4 * classes, dtype=torch.float64, device=CPU)
    for b, scores, label in _blocks(x, y, membership.exclusive):
        totals[b] += torch.stack([*_class_sums(scores, label, membership)])
    return counts_of_sums(*totals.long().view(batch, classes, 4).unbind(2))


def _class_sums(scores: Tensor, label: Tensor, membership: Membership) -> Iterator[Tensor]:
    """Yield four scalars per class: voxels in both, in the prediction, in the label, and all with a label.

    They are sums of masks, which are 1.0 in the class's voxels and 0.0 elsewhere.
    """
    classes = scores.shape[0]
    code = _first_maximum(scores).round_() if membership.exclusive else None
    mark, inside = None, None
    valid = torch.tensor(float(scores.shape[1]), dtype=torch.float32, device=CPU)
    has_gaps = membership.onehot and label.dtype.is_signed and not label.amin() >= 0  # negative or NaN: no annotation
    first = max(classes, 2) - classes  # with one channel, index 0 is a class as well: the background
    if not membership.onehot:
        mark = _label_code(label[0], classes + first)
        inside = torch.ge(mark, 0, out=_scratch.get_empty("inside"))
        inside.mul_(torch.lt(mark, classes + first, out=_scratch.get_empty("t")))
        valid = inside.sum()
    for c in range(classes):
        p = _exceeds(scores[c], membership.threshold, "p") if code is None else _equals(code, c, "p")
        t = _exceeds(label[c], 0.5, "t") if mark is None else _equals(mark, c + first, "t")
        if has_gaps:
            inside = torch.ge(label[c], 0, out=_scratch.get_empty("inside"))
            valid = inside.sum()
        if inside is not None:
            p.mul_(inside)
        yield from (torch.dot(p, t), p.sum(), t.sum(), valid)


def _blocks(x: Tensor, y: Tensor, exclusive: bool) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Cut samples into ``[C, n]`` and ``[1 or C, n]``, limited by voxels for views and by logits for copies."""
    x, y = flattened(x, y)
    tile = _tile(x.shape[2]) if x.ndim == 3 and x.stride(2) == 1 else 0
    in_place = tile > 0 if exclusive else x.ndim == 3
    size = BLOCK if exclusive else 4 * BLOCK  # masks need few buffers
    voxels = size if in_place else max(1, size // x.shape[1])
    if tile:
        voxels = max(1, voxels // tile) * tile
    for b, area in itertools.product(range(x.shape[0]), itertools.product(*_slices(x.shape[2:], voxels))):
        here = (slice(None), *area)
        yield b, x[b][here].flatten(1), y[b][here].flatten(1)


def flattened(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Merge the spatial dimensions if that copies nothing; otherwise put them in the predictions' memory order."""
    order = sorted(range(2, x.ndim), key=x.stride, reverse=True)
    x, y = x.permute(0, 1, *order), y.permute(0, 1, *order)
    try:
        return x.view(*x.shape[:2], math.prod(x.shape[2:])), y.view(*y.shape[:2], math.prod(x.shape[2:]))
    except RuntimeError:  # there is no other way to ask
        return x, y


def _slices(shape: tuple[int, ...], voxels: int) -> Iterator[list[slice]]:
    """Yield slices per dimension that select at most ``voxels`` elements, whole inner dimensions first."""
    for d, size in enumerate(shape):
        step = min(size, max(1, voxels // math.prod(shape[d + 1 :])))
        yield [slice(i, min(i + step, size)) for i in range(0, size, step)]


@functools.cache
def _tile(n: int) -> int:
    """Return the largest divisor of ``n`` up to ``TILE`` that is worth a pass of the pool, 0 if there is none."""
    return next((k for k in range(TILE, 31, -1) if n % k == 0), 0)


def _first_maximum(scores: Tensor) -> Tensor:
    """Return the class of the first maximum of ``[C, n]`` as unrounded float32 ``[n]``; ``C`` where a score is NaN."""
    classes, n = scores.shape
    step, tile = scores.stride(0), _tile(math.gcd(n, scores.stride(0)))
    if not tile or step < n or scores.stride(1) != 1:
        scores = _scratch.get_empty("scores", scores.dtype).resize_(scores.shape).copy_(scores)
        step = tile = n
    apart, width = step // tile, n // tile
    length = (classes - 1) * apart + width
    memory = scores.as_strided((1, tile, 1, length), (length * tile, 1, length * tile, tile))
    out = _scratch.get_empty("best", scores.dtype), _scratch.get_empty("index", torch.int64)
    best, index = _max_pool(memory, (1, classes), (1, 1), (0, 0), (1, apart), out=out[0], indices=out[1])
    code = _scratch.get_empty("code").resize_(width, tile).copy_(index[0, :, 0].T)
    if apart > 1:
        code.sub_(torch.arange(width, device=CPU).unsqueeze(1)).mul_(1 / apart)
    if best.amax().isnan():
        code.masked_fill_(best[0, :, 0].T.isnan(), classes)
    return code.flatten()


def _label_code(label: Tensor, classes: int) -> Tensor:
    """Return the label's class as float32, -1 or ``classes`` where the label is not a class."""
    if label.dtype == torch.float64:
        label = label.masked_fill(label != label.trunc(), -1)  # float32 would round the fraction away
    code = _scratch.get_empty("label").resize_(label.shape).copy_(label).clamp_(-1, classes)
    if label.is_floating_point() and torch.frac(code, out=_scratch.get_empty("frac")).abs_().amax() != 0:
        code.masked_fill_(code != code.floor(), -1)  # a fraction or NaN
    return code


def _equals(code: Tensor, c: int, name: str) -> Tensor:
    """Return the mask of the voxels of class ``c``."""
    return torch.eq(code, c, out=_scratch.get_empty(name))


def _exceeds(t: Tensor, threshold: float, name: str) -> Tensor:
    """Return ``t > threshold``, compared in float32 or float64, because half precision would round the threshold."""
    mask = _scratch.get_empty(name)
    if t.dtype in (torch.float32, torch.float64):
        return torch.gt(t, threshold, out=mask)
    return mask.resize_(t.shape).copy_(t).gt_(threshold)
