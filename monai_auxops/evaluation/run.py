"""Measure all cases, in this process or in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from monai_auxops.evaluation.measure import Measured, Settings, measure

if TYPE_CHECKING:
    from monai_auxops.evaluation.pairing import CasePair

INTERRUPTED = "not measured: interrupted"


def measure_all(pairs: Sequence[CasePair], settings: Settings, workers: int = 1) -> Iterator[Measured]:
    """Yield the result of each case, in any order; after Ctrl-C the rest as failed, so that no result is lost."""
    missing = dict.fromkeys(pairs)
    measured = _measure_in_turn(pairs, settings) if workers < 2 else _measure_in_parallel(pairs, settings, workers)
    try:
        for result in measured:
            del missing[result.pair]
            yield result
    except KeyboardInterrupt:
        yield from (Measured(pair, reason=INTERRUPTED) for pair in missing)


def _measure_in_turn(pairs: Sequence[CasePair], settings: Settings) -> Iterator[Measured]:
    return (measure(pair, settings) for pair in pairs)


def _measure_in_parallel(pairs: Sequence[CasePair], settings: Settings, workers: int) -> Iterator[Measured]:
    """Use a pool; if a process dies and breaks the pool, measure the remaining cases in one process each."""
    left = dict.fromkeys(pairs)
    with _pool(workers) as pool:
        futures = [pool.submit(measure, pair, settings) for pair in pairs]
        try:
            for future in as_completed(futures):
                result = future.result()
                del left[result.pair]
                yield result
        except BrokenProcessPool:
            pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for pair in left:
        yield _measure_in_new_process(pair, settings)


def _measure_in_new_process(pair: CasePair, settings: Settings) -> Measured:
    with _pool(1) as pool:
        try:
            return pool.submit(measure, pair, settings).result()
        except BrokenProcessPool:
            return Measured(pair, reason="the process that measured it was killed (out of memory?)")


def _pool(workers: int) -> ProcessPoolExecutor:
    """Create a pool of new interpreters, because forked ones would inherit the locks of torch's threads."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
