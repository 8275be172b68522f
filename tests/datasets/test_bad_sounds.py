"""Sounds that cannot be used are named, all at one look; those that deserve a look are told and used."""

import logging
import os

import numpy as np
import pytest
import soundfile
import torch

from mtl_cli.datasets.base import SPLITS
from mtl_cli.errors import UserError
from tests.sounds._files import RATE, audio, tone, tone_set, write_wav


@pytest.fixture
def table(tmp_path):
    return tone_set(tmp_path, 12)


def spoil(table):
    """Make every kind of bad clip."""
    clips = table.parent / "clips"
    (clips / "000.wav").unlink()
    (clips / "001.wav").write_bytes(b"")
    (clips / "002.wav").write_text("This is a text.")
    (clips / "003.wav").write_bytes((clips / "003.wav").read_bytes()[:900])
    write_wav(clips / "004.wav", np.zeros(0))
    write_wav(table.parent.parent / "outside.wav", np.zeros(800))
    (clips / "005.wav").unlink()
    os.symlink(table.parent.parent / "outside.wav", clips / "005.wav")


def test_bad_clips_are_named_together(tmp_path):
    table = tone_set(tmp_path / "set", 12)
    spoil(table)
    with pytest.raises(UserError) as caught:
        audio(table)
    problems = "\n".join(caught.value.problems)
    for row, what in enumerate(("not there", "no byte", "does not begin as WAV", "cut off", "no sample", "leaves")):
        assert f"row {row + 1}: " in problems
        assert what in problems
    assert "skip_bad=true" in problems


def test_new_clips_that_are_bad_are_named_with_other_advice(tmp_path):
    source = audio(tone_set(tmp_path / "set", 12))
    spoil(tone_set(tmp_path / "new", 12))
    with pytest.raises(UserError) as caught:
        list(source.reading(tmp_path / "new" / "table.csv").batches(5))
    assert caught.value.problems[-1] == "Leave them out: skip_bad=true of mtl-predict."
    assert len(caught.value.problems) == 7
    reading = source.reading(tmp_path / "new" / "table.csv")
    reading.leave_out_bad()
    found = list(reading.batches(5))
    assert [name for rows in found for name in rows.names] == [str(row) for row in range(6, 12)]
    cells = [path for rows in found for path in rows.own.column("path").to_pylist()]
    assert cells == [f"clips/{row:03}.wav" for row in range(6, 12)], "each row keeps its own cells"


def test_bad_clips_are_left_out_and_counted_where_that_is_asked_for(tmp_path, caplog):
    caplog.set_level(logging.INFO, "mtl_cli")
    table = tone_set(tmp_path / "set", 24)
    spoil(table)
    soundfile.write(table.parent / "clips/006.wav", np.array([0.1, np.nan]), RATE, subtype="FLOAT")
    source = audio(table, skip_bad=True)
    assert sum(len(source.split(split)) for split in SPLITS) == 17
    assert "7 of 24 rows are left out" in caplog.text


def test_silent_and_clipped_clips_are_told_and_used(table, caplog):
    caplog.set_level(logging.INFO, "mtl_cli")
    write_wav(table.parent / "clips/001.wav", np.zeros(1000))
    write_wav(table.parent / "clips/002.wav", np.sign(tone(400, 0.2, np.random.default_rng(0))))
    source = audio(table)
    assert sum(len(source.split(split)) for split in SPLITS) == 12
    assert "1 of 12 clips are silent: clips/001.wav" in caplog.text
    assert "1 of 12 clips are clipped" in caplog.text
    rows = source.split("train").__getitems__(torch.arange(3)).inputs["frames"]
    assert rows.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio": "sound"}, r"has no column 'sound'.*Its columns: path, tone, speaker"),
        ({"speed": [0.1, 1.1]}, r"speed is \[0\.1, 1\.1\].*Use speed=\[0\.9,1\.1\]"),
        ({"noise": [40, 10]}, "noise is"),
        ({"start": "tone"}, r"row 1, column 'tone': '(low|middle|high)' is not a number of seconds"),
        ({"features": "cepstrum"}, "log_mel"),
        ({"form": "cube"}, "sequence"),
    ],
)
def test_options_that_do_not_fit_are_told(table, changes, message):
    with pytest.raises(UserError, match=message):
        audio(table, **changes)


def test_a_path_out_of_the_folder_is_refused(tmp_path):
    write_wav(tmp_path / "outside.wav", np.ones(800) / 2)
    table = tone_set(tmp_path / "set", 6)
    table.write_text(table.read_text().replace("clips/002.wav", "../outside.wav"))
    with pytest.raises(UserError, match=r"row 3: .*outside\.wav leaves"):
        audio(table)
