"""Every kind of task and data says the same by mtl-predict, in Python, by each bundle, and from the server."""

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import mtl_cli
from mtl_cli import cli
from mtl_cli.bundles.manifest import read_manifest
from mtl_cli.runs import run
from mtl_cli.serving.app import make_app
from mtl_cli.serving.limits import Limits
from tests import _kinds, _trained
from tests._trained import columns_written, rows_of
from tests.sounds._files import tone_set
from tests.sounds.test_transcripts import config as transcripts_config
from tests.tables._files import write_csv

TOLERANCE = 1e-4
"""Largest difference of a number, in its own size where that is above 1."""


def of_kind(kind, **changes):
    """What makes a run on a kind of `_kinds`: the run, its inputs in memory, the file of mtl-predict, the request."""

    def made(folder):
        path = _trained.train(kind, folder, **changes)
        if kind == "conll":
            blocks = (folder / "words.conll").read_text().strip().split("\n\n")
            data = [[line.split("\t")[0] for line in block.splitlines()] for block in blocks]
            return path, data, folder / "words.conll", {"json": {"sentences": data}}
        if kind == "arrays":
            data = np.load(folder / "arrays.npz")["x"]
            return path, data, folder / "arrays.npz", {"json": {"arrays": data.tolist()}}
        data = rows_of(folder / f"{kind}.csv")
        return path, data, folder / f"{kind}.csv", {"json": {"rows": data}}

    return made


def pictures(folder):
    path = _trained.train_pictures(folder)
    return path, *of_files(sorted((folder / "images").iterdir()), folder / "images")


def of_files(files, where):
    sent = [("files", (file.name, file.read_bytes())) for file in files]
    return files, where, {"files": sent}


def scenes(folder):
    """Drawn scenes: boxes, keypoints, distances, directions, classes of pixels, a number and a class."""
    names = ("segmentation", "depth", "normals", "detection", "keypoints", "count", "nearest")
    words = [
        "task=" + "+".join(f"scenes_{name}" for name in names), "backbone=unet", "backbone.channels=[4,8]",
        "trainer.max_steps=2", "data.batch_size=4", "trainer.device=cpu", f"hydra.run.dir={folder / 'run'}",
        *(f"tasks.scenes_{name}.dataset.num_{split}=8" for name in names for split in ("train", "val", "test")),
        "tasks.scenes_detection.score_threshold=0.05",
        "tasks.scenes_detection.max_overlap=0.4",
    ]  # fmt: skip
    mtl_cli.train(words, quiet=True)
    (folder / "images").mkdir()
    loaded = mtl_cli.load(folder / "run").model.sources
    images = next(iter(loaded.values())).given_rows("test", 5).arrays
    files = []
    for number, image in enumerate(images):
        pixels = np.asarray(image)
        files.append(folder / "images" / f"{number}.png")
        Image.fromarray(pixels if pixels.shape[-1] == 3 else np.moveaxis(pixels, 0, -1)).save(files[-1])
    return folder / "run", *of_files(files, folder / "images")


def transcripts(folder):
    table = tone_set(folder, 24, transcripts=True)
    run.train(transcripts_config(table, trainer__max_steps=2), folder / "run", [])
    files = sorted((folder / "clips").iterdir())
    return folder / "run", *of_files(files, folder / "clips")


def translations(folder):
    rows = [(f"the {a} {b}", f"der {b} {a}") for a in ("red", "big", "old") for b in ("dog", "cat", "sun")] * 4
    table = write_csv(folder / "pairs.csv", ["en", "de"], rows)
    words = [f"input={table}", "target=[de]", "source=en", f"output={folder / 'conf'}"]
    assert cli.main_init(words) == 0
    overrides = ["task=de", "backbone=gru", "trainer.max_steps=2", "trainer.device=cpu"]
    mtl_cli.train([*overrides, f"hydra.run.dir={folder / 'run'}"], config_dir=folder / "conf", quiet=True)
    data = [{"en": row[0]} for row in rows[:9]]
    new = write_csv(folder / "new.csv", ["en"], [row[:1] for row in rows[:9]])
    return folder / "run", data, new, {"json": {"rows": data}}


GRU = _kinds.option("backbone", "gru", embedding=8, width=8)
LSTM = _kinds.option("backbone", "lstm", embedding=8, width=8)
CASES = {
    "table": (of_kind("table"), True), "arrays": (of_kind("arrays", backbone=_kinds.option("backbone", "mlp")), True),
    "text": (of_kind("text", backbone=LSTM), True), "words": (of_kind("conll", backbone=GRU), True),
    "pictures": (pictures, True), "scenes": (scenes, True),
    "transcripts": (transcripts, False), "translations": (translations, False),
}  # fmt: skip
"""How a run is made, and whether a graph can hold it."""


def apart(one, other):
    """Return the largest difference of numbers; everything else must be equal."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return max((apart(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, str) or one is None:
        assert one == other
        return 0.0
    if isinstance(one, int | float | np.number):
        return abs(float(one) - float(other)) / max(1.0, abs(float(one)))
    assert len(one) == len(other)
    if isinstance(one, np.ndarray) and one.dtype != object:
        two = np.asarray(other, dtype=one.dtype)
        assert one.shape == two.shape
        if one.dtype.kind not in "f":
            assert np.mean(one != two) < 0.005  # pixels whose classes are as likely
            return 0.0
        return float((np.abs(one - two) / np.maximum(1.0, np.abs(one))).max(initial=0.0))
    return max((apart(a, b) for a, b in zip(one, other, strict=True)), default=0.0)


def same(expected, found):
    assert list(expected) == list(found)
    for name, values in expected.items():
        assert apart(values, found[name]) <= TOLERANCE, name


def served(bundle, request):
    """Return the columns that the server answers."""
    manifest = read_manifest(bundle)
    with TestClient(make_app(mtl_cli.load(bundle), manifest, Limits())) as client:
        answer = client.post("/predict", **request)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    return {name: [row[name] for row in rows] for name in rows[0]}


def written(path, source, out):
    """Return the columns of numbers and texts that mtl-predict writes."""
    assert cli.main_predict([f"checkpoint={path}", f"input={source}", f"output={out}"]) == 0
    return columns_written(next(out.glob("*.csv")) if out.is_dir() else out)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_all_ways_to_a_prediction_say_the_same(case, tmp_path, capsys):
    make, holds = CASES[case]
    path, data, source, request = make(tmp_path)
    expected = mtl_cli.load(path).predict(data)
    assert expected
    if case != "words":  # a file of words is written word by word
        folder = case in ("pictures", "scenes")
        file = written(path, source, tmp_path / ("out" if folder else "out.csv"))
        for name in set(expected) & set(file):
            if expected[name].dtype.kind == "f":
                assert apart(expected[name], np.asarray(file[name], dtype=np.float32)) <= TOLERANCE, name
            else:
                assert [str(value) for value in expected[name]] == file[name], name
        assert set(expected) & set(file)
    assert cli.main_export([f"checkpoint={path}", f"output={tmp_path / 'torch'}", "rows=5"]) == 0
    same(expected, mtl_cli.load(tmp_path / "torch").predict(data))
    same(expected, served(tmp_path / "torch", request))
    capsys.readouterr()
    code = cli.main_export([f"checkpoint={path}", f"output={tmp_path / 'onnx'}", "format=onnx", "rows=5"])
    if not holds:
        assert code == 2
        assert "Use format=torch" in capsys.readouterr().err
        assert not (tmp_path / "onnx").exists()
        return
    assert code == 0, capsys.readouterr().err
    same(expected, mtl_cli.load(tmp_path / "onnx").predict(data))
    same(expected, served(tmp_path / "onnx", request))


@pytest.mark.slow
def test_sounds_that_cannot_be_read_are_told_by_the_server(tmp_path):
    path, data, _, request = transcripts(tmp_path)
    assert cli.main_export([f"checkpoint={path}", f"output={tmp_path / 'bundle'}", "rows=2"]) == 0
    app = make_app(mtl_cli.load(tmp_path / "bundle"), read_manifest(tmp_path / "bundle"), Limits())
    with TestClient(app) as client:
        for wrong, message in (
            ({"files": {"files": ("a.txt", b"x")}}, "a.txt is not named as a sound"),
            ({"files": {"files": ("../../a.wav", b"RIFF")}}, "sound 1.wav"),
            ({"json": [str(data[0])]}, "which are sent as files"),
            ({"json": [{"path": str(data[0])}]}, "which are sent as files"),
        ):
            answer = client.post("/predict", **wrong)
            assert answer.status_code == 422, answer.text
            assert message in answer.json()["error"]
            assert "Traceback" not in answer.text
        body = data[0].read_bytes()
        alone = client.post("/predict", content=body, headers={"content-type": "audio/wav"})
        assert alone.json()["predictions"] == client.post("/predict", **request).json()["predictions"][:1]
