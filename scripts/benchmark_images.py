"""Measures the speed of mtl-train on images: steps of a U-Net against a bare loop, and reading JPEGs ahead.

They are parts of scripts/benchmark (--only images_step,images_stream), on drawn images. On its own it is the latter:

    python scripts/benchmark_images.py [20000] [--workers 2]
"""

import argparse
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bare_texts import BareTrunk, bare_steps, classification, compared, job_on_file, write_conf
from measuring import ENDLESS, Row, Steps, row
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.features import Features, run_stages
from mtl_cli.training.job import Job
from mtl_cli.training.next_step import next_step

SIDE, COUNT, BATCH = 128, 96, 16
JPEG_SIDE, JPEGS, FOLDERS = 256, 20_000, 4
HEAD = "{_target_: mtl_cli.heads.map.MapHead, hidden: [], dropout: 0.0, norm: group, activation: relu}"
FILES = {
    "dataset/pairs.yaml": "defaults: [images, _self_]\npath: pairs\nstratify: null\n",
    "dataset/jpegs.yaml": "defaults: [images, _self_]\npath: jpegs\nmemory_mb: 1\n",
    "task/masks.yaml": f"""\
# @package _global_
defaults:
  - /dataset@tasks.masks.dataset: pairs
tasks:
  masks:
    _target_: mtl_cli.tasks.segmentation.Segmentation
    target: masks
    weight: 1.0
    label_smoothing: 0.0
    class_weights: null
    head: {HEAD}
""",
    "task/label.yaml": classification("label", "jpegs"),
}


def write_pairs(folder: Path, count: int = COUNT) -> None:
    """Write images of noise with discs, and their label images of three classes."""
    stream = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for k in range(count):
        labels = np.zeros((SIDE, SIDE), np.uint8)
        for _ in range(6):
            row, column, kind = *stream.uniform(0, SIDE, 2), stream.integers(1, 3)
            labels[(y - row) ** 2 + (x - column) ** 2 < stream.uniform(5, 20) ** 2] = kind
        pixels = (stream.normal(80, 20, (SIDE, SIDE, 3)) + 60 * labels[..., None]).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"images/{k}.png")
        Image.fromarray(labels).save(folder / f"masks/{k}.png")


class BareUNet(BareTrunk):
    """The job's layers as a person would write them down: a stem, a trunk, one convolution."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        (self.head,) = (head.layers for head in job.learner.model.heads.values())

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, C, H, W]."""
        return self.head(run_stages(self.stages, Features(self.stem(images))).values)


def bare_image_steps(job: Job) -> Steps:
    """Return a function that takes steps of a hand-written loop on the same batches, from one array of bytes."""
    (stream,) = job.train.values()
    rows: Any = stream.rows
    model, device = BareUNet(job), job.learner.arithmetic.device
    decoded = [rows.kept[number] for number in rows.numbers.tolist()]
    images = torch.stack([each.inputs for each in decoded]).to(device)
    labels = torch.stack([each.fields["masks"] for each in decoded]).to(device)
    mean, std = (torch.tensor(each).reshape(-1, 1, 1) for each in (rows.source.pixels.mean, rows.source.pixels.std))
    scale, shift = (1 / (255 * std)).to(device), (-mean / std).to(device)

    def loss(drawn: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=job.learner.arithmetic.bf16):
            logits = model(torch.addcmul(shift, images[drawn].float(), scale))
        return F.cross_entropy(logits.float(), labels[drawn])

    return bare_steps(job, model, loss)


def images_step(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield samples/s of a U-Net as a part of a bare loop's."""
    write_conf(folder, FILES)
    write_pairs(folder / "pairs")
    words = ["task=masks", "backbone=unet", f"data.batch_size={BATCH}"]
    bare = bare_image_steps(job_on_file(folder, "pairs", words)[0])
    ours = job_on_file(folder, "pairs", [*words, ENDLESS])
    what = f"U-Net on images of {SIDE}²"
    yield from compared(ours, bare, folder, what, ">= 0.97", windows, max(1, steps // 5))


def images_stream(windows: int, steps: int, folder: Path) -> Iterator[Row]:
    """Yield the rate at which JPEGs are read ahead, and their memory."""
    yield from streaming(folder, JPEGS)


def write_jpegs(folder: Path, count: int) -> None:
    """Write JPEGs of smooth noise, about 20 kB each, in class folders."""
    stream = np.random.default_rng(0)
    for k in range(count):
        place = folder / f"class{k % FOLDERS}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(stream.integers(0, 255, (24, 24, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((JPEG_SIDE, JPEG_SIDE), Image.Resampling.BICUBIC)).astype(np.int16)
        noise = stream.integers(-9, 10, smooth.shape, dtype=np.int16)
        Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)).save(place / f"{k:05}.jpg", quality=85)


def decode(files: Sequence[str]) -> int:
    """Decode files as a person would, and return the bytes of their pixels."""
    total = 0
    for file in files:
        with Image.open(file) as image:
            total += np.asarray(image.convert("RGB")).nbytes
    return total


def anonymous(processes: Sequence[int]) -> float:
    """Return the anonymous memory of processes in MB."""
    texts = [Path(f"/proc/{number}/status").read_text(encoding="utf-8") for number in processes]
    return sum(int(text.split("RssAnon:")[1].split()[0]) for text in texts) / 1024


def streaming(folder: Path, count: int, workers: int = 2, rounds: int = 5) -> Iterator[Row]:
    """Yield the rate at which a job gets batches of JPEGs as a part of bare processes', and how its memory grows.

    Both take turns on a fifth of the set each, so that a change of the machine's load meets both.
    """
    write_conf(folder, FILES)
    write_jpegs(folder / "jpegs", count)
    words = ["task=label", "backbone=cnn", f"data.workers={workers}", "data.batch_size=32", ENDLESS]
    job = job_on_file(folder, "jpegs", words)[0]
    (stream,) = job.train.values()
    draws = math.ceil(len(stream.rows) / 32 / rounds)
    files = sorted(map(str, (folder / "jpegs").rglob("*.jpg")))[: draws * 32]
    shares = [files[start::workers] for start in range(workers)]
    ours, bare, memory = [], [], []
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        pool.map(decode, [share[:8] for share in shares])
        helpers = {each.pid for each in multiprocessing.active_children()}
        for _ in range(8):
            next_step(job)
        for _ in range(rounds):
            start = time.perf_counter()
            pool.map(decode, shares, chunksize=1)
            bare.append(len(files) / (time.perf_counter() - start))
            start = time.perf_counter()
            for _ in range(draws):
                next_step(job)
                job.progress.step += 1
            ours.append(draws * 32 / (time.perf_counter() - start))
            own = [each.pid for each in multiprocessing.active_children() if each.pid not in helpers]
            memory.append(anonymous([os.getpid(), *filter(None, own)]))
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    detail = f"{statistics.median(ours):.0f} / {statistics.median(bare):.0f} images/s, {workers} workers, {count} files"
    yield row(f"JPEGs of {JPEG_SIDE}² read ahead, against bare Pillow processes", f"{statistics.median(ratios):.3f}",
              f"{min(ratios):.3f} to {max(ratios):.3f}", ">= 0.90", detail)  # fmt: skip
    yield row("their anonymous memory, with that of the workers", f"{memory[-1]:.0f} MB", "", "flat",
              "after each fifth: " + ", ".join(f"{each:.0f}" for each in memory))  # fmt: skip


def main() -> None:
    """Print the rows on images read ahead."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=JPEGS)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for each in streaming(Path(folder), arguments.count, arguments.workers):
            print(", ".join(each.values()), file=sys.stdout, flush=True)


if __name__ == "__main__":
    main()
