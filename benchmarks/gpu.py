"""Print what counting one batch costs on a CUDA device, beside the peers and the copy bandwidth of the device.

``python -m benchmarks.gpu [--workload a] [--batch 8] [--rounds 20] [--json FILE]``

- *device*: milliseconds between two events on the device, with work queued before the first as in training, so that
  launches cost only what the device has to wait for; caches are emptied before every run
- *share*: the bytes of predictions and label over that time, as a share of the measured copy bandwidth
- *host*: milliseconds until the call returns when the device is idle, waits included
- *waits*: how often the host waits for the device; *kernels*: what is launched; *extra*: most memory in use meanwhile,
  as a share of the predictions

All variants run in turn, round after round; times are medians. Every Dice is compared before anything is timed.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.run import agree
from benchmarks.variants import Variant, control, count_alone, found_peers, ours
from benchmarks.workloads import WORKLOADS, Workload

SHARE, LEAD = 0.6, 20  # of the copy bandwidth, and over MONAI's chain: the targets on a at batch 8
COLUMNS = ("device", "share", "host", "waits", "kernels", "extra")


def device_ms(run: Variant, x: torch.Tensor, y: torch.Tensor, cold: torch.Tensor) -> float:
    """Time on the device; writing ``cold`` empties the caches and keeps the device busy while the host launches."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    cold.add_(1)
    start.record()
    run(x, y)
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def host_ms(run: Variant, x: torch.Tensor, y: torch.Tensor) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    run(x, y)
    return (time.perf_counter() - start) * 1e3


def waits(run: Callable[..., object], *batch: torch.Tensor) -> int:
    """Synchronizing operations, as CUDA's own debug mode reports them."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run(*batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(w.message) for w in caught)


def kernels(run: Variant, x: torch.Tensor, y: torch.Tensor) -> int:
    """Everything the device runs, copies and fills included."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        run(x, y)
        torch.cuda.synchronize()
    return sum(event.device_type == DeviceType.CUDA for event in seen.events() or ())


def extra(run: Variant, x: torch.Tensor, y: torch.Tensor) -> float:
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run(x, y)
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / x.nbytes


def copy_bandwidth(cold: torch.Tensor) -> float:
    """Bytes read and written in a millisecond by a copy."""
    other = torch.empty_like(cold)
    times = [device_ms(lambda x, y: x.copy_(y), other, cold, cold) for _ in range(20)]
    return 2 * cold.nbytes / statistics.median(times)


def variants(workload: Workload) -> tuple[dict[str, Variant], list[str]]:
    """Everything to measure, and the names of what is not installed."""
    peers, missing = found_peers(workload)
    found = {"count alone": count_alone("triton", workload)}
    found |= {"Triton": ours("triton", workload), "plain torch": ours("vectorized", workload)}
    return found | ({} if workload.independent else {"control": control}) | peers, missing


def measure(workload: Workload, dtype: torch.dtype, rounds: int, cold: torch.Tensor, copy: float) -> dict[str, Any]:
    """Every column of every variant."""
    x, y = (t.cuda() for t in workload.make())
    x = x.to(dtype)
    runs, missing = variants(workload)
    agree({name: run for name, run in runs.items() if name != "count alone"}, x, y)
    rows: dict[str, dict[str, float]] = {}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append((device_ms(run, x, y, cold), host_ms(run, x, y)))
    for name, run in runs.items():
        device, host = (statistics.median(values) for values in zip(*times[name], strict=True))
        share = (x.nbytes + y.nbytes) / device / copy
        values = (device, share, host, waits(run, x, y), kernels(run, x, y), extra(run, x, y))
        rows[name] = dict(zip(COLUMNS, values, strict=True))
    return {"workload": f"{workload.text} {str(dtype).removeprefix('torch.')}", "rows": rows, "missing": missing}


def report(result: dict[str, Any], target: bool) -> None:
    """Print one workload's table, and on workload a at batch 8 whether the targets are met."""
    rows = result["rows"]
    print(f"\n{result['workload']}\n{'':24}", *(f"{column:>9}" for column in COLUMNS), sep="")
    for name, row in rows.items():
        device, share, host, waited, launched, memory = (row[column] for column in COLUMNS)
        print(f"{name:24}{device:9.3f}{share:9.0%}{host:9.3f}{waited:9d}{launched:9d}{memory:9.2f}")
    for name in result["missing"]:
        print(f"  {name}: not installed")
    if target and "MONAI chain" in rows:
        share, lead = rows["count alone"]["share"], rows["MONAI chain"]["device"] / rows["Triton"]["device"]
        print(f"  share {share:.0%}, target >= {SHARE:.0%}: {'met' if share >= SHARE else 'NOT MET'}")
        print(f"  MONAI {lead:.0f}, target >= {LEAD}: {'met' if lead >= LEAD else 'NOT MET'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="one of these; may be repeated")
    parser.add_argument("--batch", type=int, default=8, help="samples of workload a")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks.gpu: needs a CUDA device")
    warnings.filterwarnings("ignore")
    cold = torch.zeros(256_000_000, device="cuda")
    copy = copy_bandwidth(cold)
    facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__}
    facts |= {"device": torch.cuda.get_device_name(), "copy": f"{copy / 1e9:.2f} TB/s"}
    print(" · ".join(facts.values()))
    results: dict[str, Any] = {}
    for key in options.workload or WORKLOADS:
        chosen = dataclasses.replace(WORKLOADS[key], batch=options.batch) if key == "a" else WORKLOADS[key]
        results[key] = measure(chosen, getattr(torch, options.dtype), options.rounds, cold, copy)
        report(results[key], target=key == "a" and options.batch == 8)
    if options.json:
        options.json.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
