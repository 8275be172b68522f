"""mtl-init on sets of sounds: what it writes trains, evaluates and predicts unedited."""

import csv
import re
import shutil

import numpy as np
import pytest
import soundfile

import mtl_cli
from mtl_cli import cli
from mtl_cli.errors import UserError
from mtl_cli.init.first_look import init_config, survey
from tests.init import _sets
from tests.init._sets import init, printed, yaml_of
from tests.sounds._files import tone, tone_set, write_table, write_wav

TINY = ["backbone.width=8", "backbone.num_heads=2", "backbone.num_layers=1", "backbone.filters=2"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(out, *more):
    _sets.train(out, "data.batch_size=8", *TINY, *more, without=("backbone.",))


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_table_of_wav_files_trains_evaluates_and_predicts(folder, capsys):
    tone_set(folder / "set", 24)
    out = init(capsys, "input=set/table.csv", "target=[tone,speaker]")
    assert "24 clips of 0.1" in out
    assert "sounds: column path" in out
    assert "backbone=speech" in printed(out)
    options = yaml_of(folder, "dataset/table.yaml")
    assert "audio: path" in options
    assert "speed" not in options  # it would change the voices that are to be told apart
    assert "group_column" not in options
    train(out)
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0
    assert cli.main_eval(["checkpoint=run", "input=set/table.csv", "quiet=true"]) == 0
    assert cli.main_predict(["checkpoint=run", "input=set/table.csv", "output=table.csv", "quiet=true"]) == 0
    assert cli.main_predict(["checkpoint=run", "input=set/clips", "output=folder.csv", "quiet=true"]) == 0
    by_table, by_folder = rows_of(folder / "table.csv"), rows_of(folder / "folder.csv")
    assert [row["path"] for row in by_table] == [f"clips/{k:03}.wav" for k in range(24)]
    assert [row["path"] for row in by_folder] == [f"{k:03}.wav" for k in range(24)]
    for one, other in zip(by_table, by_folder, strict=True):
        assert {"tone", "speaker"} <= set(one)  # the table's own columns stay
        assert one["tone_prediction"] == other["tone_prediction"]
        assert one["speaker_prediction"] == other["speaker_prediction"]
    model = mtl_cli.load(folder / "run")
    clips = [f"set/clips/{k:03}.wav" for k in range(24)]
    told = [row["tone_prediction"] for row in by_table]
    assert model.predict(clips)["tone_prediction"].tolist() == told
    assert model.predict([{"path": clip} for clip in clips])["tone_prediction"].tolist() == told
    assert cli.main_eval(["checkpoint=run", "by=[speaker]", "split=train", "quiet=true"]) == 0
    assert cli.main_predict(["checkpoint=run", "input=set/clips/003.wav", "output=one.csv", "quiet=true"]) == 0
    assert rows_of(folder / "one.csv")[0]["tone_prediction"] == by_table[3]["tone_prediction"]


def test_class_folders_need_no_target_and_flac_is_read(folder, capsys):
    stream = np.random.default_rng(0)
    for number in range(20):
        label, hertz = ("up", 900) if number % 2 else ("down", 400)
        (folder / "set" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "set" / label / f"{number}.flac", tone(hertz, 0.2, stream, 16000), 16000)
    out = init(capsys, "input=set")
    assert "(class folders)" in out
    assert "speed: [0.9, 1.1]" in yaml_of(folder, "dataset/set.yaml")
    train(out)
    assert cli.main_predict(["checkpoint=run", "input=set", "output=out.csv", "quiet=true"]) == 0
    rows = rows_of(folder / "out.csv")
    assert {row["audio"].split("/")[0] for row in rows} == {"up", "down"}
    assert {row["label_prediction"] for row in rows} <= {"up", "down"}


def test_speakers_are_kept_apart_where_they_are_no_target_and_parts_of_files_are_found(folder, capsys):
    stream = np.random.default_rng(0)
    write_wav(folder / "long.wav", tone(500, 4.0, stream))
    rows = [
        {
            "wav": "long.wav",
            "start": k / 10,
            "end": (k + 1) / 10,
            "speaker_id": f"s{k % 8}",
            "mood": "ab"[k % 2],
            "x": k,
        }
        for k in range(40)
    ]
    write_table(folder / "parts.csv", rows)
    out = init(capsys, "input=parts.csv", "target=[mood]")
    options = yaml_of(folder, "dataset/parts.yaml")
    assert "group_column: speaker_id" in options
    assert "audio: wav" in options
    assert "start: start" in options
    assert "end: end" in options
    assert "left out: x" in out
    train(out)


def test_transcripts_are_written(folder, capsys):
    tone_set(folder / "set", 24, transcripts=True)
    out = init(capsys, "input=set/table.csv", "target=[transcript,tone]")
    assert re.search(r"Transcripts\n  transcript: ctc, because .* characters, of 4: ' hlm'", out)
    assert "group_column: speaker" in yaml_of(folder, "dataset/table.yaml")
    assert "_target_: mtl_cli.tasks.ctc.CTC" in yaml_of(folder, "task/transcript.yaml")
    train(out)
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0
    (lines,) = (folder / "run/evaluations").glob("*/samples.txt")
    assert re.search(r"row 1  reference  [hlm ]+\n +written", lines.read_text())
    assert cli.main_predict(["checkpoint=run", "input=set/table.csv", "output=table.csv", "quiet=true"]) == 0
    rows = rows_of(folder / "table.csv")
    assert len(rows) == 24
    assert set("".join(row["transcript_prediction"] for row in rows)) <= set(" hlm")
    assert all(0 < float(row["transcript_probability"]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("transcript", ["one", "two", "one", "two"] * 3, "ctc"),
        ("sentence", [f"word {k}" for k in range(12)], "ctc"),
        ("words", ["yes", "no"] * 6, "binary"),
        ("note", [f"some words {k}" for k in range(12)], "ctc"),
        ("code", ["012", "3", "44", "0715", "9", "81", "70", "6", "05", "51", "23", "99"], "ctc"),
        ("transcript", [str(3**k) for k in range(12)], "ctc"),
        ("size", [str(3**k) for k in range(12)], "real"),
        ("word", ["stop", "go", "left"] * 4, "class"),
    ],
)
def test_texts_are_told_from_classes_and_numbers(folder, name, cells, kind):
    stream = np.random.default_rng(0)
    rows = [{"path": f"{k}.wav", name: cell} for k, cell in enumerate(cells)]
    for row in rows:
        write_wav(folder / row["path"], tone(500, 0.3, stream))
    write_table(folder / "t.csv", rows)
    (task,) = survey(folder / "t.csv", {"target": [name]}).tasks
    assert task.kind == kind


def test_kinds_of_transcripts_can_be_told(folder, capsys):
    tone_set(folder / "set", 12)
    out = init(capsys, "input=set/table.csv", "target=[tone]", "kind.tone=seq2seq")
    assert "kind.tone=seq2seq asks for that" in out
    assert "mtl_cli.tasks.seq2seq.Seq2Seq" in yaml_of(folder, "task/tone.yaml")
    train(out)
    assert cli.main_init(["input=set/table.csv", "target=[tone]", "kind.tone=depth", "output=other"]) == 2
    assert "one of ctc, seq2seq" in capsys.readouterr().err


def test_targets_and_kinds_of_class_folders_are_checked(folder, capsys):
    stream = np.random.default_rng(0)
    for number in range(8):
        path = folder / "set" / ("one", "two")[number % 2] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, tone(500, 0.3, stream))
    assert cli.main_init(["input=set", "target=[label,foo]", "output=other"]) == 2
    assert "no column 'foo'. Its columns: audio, label" in capsys.readouterr().err
    init(capsys, "input=set", "kind.label=ctc")
    assert "mtl_cli.tasks.ctc.CTC" in yaml_of(folder, "task/label.yaml")


def test_fewer_frames_are_joined_where_transcripts_are_close(folder):
    stream = np.random.default_rng(0)
    for letters, joined in ((4, None), (12, "2"), (30, "1")):
        rows = []
        for k in range(8):
            write_wav(folder / f"{k}.wav", tone(500, 0.5, stream))
            rows.append({"path": f"{k}.wav", "transcript": "ab" * (letters // 2)})
        write_table(folder / "t.csv", rows)
        overrides = survey(folder / "t.csv", {"target": ["transcript"]}).training().overrides
        assert [word for word in overrides if "subsampling" in word] == (
            [] if joined is None else [f"backbone.subsampling={joined}"]
        )


def test_a_column_of_splits_is_used(folder, capsys):
    table = tone_set(folder / "set", 24)
    lines = table.read_text().splitlines()
    cells = ["split", *(["train"] * 16 + ["val"] * 4 + ["test"] * 4)]
    table.write_text("\n".join(f"{line},{cell}" for line, cell in zip(lines, cells, strict=True)) + "\n")
    out = init(capsys, "input=set/table.csv", "target=[tone]")
    assert "clips are divided by the column split" in out
    assert "split_column: split" in yaml_of(folder, "dataset/table.yaml")
    assert "group_column" not in yaml_of(folder, "dataset/table.yaml")


def test_clips_that_cannot_be_used_are_told_and_left_out(folder, capsys):
    table = tone_set(folder / "set", 24)
    (table.parent / "clips/003.wav").write_text("not a sound")
    write_wav(table.parent / "clips/004.wav", np.zeros(900))
    out = init(capsys, "input=set/table.csv", "target=[tone]")
    assert "Look at these first" in out
    assert "003.wav" in out
    assert re.search(r"Listen to these\n  silent: clips/004\.wav", out)
    assert "skip_bad: true" in yaml_of(folder, "dataset/table.yaml")
    train(out)


def test_a_set_without_a_sound_that_can_be_used_is_refused(folder):
    table = tone_set(folder / "set", 6)
    for clip in (table.parent / "clips").iterdir():
        clip.write_text("not a sound")
    with pytest.raises(UserError, match=r"does not begin as WAV(.|\n)*none of the 6 sounds can be used"):
        init_config("set/table.csv", folder / "conf", {"target": ["tone"]})


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda text: text, {}, "No target is given"),
        (lambda text: text, {"target": ["toon"]}, "has no column 'toon'"),
        (
            lambda text: text.replace("clips/", "gone/"),
            {"target": ["tone"]},
            r"column 'path' names sounds, and none is",
        ),
        (lambda text: text, {"target": ["path"]}, "no column of sounds beside the targets"),
    ],
)
def test_sets_that_cannot_be_used_are_refused(folder, change, options, message):
    table = tone_set(folder / "set", 6)
    table.write_text(change(table.read_text()))
    with pytest.raises(UserError, match=message):
        init_config("set/table.csv", folder / "conf", options)


def test_sounds_are_found_in_a_folder_beside_that_of_the_table(folder, capsys):
    table = tone_set(folder / "set", 12)
    (folder / "set/meta").mkdir()
    names = [{**row, "path": row["path"].removeprefix("clips/")} for row in rows_of(table)]
    write_table(folder / "set/meta/table.csv", names)
    out = init(capsys, "input=set/meta/table.csv", "target=[tone]")
    assert "folder: set/clips" in yaml_of(folder, "dataset/table.yaml")
    train(out)
    new = write_table(folder / "new/new.csv", [{"path": "own.wav"}])
    write_wav(folder / "new/own.wav", tone(400.0, 0.2, np.random.default_rng(1)))
    for path, count in ((new, 1), (folder / "set/meta/table.csv", 12)):  # of its own folder, or of that of training
        assert cli.main_predict(["checkpoint=run", f"input={path}", f"output={count}.csv"]) == 0
        assert len(rows_of(folder / f"{count}.csv")) == count
    capsys.readouterr()
    out = init(capsys, "input=meta/table.csv", "data.root=set", "folder=clips", "target=[tone]", "overwrite=true")
    told = yaml_of(folder, "dataset/table.yaml")
    assert "path: meta/table.csv" in told
    assert "folder: clips" in told
    assert "data.root=set" in printed(out)
    shutil.rmtree("run")
    train(out)
    with pytest.raises(UserError, match=r"'\.\./new', which leaves data\.root=set"):
        init_config("meta/table.csv", folder / "conf", {"data.root": "set", "folder": "../new", "target": ["tone"]})
    with pytest.raises(UserError, match="is not a folder"):
        init_config("set/table.csv", folder / "conf", {"folder": "set/table.csv", "target": ["tone"]})
