"""Sounds as inputs, against features of the files."""

import json
import logging

import numpy as np
import pytest
import torch

from mtl_cli.batch import InputSpec
from mtl_cli.datasets.base import SPLITS
from mtl_cli.errors import UserError
from mtl_cli.seeding import seeded
from mtl_cli.sounds.reading import read_samples
from mtl_cli.sounds.resampling import resampled
from mtl_cli.training.reading import augmented
from tests.sounds._files import RATE, audio, tone, tone_set, write_table, write_wav


@pytest.fixture
def table(tmp_path):
    return tone_set(tmp_path, 12)


def names_of(rows):
    return [rows.clips.names[number] for number in rows.numbers]


@pytest.mark.parametrize("memory_mb", [256, 0], ids=["in memory", "from files"])
def test_rows_are_the_features_of_the_files_with_their_labels(table, memory_mb):
    source = audio(table, memory_mb=memory_mb)
    assert source.input_spec == InputSpec("sound", (20,))
    labels = dict(line.split(",")[:2] for line in table.read_text().splitlines()[1:])
    seen = 0
    for split in SPLITS:
        rows = source.split(split)
        batch = rows.__getitems__(torch.arange(len(rows)))
        for place, name in enumerate(names_of(rows)):
            expected = source._frames.of(read_samples(table.parent / name))
            length = len(expected)
            assert rows.lengths[place] == length
            assert batch.inputs["mask"][place].tolist() == [k < length for k in range(batch.inputs["mask"].shape[1])]
            torch.testing.assert_close(batch.inputs["frames"][place, :length], expected, rtol=0, atol=1e-6)
            assert (batch.inputs["frames"][place, length:] == 0).all()
            assert source.field_specs["tone"].class_names[batch.fields["tone"][place]] == labels[name]
            seen += 1
    assert seen == 12


def test_features_are_normalised_over_the_training_clips(table):
    source = audio(table)
    rows = source.split("train")
    every = torch.cat([source._frames.of(read_samples(table.parent / name)) for name in names_of(rows)])
    assert every.mean(dim=0).abs().max() < 1e-3
    assert (every.std(dim=0) - 1).abs().max() < 1e-2


def test_every_rate_is_brought_to_one(tmp_path):
    stream = np.random.default_rng(0)
    rows = []
    for number in range(8):
        rate = 22050 if number == 3 else RATE
        write_wav(tmp_path / f"{number}.wav", tone(600, 0.3, stream, rate), rate)
        rows.append({"path": f"{number}.wav", "tone": "ab"[number % 2]})
    source = audio(write_table(tmp_path / "t.csv", rows))
    assert source._frames.rate == RATE
    clips = source.split("train").clips
    sound = clips.read(3, RATE)
    np.testing.assert_array_equal(sound, resampled(read_samples(tmp_path / "3.wav"), 22050, RATE))
    assert len(sound) == clips.samples(3, RATE) == 2400
    assert audio(tmp_path / "t.csv", rate=4000)._frames.rate == 4000


def test_parts_of_files_are_clips(tmp_path):
    stream = np.random.default_rng(0)
    whole = np.concatenate([tone(400, 0.5, stream), tone(900, 0.5, stream)])
    write_wav(tmp_path / "a.wav", whole)
    rows = [{"path": "a.wav", "tone": "xy"[k % 2], "from": 0.1 * k, "to": 0.1 * k + 0.1} for k in range(9)]
    rows.append({"path": "a.wav", "tone": "x", "from": "", "to": ""})
    source = audio(write_table(tmp_path / "t.csv", rows), start="from", end="to")
    clips = source.split("train").clips
    np.testing.assert_array_equal(clips.read(4, RATE), read_samples(tmp_path / "a.wav")[3200:4000])
    np.testing.assert_array_equal(clips.read(9, RATE), read_samples(tmp_path / "a.wav"))
    rows[2]["to"] = 5.0
    with pytest.raises(UserError, match=r"row 3: .*a\.wav has no part from second 0\.2 to 5: it is 1\.00 s long"):
        audio(write_table(tmp_path / "t.csv", rows), start="from", end="to")


def test_class_folders_are_read_with_their_splits(tmp_path):
    stream = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in ("yes", "no"):
            for number in range(3):
                write_wav(tmp_path / split / label / f"{number}.wav", tone(500, 0.2, stream))
    targets = {"label": {"kind": "class", "column": "label"}}
    source = audio(tmp_path, audio="audio", targets=targets, split_column="split")
    for split, folder in (("train", "train"), ("val", "validation"), ("test", "test")):
        names = names_of(source.split(split))
        assert len(names) == 6
        assert {name.split("/")[0] for name in names} == {folder}
    assert source.field_specs["label"].class_names == ("no", "yes")


def test_speakers_stay_in_one_split(table):
    source = audio(table, group_column="speaker", val_fraction=0.25, test_fraction=0.25)
    speakers = dict(line.split(",")[::2] for line in table.read_text().splitlines()[1:])
    found = [{speakers[name] for name in names_of(source.split(split))} for split in SPLITS]
    assert all(found)
    assert sum(map(len, found)) == len(set().union(*found))


def test_maps_are_images_of_one_size(table):
    source = audio(table, form="map")
    longest = max(int(source.split("train").lengths.max()), 0)
    assert source.input_spec == InputSpec("image", (1, 20, longest))
    sequence = audio(table).split("train").__getitems__(torch.tensor([0]))
    row = source.split("train").__getitems__(torch.tensor([0])).inputs
    length = sequence.inputs["frames"].shape[1]
    torch.testing.assert_close(row[0, 0, :, :length], sequence.inputs["frames"][0].T)
    assert (row[0, 0, :, length:] == 0).all()
    assert source.example().inputs.shape == (2, 1, 20, longest)


def test_a_clip_longer_than_maps_is_refused_and_cut_only_where_that_is_asked_for(table):
    write_wav(table.parent / "clips/000.wav", tone(500, 3.0, np.random.default_rng(0)))
    split = {"split_column": "split"}
    lines = table.read_text().splitlines()
    cells = ["split", "test", *["train"] * 9, "val", "test"]
    table.write_text("\n".join(f"{line},{cell}" for line, cell in zip(lines, cells, strict=True)) + "\n")
    with pytest.raises(UserError, match=r"1 clips are longer than the maps.*000\.wav.*max_seconds"):
        audio(table, form="map", **split)
    cut = audio(table, form="map", max_seconds=0.2, **split)
    assert cut.input_spec.shape == (1, 20, cut._frames.count(1600))


def test_long_clips_are_cut_only_where_that_is_asked_for_and_counted(table, caplog):
    caplog.set_level(logging.INFO, "mtl_cli")
    assert audio(table).split("train").lengths.max() > 14
    assert "cut" not in caplog.text
    source = audio(table, max_seconds=0.12)
    assert max(int(source.split(split).lengths.max()) for split in SPLITS) == source._frames.count(960)
    assert "clips are cut after 0.12 s" in caplog.text


def test_state_travels_without_refitting(table, tmp_path):
    first = audio(table)
    other = tone_set(tmp_path / "other", 5)
    second = audio(other, opened=False)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    second.open()
    assert second._frames == first._frames
    assert second.input_spec == first.input_spec
    assert second.field_specs == first.field_specs
    assert len(second.split("train")) + len(second.split("val")) + len(second.split("test")) == 5


@pytest.mark.parametrize("parts", [False, True])
def test_rows_can_be_given_again_as_they_were(table, parts):
    lines = table.read_text().splitlines()
    spans = ["from,to", *[f"0.01,{0.05 + 0.001 * k}" for k in range(12)]]
    table.write_text("\n".join(f"{line},{span}" for line, span in zip(lines, spans, strict=True)) + "\n")
    source = audio(table, **({"start": "from", "end": "to"} if parts else {}))
    rows = source.split("train")
    (again,) = source.reading_of(source.given_rows("train", 5)).batches(10)
    expected = rows.__getitems__(torch.arange(5)).inputs
    torch.testing.assert_close(again.inputs["frames"], expected["frames"], rtol=0, atol=0)
    assert torch.equal(again.inputs["mask"], expected["mask"])


def test_changes_are_a_pure_function_of_the_draw_and_leave_evaluation_alone(table):
    how = {"speed": [0.8, 1.2], "gain": 6.0, "noise": [10, 30], "time_masks": 1, "frequency_masks": 1}
    source, plain = audio(table, **how), audio(table)
    rows = source.split("train")
    indices = torch.arange(3)

    def drawn(number):
        seeds = [(0, "augment", "tone", number, place) for place in range(3)]
        return augmented(rows.apart(indices, source.field_specs), source.augmentation, source.field_specs, seeds)

    first, again, other = drawn(7), drawn(7), drawn(8)
    torch.testing.assert_close(first.inputs, again.inputs, rtol=0, atol=0)
    assert first.inputs["frames"].shape != other.inputs["frames"].shape or not torch.equal(
        first.inputs["frames"], other.inputs["frames"]
    )
    assert torch.equal(first.fields["tone"], rows.fields["tone"][:3])
    same = rows.__getitems__(indices).inputs["frames"]
    torch.testing.assert_close(same, plain.split("train").__getitems__(indices).inputs["frames"], rtol=0, atol=0)


def test_speed_changes_length_and_pitch(table):
    source = audio(table, speed=[1.25, 1.25])
    (row,) = source.split("train").apart(torch.tensor([0]), source.field_specs)
    with seeded(0):
        changed = source.augmentation(row)
    faster = resampled(row.inputs.numpy(), 50, 40)
    torch.testing.assert_close(changed.inputs["frames"], source._frames.of(faster))
    assert len(changed.inputs["frames"]) == source._frames.count(round(len(row.inputs) / 1.25))


def test_stripes_hide_features_with_their_mean(table):
    source = audio(table, time_masks=1, time_mask=0.5, frequency_masks=1, frequency_mask=0.5)
    rows = source.split("train")
    plain = rows.__getitems__(torch.tensor([0])).inputs["frames"][0]
    hidden = set()
    for seed in range(12):
        with seeded(seed):
            changed = source.augmentation(rows.apart(torch.tensor([0]), source.field_specs)[0]).inputs["frames"]
        zero = changed == 0
        assert torch.equal(changed[~zero], plain[~zero])
        times, heights = zero.all(dim=1), zero.all(dim=0)
        assert torch.equal(zero, times[:, None] | heights[None, :])
        assert times.sum() <= len(plain) // 2
        assert heights.sum() <= 10
        hidden.add((int(times.sum()), int(heights.sum())))
    assert len(hidden) > 3


def test_noise_is_as_loud_as_it_is_said_to_be(table):
    source = audio(table, noise=[10, 10])
    (row,) = source.split("train").apart(torch.tensor([0]), source.field_specs)
    with seeded(0):
        noisy = source.augmentation._changed(row.inputs.numpy())
    added = noisy - row.inputs.numpy()
    ratio = 10 * np.log10((row.inputs.numpy() ** 2).mean() / (added**2).mean())
    assert ratio == pytest.approx(10, abs=0.5)
