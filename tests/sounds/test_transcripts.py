"""Runs on transcripts of tones: they are learnt, shuffled ones are not, and clips that are too short are named."""

import pytest

from mtl_cli.errors import UserError
from mtl_cli.runs import run
from tests import _toy
from tests._kinds import option
from tests.sounds._files import node, tone, tone_set, write_table, write_wav

CTC = {
    "_target_": "mtl_cli.tasks.ctc.CTC", "target": "transcript", "weight": 1.0, "pieces": {"kind": "characters"},
    "beam": 1, "head": {"_target_": "mtl_cli.heads.frames.FrameHead", "hidden": []},
}  # fmt: skip


def config(table, task=None, **changes):
    dataset = node(table, audio="path", batch_size=16)
    backbone = option("backbone", "speech", width=24, num_heads=2, num_layers=1, filters=4, subsampling=2, dropout=0.0)
    base = {"tasks": {"transcript": {**CTC, **(task or {}), "dataset": dataset}}, "backbone": backbone, "trust": []}
    return _toy.config(**{**base, **changes})


@pytest.mark.slow
def test_transcripts_of_tones_are_learnt_and_shuffled_ones_are_not(tmp_path):
    found = {}
    for shuffled in (False, True):
        table = tone_set(tmp_path / str(shuffled), 120, shuffled=shuffled, transcripts=True)
        settings = {"trainer__max_epochs": 40, "optimizer__lr": 5e-3, "trainer__eval_every": 10}
        found[shuffled] = run.train(config(table, **settings), tmp_path / f"run {shuffled}", [])["test"]
    assert found[False]["transcript/cer"] < 0.1
    assert found[False]["transcript/exact_match"] > 0.7
    assert found[True]["transcript/cer"] > 0.5


def short_set(folder):
    """Clips of 0.1 s, one of which is to hold 40 letters."""
    import numpy as np

    stream = np.random.default_rng(0)
    rows = []
    for number in range(12):
        write_wav(folder / f"{number}.wav", tone(500, 0.1, stream))
        rows.append({"path": f"{number}.wav", "transcript": "ab" * 20 if number == 7 else "ab", "split": "train"})
    for number, split in ((10, "val"), (11, "test")):
        rows[number]["split"] = split
    return write_table(folder / "table.csv", rows)


def test_a_transcript_longer_than_its_clip_is_named_and_left_out_where_that_is_asked_for(tmp_path, caplog):
    table = short_set(tmp_path)
    broken = config(table, trainer__max_steps=1)
    broken["tasks"]["transcript"]["dataset"]["split_column"] = "split"
    with pytest.raises(UserError) as caught:
        run.train(broken, tmp_path / "run", [])
    (problem,) = caught.value.problems
    assert "1 of 10 train rows have a label that needs more positions" in problem
    assert "row 8, 7.wav (40 in " in problem
    assert "backbone.subsampling=1 or tasks.transcript.skip_unfit=true" in problem
    broken["tasks"]["transcript"]["skip_unfit"] = True
    run.train(broken, tmp_path / "other", [])
    assert "they have no part in the loss" in caplog.text


def test_rows_that_cannot_be_used_are_left_out_with_their_transcripts(tmp_path):
    table = tone_set(tmp_path / "set", 24, transcripts=True)
    (table.parent / "clips/003.wav").write_text("not a sound")
    kept = config(table, trainer__max_steps=1)
    kept["tasks"]["transcript"]["dataset"]["skip_bad"] = True
    run.train(kept, tmp_path / "run", [])
    from mtl_cli.datasets.base import SPLITS
    from mtl_cli.runs.data import _sources

    (source,) = _sources.values()
    texts = dict(line.split(",")[::3] for line in table.read_text().splitlines()[1:])
    pieces = source.field_specs["transcript"].class_names
    seen = 0
    for split in SPLITS:
        rows = source.full_split(split)
        for field in rows.sweep_fields(["transcript"]):
            for place, row in enumerate(field["transcript"].tolist()):
                name = rows.named(place).split(", ")[1]
                assert "".join(pieces[k] for k in row if k > 2) == texts[name]
                seen += 1
    assert seen == 23
