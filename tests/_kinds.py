"""A small run of every kind of dataset that reads files: tables, arrays, texts, words, sounds, what is written."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mtl_cli.config.shipped import conf_dir
from tests import _toy
from tests.sounds._files import RATE, tone, write_wav

HEAD = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []}
CLASSES = {"_target_": "mtl_cli.tasks.classification.Classification", "label_smoothing": 0.0, "head": HEAD}
FRAMES = {
    "_target_": "mtl_cli.tasks.ctc.CTC", "pieces": {"kind": "characters"}, "beam": 1, "skip_unfit": False,
    "head": {"_target_": "mtl_cli.heads.frames.FrameHead", "hidden": []},
}  # fmt: skip
WRITTEN = {
    "_target_": "mtl_cli.tasks.seq2seq.Seq2Seq", "label_smoothing": 0.1, "metrics": ["exact_match"],
    "head": {"_target_": "mtl_cli.heads.gru_decoder.GRUDecoder", "num_layers": 1, "dropout": 0.1},
}  # fmt: skip
SPELT = {**WRITTEN, "pieces": {"kind": "characters"}}
COPYING = {**WRITTEN, "head": {**WRITTEN["head"], "copy": True}}
WORDS = {
    **CLASSES, "_target_": "mtl_cli.tasks.token_classification.TokenClassification", "class_weights": None,
    "spans": "auto", "head": {"_target_": "mtl_cli.heads.tokens.TokenHead", "hidden": []},
}  # fmt: skip
KINDS = ("table", "mapped table", "arrays", "text", "conll", "balanced table", "sound", "transcripts", "pairs")


def option(group: str, name: str, **changes: Any) -> dict[str, Any]:
    """Return the node of a shipped option with other values."""
    node = yaml.safe_load(Path(conf_dir(), group, f"{name}.yaml").read_text())
    assert changes.keys() <= node.keys()
    return {**node, **changes}


def write_files(folder: Path) -> None:
    """Write the data: 60 rows with a label of three classes and one of two, which can be learnt."""
    stream = np.random.default_rng(0)
    x, y = stream.normal(size=(60, 3)).round(3), stream.integers(3, size=60)
    words, tags = np.array(["red", "green", "blue", "dog", "cat", "sun"]), "ABAABB"
    picks = [stream.integers(6, size=stream.integers(1, 7)) for _ in range(60)]
    lines = [
        f"{a},{b},{'' if row % 9 == 0 else c},k{row % 4},{y[row]},{'np'[row % 2]}" for row, (a, b, c) in enumerate(x)
    ]
    (folder / "table.csv").write_text("\n".join(["a,b,c,kind,y,z", *lines]) + "\n")
    np.savez(folder / "arrays.npz", x=x.astype(np.float32), y=y, z=np.arange(60) % 2)
    texts = [f"{' '.join(words[pick])},{y[row]},{'np'[row % 2]}" for row, pick in enumerate(picks)]
    (folder / "text.csv").write_text("\n".join(["text,y,z", *texts]) + "\n")
    sentences = ["\n".join(f"{words[k]}\t{tags[k]}\t{k % 3}" for k in pick) for pick in picks]
    (folder / "words.conll").write_text("\n\n".join(sentences) + "\n")
    for row in range(60):
        write_wav(folder / f"sounds/{row}.wav", tone(300.0 * (1 + y[row]), 0.05 + 0.01 * (row % 7), stream, RATE))
    clips = [f"sounds/{row}.wav,{y[row]},{'np'[row % 2]},{'abc'[y[row]]}" for row in range(60)]
    (folder / "sounds.csv").write_text("\n".join(["audio,y,z,said", *clips]) + "\n")
    pairs = [f"{' '.join(words[pick])},{' '.join(words[pick[::-1]])},{words[pick[0]]}" for pick in picks]
    (folder / "pairs.csv").write_text("\n".join(["text,y,z", *pairs]) + "\n")


def dataset(kind: str, folder: Path) -> dict[str, Any]:
    """Return the node of a dataset of a kind on the files in a folder."""
    names = {"y": {"kind": "class", "column": "y"}, "z": {"kind": "class", "column": "z"}}
    table = {"path": str(folder / "table.csv"), "targets": names, "cache_dir": str(folder / "cache")}
    sounds = {"path": str(folder / "sounds.csv"), "targets": names, "num_mels": 8, "hop_ms": 5.0}
    sounds |= {"speed": [0.9, 1.1], "noise": [10.0, 30.0], "time_masks": 1}
    return {
        "table": lambda: option("dataset", "tabular", **table),
        "balanced table": lambda: option("dataset", "tabular", **table, balance="y"),
        "mapped table": lambda: option("dataset", "tabular", **table, memory_mb=0.0001),
        "arrays": lambda: option("dataset", "arrays", path=str(folder / "arrays.npz"), targets=names),
        "text": lambda: option(
            "dataset", "text", path=str(folder / "text.csv"), targets=names, cache_dir=str(folder / "cache")
        ),
        "sound": lambda: option("dataset", "audio", **sounds, memory_mb=0.0),
        "transcripts": lambda: option("dataset", "audio", **{**sounds, "targets": {}}),
        "pairs": lambda: option(
            "dataset", "parallel", path=str(folder / "pairs.csv"), source="text", hidden=0.2, copied=0.3,
            tokenizer="characters", cache_dir=str(folder / "cache"),
        ),
        "conll": lambda: option(
            "dataset", "conll", path=str(folder / "words.conll"), columns=["word", "y", "z"],
            targets={name: {"kind": "tokens", "column": name} for name in "yz"},
        ),
    }[kind]()  # fmt: skip


def config(kind: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the config of a run of a kind on the files that `write_files` left in a folder."""
    nodes = {
        "conll": {"y": WORDS, "z": WORDS},
        "transcripts": {name: {**each, "column": "said"} for name, each in (("y", FRAMES), ("z", SPELT))},
        "pairs": {"y": COPYING, "z": COPYING},
    }.get(kind, {"y": CLASSES, "z": CLASSES})
    on = dataset(kind, folder)
    tasks = {name: {**node, "target": name, "weight": 1.0, "dataset": on} for name, node in nodes.items()}
    speech = {"width": 8, "num_heads": 2, "num_layers": 1, "filters": 2}
    recurrent = {"embedding": 6, "width": 8, "num_layers": 1}
    backbones = {
        "arrays": lambda: option("backbone", "mlp", hidden=[8], dropout=0.1),
        "text": lambda: option("backbone", "gru", **recurrent),
        "conll": lambda: option("backbone", "gru", **recurrent),
        "sound": lambda: option("backbone", "speech", **speech),
        "transcripts": lambda: option("backbone", "speech", **speech),
        "pairs": lambda: option("backbone", "gru", **recurrent),
    }
    backbone = backbones.get(kind, lambda: option("backbone", "tabular", hidden=[8], dropout=0.1))()
    base = {"tasks": tasks, "backbone": backbone, "trust": [], "data__batch_size": 10, "save__every": 3}
    return _toy.config(**{**base, **changes})
