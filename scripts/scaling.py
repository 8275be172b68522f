"""Computes how well a run would scale to many processes, from step times measured here and a link's two figures.

    python scripts/scaling.py --bandwidth 25e9 --latency 20e-6 task=mnist_digits+letters weighting=upgrad

1. The run with these overrides takes steps on one process, then on two, each with one micro-batch and one thread. The
   second one also says how many bytes each process hands over in a step, and in how many messages.
2. Two processes measure bandwidth and latency of sums here. From these, and the step of one process, the step of two
   is computed, to be compared with the measured one.
3. The same formula, with the bandwidth (bytes/s) and latency (s) of the command line, gives the efficiency on 8, 64
   and 512 processes: the step of one process over theirs. Each process keeps its rows: the batch grows with them.

The formula is that of a ring: B bytes in M messages take 2 (k − 1) (B / (k · bandwidth) + M · latency). Nothing is
computed while numbers are on the way, as in the program. What it leaves out: that k processes wait for the slowest of
them, and that those of one machine share its memory and its link.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mtl_cli.ranks.group import end, joined, start
from mtl_cli.ranks.place import OWN, Place, place_of
from mtl_cli.ranks.ranks import Ranks
from mtl_cli.report.tables import table

SIZES = (8, 64, 512)
SMALL, LARGE = 16, 2_000_000
"""Floats of the two sums that a link is measured by."""
WORK = "import sys; sys.path[:0] = {path!r}; from scaling import partner; partner()"


@dataclass(frozen=True)
class Link:
    """Bytes per second in one direction, and seconds that a message takes however short it is."""

    bandwidth: float
    latency: float


@dataclass(frozen=True)
class Sent:
    """What a process hands over in a step."""

    bytes: float
    messages: float


def exchange_seconds(sent: Sent, link: Link, size: int) -> float:
    """Return the seconds per step in which `size` processes add up numbers in a ring."""
    return 2 * (size - 1) * (sent.bytes / (size * link.bandwidth) + sent.messages * link.latency)


def efficiency(step: float, sent: Sent, link: Link, size: int) -> float:
    """Return the step of one process, in seconds, over that of `size` processes with as many rows each."""
    return step / (step + exchange_seconds(sent, link, size))


def link_of(small: float, large: float, small_bytes: float, large_bytes: float) -> Link:
    """Return the link over which two processes add up so many bytes in so many seconds."""
    per_byte = max((large - small) / (large_bytes - small_bytes), 1e-15)
    latency = max(small / 2 - small_bytes / 2 * per_byte, 0.0)
    return Link(1 / per_byte, latency)


def measured_link(times: int = 20) -> Link:
    """Return the link between two processes of this machine, from the medians of sums."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, 2, is_master=True, wait_for_workers=False)
    children = {1: start(1, 2, store.port, WORK.format(path=[str(Path(__file__).parent)]))}
    try:
        with joined(Place(0, 2, 0, 2, "127.0.0.1", store.port, OWN), store, children) as ranks:
            small, large = sums(ranks, times)
    finally:
        end(children)
    return link_of(small, large, 4 * SMALL, 4 * LARGE)


def partner() -> None:
    """Be the other process of `measured_link`."""
    place = place_of()
    assert place is not None, "start sets it"
    torch.set_num_threads(1)
    with joined(place) as ranks:
        sums(ranks, 20)


def sums(ranks: Ranks, times: int) -> tuple[float, float]:
    """Return the median seconds of a small and of a large sum over two ranks."""
    found = []
    for size in (SMALL, LARGE):
        numbers, seconds = torch.ones(size), []
        for _ in range(times):
            begin = time.perf_counter()
            ranks.sum_(numbers.fill_(1.0))
            seconds.append(time.perf_counter() - begin)
        found.append(statistics.median(seconds))
    return found[0], found[1]


def run(overrides: Sequence[str], devices: int, steps: int, folder: Path) -> Path:
    """Return the run directory in `folder` of a run on so many processes."""
    words = [
        f"trainer.devices={devices}", "trainer.threads=1", "trainer.max_epochs=null", f"trainer.max_steps={steps}",
        "trainer.eval_every=100000", "trainer.log_every=1000", "quiet=true", f"hydra.run.dir={folder}",
    ]  # fmt: skip
    code = "import sys; from mtl_cli.cli import train; sys.exit(train())"
    subprocess.run([sys.executable, "-c", code, *overrides, *words], check=True, stdout=subprocess.DEVNULL)
    return folder


def step_seconds(directory: Path) -> float:
    """Return the seconds per step of a finished run."""
    summary = json.loads((directory / "summary.json").read_text())
    return summary["train_seconds"] / summary["steps"]


def sent_in(directory: Path) -> Sent:
    """Return what each process handed over in a step of a run with a profile."""
    told = json.loads((directory / "profile" / "exchange.json").read_text())
    return Sent(told["bytes_per_step"], told["messages_per_step"])


def report(one: float, two: float, sent: Sent, here: Link, there: Link) -> str:
    """Return the tables of what was measured and of what is expected."""
    expected = one + exchange_seconds(sent, here, 2)
    measured = [
        ["here", "value"],
        ["step of one process", f"{1000 * one:.2f} ms"],
        ["bytes per step and process", f"{sent.bytes:,.0f} in {sent.messages:.0f} messages"],
        ["bandwidth, latency of sums", f"{here.bandwidth / 1e9:.2f} GB/s, {1e6 * here.latency:.0f} µs"],
        ["step of two, computed", f"{1000 * expected:.2f} ms"],
        ["step of two, measured", f"{1000 * two:.2f} ms ({two / expected:.2f} of it)"],
    ]
    rows = [["processes", "exchange ms", "efficiency"]]
    for size in SIZES:
        seconds = exchange_seconds(sent, there, size)
        rows.append([str(size), f"{1000 * seconds:.2f}", f"{efficiency(one, sent, there, size):.0%}"])
    return f"{table(measured)}\n\n{table(rows)}"


def main() -> None:
    """Measure, compute and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bandwidth", type=float, required=True, help="bytes/s between two processes")
    parser.add_argument("--latency", type=float, required=True, help="seconds per message")
    parser.add_argument("--steps", type=int, default=60, help="steps of each measured run")
    parser.add_argument("overrides", nargs="*", help="of mtl-train")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        one, two = (step_seconds(run(asked.overrides, k, asked.steps, Path(folder, str(k)))) for k in (1, 2))
        sent = sent_in(run([*asked.overrides, "trainer.profile=true"], 2, 30, Path(folder, "profiled")))
    print(report(one, two, sent, measured_link(), Link(asked.bandwidth, asked.latency)))


if __name__ == "__main__":
    main()
