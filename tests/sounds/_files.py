"""Sets of synthetic sounds: tones of a few heights, by speakers who whistle a little higher or lower."""

import csv
import wave
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mtl_cli.config.shipped import conf_dir
from mtl_cli.datasets.audio import Audio

RATE = 8000
TONES = {"low": 400.0, "middle": 900.0, "high": 2000.0}
SPEAKERS = {"ann": 0.95, "bob": 1.0, "eve": 1.05, "joe": 1.1}


def write_wav(path: Path, sound: np.ndarray, rate: int = RATE, width: int = 2, channels: int = 1) -> Path:
    """Write a sound [N] or [N, channels] from −1 to 1 as whole numbers of `width` bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.round(np.clip(sound, -1, 1) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        content = (whole + 128).astype(np.uint8).tobytes()
    else:
        content = whole.astype("<i8").reshape(-1, 1).view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(content)
    return path


def tone(hertz: float, seconds: float, stream: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """Return a tone with a little noise, float [N]."""
    at = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * (hertz * at + stream.random())) + stream.normal(0, 0.01, len(at))


def tone_set(folder: Path, count: int = 24, shuffled: bool = False, transcripts: bool = False) -> Path:
    """Write clips, and a table of path, tone, speaker and, of several tones each, a transcript; return the table."""
    stream = np.random.default_rng(0)
    rows = []
    for number in range(count):
        speaker = list(SPEAKERS)[number % len(SPEAKERS)]
        names = [list(TONES)[k] for k in stream.integers(3, size=stream.integers(1, 5) if transcripts else 1)]
        parts = [tone(TONES[name] * SPEAKERS[speaker], 0.1 + 0.1 * stream.random(), stream) for name in names]
        gap = np.zeros(RATE // 20)
        sound = np.concatenate([part for name in parts for part in (name, gap)])
        write_wav(folder / "clips" / f"{number:03}.wav", sound)
        rows.append({"path": f"clips/{number:03}.wav", "tone": names[0], "speaker": speaker})
        if transcripts:
            rows[-1]["transcript"] = " ".join(name[0] for name in names)
    if shuffled:
        for name in ("tone", "transcript"):
            if name in rows[0]:
                cells = [rows[k][name] for k in stream.permutation(count)]
                for row, cell in zip(rows, cells, strict=True):
                    row[name] = cell
    return write_table(folder / "table.csv", rows)


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def node(path: Path, **changes: Any) -> dict[str, Any]:
    """Return the node of a dataset on a table or folder."""
    shipped = yaml.safe_load(Path(conf_dir(), "dataset", "audio.yaml").read_text())
    assert changes.keys() <= shipped.keys()
    own = {"root": None, "path": str(path), "folds": None, "fold": 0, "batch_size": 6, "num_mels": 20}
    return {**shipped, **own, **changes}


def audio(path: Path, opened: bool = True, **changes: Any) -> Audio:
    """Return the source of a table or folder; its class is `tone` unless the changes say otherwise."""
    from mtl_cli.config.options import gathered

    targets = {"targets": {"tone": {"kind": "class", "column": "tone"}}, "audio": "path"}
    options = {key: value for key, value in node(path, **{**targets, **changes}).items() if key != "_target_"}
    source = Audio(**gathered(Audio, options))
    if opened:
        source.open()
    return source
