"""A cell of the table is a process of its own, or one per rank, with a time limit."""

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import multiprocessing.connection
import os
import tempfile
import time
import warnings
from typing import Any

import torch
import torch.distributed as dist

from benchmarks.fault_rows.common import GRACE, Cell

Answers = list[tuple[str, Any] | None]  # by rank: ("value", v), ("error", text), or None of one that hangs


def child(cell: Cell, rank: int, world: int, store: str, pipe: Any, over: Any) -> None:
    """Run one cell in this process; a rank that is done lives on, as one that goes to its next work."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            if world > 1:
                os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
                dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
            pipe.send(("value", cell()))
            over.wait()
        except BaseException as error:
            pipe.send(("error", f"{type(error).__name__}: {error}"))
    os._exit(0)


def run_cell(cell: Cell, world: int, limit: float) -> Answers:
    """The answers of all ranks, as far as they came within ``limit`` seconds."""
    context = multiprocessing.get_context("fork")
    over, pipes, children = context.Event(), [], []
    with tempfile.TemporaryDirectory() as folder:
        for rank in range(world):
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=child, args=(cell, rank, world, f"{folder}/store", theirs, over))
            process.start()
            theirs.close()
            pipes.append(mine)
            children.append(process)
        answers = listen(pipes, limit)
        over.set()
        for process in children:
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()
    return answers


def listen(pipes: list[Any], limit: float) -> Answers:
    """What each rank says; as a launcher does, do not wait long for the others once one has failed."""
    said: dict[Any, tuple[str, Any]] = {}
    deadline = time.monotonic() + limit
    while len(said) < len(pipes) and time.monotonic() < deadline:
        waiting: list[Any] = [pipe for pipe in pipes if pipe not in said]
        for pipe in multiprocessing.connection.wait(waiting, deadline - time.monotonic()):
            try:
                said[pipe] = pipe.recv()  # type: ignore[union-attr]
            except EOFError:
                said[pipe] = ("error", "died")
            if said[pipe][0] == "error":
                deadline = min(deadline, time.monotonic() + GRACE)
    return [said.get(pipe) for pipe in pipes]
