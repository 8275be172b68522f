"""Digits that espeak-ng speaks, in voices that training never heard."""

import shutil

import pytest
import sound_levels

from mtl_cli import cli
from mtl_cli.runs import run
from tests import _toy
from tests._kinds import CLASSES, option
from tests.sounds._files import node

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng, a Debian package")


def test_the_sets_of_the_script_keep_voices_apart():
    rows = list(sound_levels.digits(sound_levels.RATES, sound_levels.ACCENTS))
    assert len({row.voice for row in rows}) >= 20
    assert len({row.file for row in rows}) == len(rows) == 10 * 6 * 39
    for one in sound_levels.HELD["test"]:
        assert {row.cells["split"] for row in rows if row.voice.endswith(f"+{one}")} == {"test"}
    assert {row.cells["split"] for row in rows} == {"train", "val", "test"}
    strings = list(sound_levels.strings(sound_levels.RATES, sound_levels.ACCENTS))
    assert {len(row.words.split()) for row in strings} == {3, 4, 5, 6, 7}


def test_voices_that_sound_alike_are_refused(tmp_path):
    rows = list(sound_levels.digits((110,), ("en",)))[::10][:3]
    (tmp_path / "clips").mkdir()
    for number, row in enumerate(rows):
        (tmp_path / row.file).write_bytes(bytes([number]))
    sound_levels.check_voices(tmp_path, rows)
    (tmp_path / rows[2].file).write_bytes(bytes([1]))
    with pytest.raises(SystemExit, match=r"speaks '0' alike as en\+m3 and as en\+m2"):
        sound_levels.check_voices(tmp_path, rows)


@needs_espeak
@pytest.mark.slow
def test_digits_are_understood_in_new_voices(tmp_path):
    spoken = list(sound_levels.digits((130, 170, 210), ("en-us",)))
    table = sound_levels.speak(tmp_path, spoken)
    dataset = node(table, audio="path", split_column="split", batch_size=16, noise=[20.0, 60.0], num_mels=40)
    tasks = {"digit": {**CLASSES, "target": "digit", "weight": 1.0, "dataset": dataset}}
    backbone = option("backbone", "speech", width=48, num_layers=2, filters=8)
    settings = {"trainer__max_epochs": 20, "trainer__eval_every": 10, "optimizer__lr": 2e-3}
    found = run.train(_toy.config(tasks=tasks, backbone=backbone, trust=[], **settings), tmp_path / "run", [])
    assert found["test"]["digit/accuracy"] > 0.8
    words = [f"checkpoint={tmp_path / 'run'}", f"input={table}", f"output={tmp_path / 'out.csv'}", "quiet=true"]
    assert cli.main_predict(words) == 0
