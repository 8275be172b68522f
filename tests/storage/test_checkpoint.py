import io
import os
import pickle
import random
import struct
import sys
import zipfile
from collections import OrderedDict

import pytest
import torch

from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import write_json
from mtl_cli.storage import checkpoint


def state(**changes):
    values = {
        "config": "seed: 0\n",
        "config_hash": "abc",
        "metrics_length": 17,
        "versions": {"torch": "2"},
        "model": OrderedDict(weight=torch.arange(60.0).reshape(3, 20), count=torch.tensor(3)),
        "ema": None,
        "optimizer": {"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "weighting": OrderedDict(),
        "datasets": {"digits": {}},
        "progress": {"step": 12, "best_val": {"a/loss": 0.25}, "best_score": None},
    }
    return {key: value for key, value in {**values, **changes}.items() if value is not ...}


@pytest.fixture
def file(tmp_path):
    return checkpoint.save(tmp_path, 12, state())


def assert_same(left, right):
    assert type(left) is type(right)
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right)
        assert left.dtype == right.dtype
    elif isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            assert_same(left[key], right[key])
    else:
        assert left == right


def alone(path):
    """Remove the checksum beside a checkpoint, as in a file that was sent on its own."""
    checkpoint.digest_path(path).unlink()
    return path


def test_a_checkpoint_comes_back_bit_for_bit_with_its_format(file):
    assert file.name == "step_00000012.pt"
    assert_same(checkpoint.load(file), {"format": checkpoint.FORMAT, **state()})
    assert_same(checkpoint.load(alone(file)), {"format": checkpoint.FORMAT, **state()})


def test_the_checksum_is_in_the_form_of_sha256sum(file):
    import hashlib

    text = checkpoint.digest_path(file).read_text()
    assert text == f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"


@pytest.mark.parametrize("with_checksum", [True, False])
def test_a_truncated_file_is_detected_at_every_length(file, with_checksum):
    data = file.read_bytes()
    if not with_checksum:
        alone(file)
    lengths = [0, 1, 3, 100, len(data) // 3, len(data) // 2, len(data) - 100, len(data) - 22, len(data) - 1]
    for length in lengths:
        file.write_bytes(data[:length])
        with pytest.raises(UserError, match=r"step_00000012\.pt is (damaged|truncated)"):
            checkpoint.load(file)


def test_every_flipped_bit_is_detected_and_the_other_checkpoints_are_named(file, tmp_path):
    other = checkpoint.save(tmp_path, 6, state())
    data = file.read_bytes()
    stream = random.Random(0)
    for _ in range(50):
        flipped = bytearray(data)
        flipped[stream.randrange(len(data))] ^= 1 << stream.randrange(8)
        file.write_bytes(flipped)
        with pytest.raises(UserError, match="is damaged") as caught:
            checkpoint.load(file)
        assert str(other) in str(caught.value)
        assert str(file) not in str(caught.value).partition("Others:")[2]


def test_a_flipped_bit_in_the_content_is_detected_without_the_checksum_beside_it(file):
    data = alone(file).read_bytes()
    expected = {"format": checkpoint.FORMAT, **state()}
    stream = random.Random(1)
    detected = 0
    for _ in range(150):
        flipped = bytearray(data)
        flipped[stream.randrange(len(data))] ^= 1 << stream.randrange(8)
        file.write_bytes(flipped)
        try:
            found = checkpoint.load(file)
        except UserError:
            detected += 1
        else:  # padding and fields that nobody reads: the content must be untouched
            assert_same(found, expected)
    assert detected > 30
    at = data.index(struct.pack("<f", 7.0) + struct.pack("<f", 8.0))
    flipped = bytearray(data)
    flipped[at] ^= 1
    file.write_bytes(flipped)
    with pytest.raises(UserError, match="is damaged: the checksum of its entry"):
        checkpoint.load(file)


class Evil:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def attacks(target):
    return {
        "os.system": Evil(os.system, f"touch {target}"),
        "builtins.eval": Evil(eval, f"open({str(target)!r}, 'w')"),
        "builtins.exec": Evil(exec, f"open({str(target)!r}, 'w').close()"),
        "open": Evil(open, str(target), "w"),
        "torch.load": Evil(torch.load, str(target)),
        "getattr": Evil(getattr, Evil(__import__, "os"), "system"),
    }


@pytest.mark.parametrize("name", sorted(attacks("")))
@pytest.mark.parametrize("place", ["zip", "zip value", "raw pickle", "legacy"])
def test_code_in_a_pickle_does_not_run(tmp_path, name, place):
    target = tmp_path / "ran"
    payload = attacks(target)[name]
    path = tmp_path / "step_00000001.pt"
    if place == "zip":
        torch.save(payload, path)
    elif place == "zip value":
        torch.save({"format": 1, **state(progress=payload)}, path)
    elif place == "legacy":
        torch.save({"format": 1, **state(progress=payload)}, path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(pickle.dumps(payload))
    with pytest.raises(UserError) as caught:
        checkpoint.load(path)
    assert not target.exists()
    assert str(path) in str(caught.value)
    assert str(caught.value).count("\n") == 0
    if place.startswith("zip"):
        assert "it refers to code" in str(caught.value)
        assert name.rpartition(".")[2] in str(caught.value)


def test_the_attacks_are_real(tmp_path):
    target = tmp_path / "ran"
    pickle.loads(pickle.dumps(attacks(target)["builtins.exec"]))
    assert target.exists()


def test_a_class_of_a_module_that_is_not_loaded_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "hostile_module.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "a.pt"
    buffer = io.BytesIO()
    torch.save({"x": 1}, buffer)
    rewrite(buffer.getvalue(), path, pickled=b"\x80\x02chostile_module\nThing\nq\x00.")
    with pytest.raises(UserError, match=r"it refers to code, hostile_module\.Thing"):
        checkpoint.load(path)
    assert "hostile_module" not in sys.modules
    assert not (tmp_path / "ran").exists()


def rewrite(data, path, pickled=None, compression=zipfile.ZIP_STORED):
    """Write the zip `data` again, with another pickle or compressed."""
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(path, "w", compression) as new:
        for entry in old.infolist():
            content = old.read(entry.filename)
            new.writestr(entry.filename, pickled if pickled and entry.filename.endswith("data.pkl") else content)


def test_pickles_that_break_the_unpickler_end_in_a_short_error(file):
    stream = random.Random(2)
    with zipfile.ZipFile(file) as archive:
        (name,) = [entry for entry in archive.namelist() if entry.endswith("data.pkl")]
        good = archive.read(name)
    data = alone(file).read_bytes()
    cases = [
        b"",
        b".",
        b"0.",
        b"\x80\x02a.",
        b"\x80\x02(.",
        b"\x80\x02]" * 1000 + b".",
        b"\x80\x02\x8a\xff.",
        b"K\x01." * 9,
    ]
    cases += [b"\x80\x02X\xff\xff\xff\x7fabc.", b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."]
    for _ in range(150):
        changed = bytearray(good)
        for _ in range(3):
            changed[stream.randrange(len(changed))] = stream.randrange(256)
        cases.append(bytes(changed))
    refused = []
    for case in cases:
        rewrite(data, file, pickled=case)
        try:
            checkpoint.load(file)
        except UserError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert max(map(len, refused)) < 600


def test_a_compressed_bomb_is_refused_without_unpacking_it(file, monkeypatch):
    data = file.read_bytes()
    alone(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry in zipfile.ZipFile(io.BytesIO(data)).infolist():
            archive.writestr(entry.filename, zipfile.ZipFile(io.BytesIO(data)).read(entry.filename))
        archive.writestr("archive/data/99", bytes(100_000_000))
    assert file.stat().st_size < 200_000

    def fail(*args, **kwargs):
        raise AssertionError("unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(UserError, match="unpacks to more than its size"):
        checkpoint.load(file)


def test_one_compressed_entry_is_refused_however_small(file):
    alone(file)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/99", b"small")
    with pytest.raises(UserError, match="unpacks to more than its size"):
        checkpoint.load(file)


def test_entries_that_lie_about_their_size_are_refused(file):
    """An entry that claims 4 GB, and overlapping entries that together hold more than the file."""
    data = bytearray(alone(file).read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 0xFFFFFFF0)
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"unpacks to more|truncated|damaged"):
        checkpoint.load(file)


def test_a_newer_format_is_refused_and_names_both(file):
    alone(file)
    torch.save({"format": checkpoint.FORMAT + 1, **state()}, file)
    with pytest.raises(UserError, match=f"has format {checkpoint.FORMAT + 1}; .* up to {checkpoint.FORMAT}"):
        checkpoint.load(file)


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None])
def test_what_is_no_format_version_is_refused(file, version):
    alone(file)
    torch.save({"format": version, **state()}, file)
    with pytest.raises(UserError, match="holds no format version"):
        checkpoint.load(file)


@pytest.mark.parametrize("content", [{}, [1], torch.zeros(3), {"weight": torch.zeros(3)}])
def test_another_torch_file_is_no_checkpoint(file, content):
    alone(file)
    torch.save(content, file)
    with pytest.raises(UserError, match="is not a checkpoint of mtl-cli"):
        checkpoint.load(file)


@pytest.mark.parametrize("key", sorted(checkpoint.KINDS))
def test_a_missing_key_or_a_value_of_another_kind_is_named(file, key):
    alone(file)
    torch.save({"format": 1, **state(**{key: ...})}, file)
    with pytest.raises(UserError, match=f"it lacks {key}"):
        checkpoint.load(file)
    torch.save({"format": 1, **state(**{key: 0.5})}, file)
    with pytest.raises(UserError, match=f"{key} is of type float"):
        checkpoint.load(file)


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    with pytest.raises(UserError, match=r"Cannot read the checkpoint .*none\.pt: No such file"):
        checkpoint.load(tmp_path / "none.pt")
    with pytest.raises(UserError, match="Cannot read the checkpoint"):
        checkpoint.load(tmp_path)


def run_with(tmp_path, steps=(3, 7), best=3, last=7):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for step in steps:
        path = checkpoint.save(folder, step, state())
        if step == best:
            checkpoint.point(folder, "best", path, step, 0.5)
        if step == last:
            checkpoint.point(folder, "last", path, step, 0.25)
    return folder


def test_find_follows_the_pointers_of_a_run_or_takes_the_file(tmp_path):
    folder = run_with(tmp_path)
    for path in (tmp_path, folder):
        assert checkpoint.find(path, "best").name == "step_00000003.pt"
        assert checkpoint.find(path, "last").name == "step_00000007.pt"
    assert checkpoint.find(folder / "step_00000003.pt", "last") == folder / "step_00000003.pt"
    (folder / "best.json").unlink()
    assert checkpoint.find(tmp_path, "best").name == "step_00000007.pt"  # a run that was not evaluated yet


def test_nothing_to_find_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match="No checkpoint at"):
        checkpoint.find(tmp_path / "none", "best")
    with pytest.raises(UserError, match="had not saved one"):
        checkpoint.find(tmp_path, "best")
    (tmp_path / "manifest.json").touch()
    with pytest.raises(UserError, match="is a bundle of mtl-export, not a run"):
        checkpoint.find(tmp_path, "best")
    folder = run_with(tmp_path)
    (folder / "step_00000003.pt").unlink()
    with pytest.raises(UserError, match=r"best\.json names step_00000003\.pt, which is not there. Others: .*00007"):
        checkpoint.find(tmp_path, "best")


@pytest.mark.parametrize(
    "name",
    ["../secret.pt", "/etc/passwd", "../../step_1.pt", "step_1.pt/../../secret.pt", "step_1.pt\n", "a.pt", 7, None],
)
def test_a_pointer_out_of_its_folder_is_not_followed(tmp_path, name):
    folder = run_with(tmp_path)
    (tmp_path / "secret.pt").write_bytes(b"x")
    for pointer in ("last", "best"):
        write_json(folder / f"{pointer}.json", {"file": name, "step": 1, "score": None})
    newest = checkpoint.newest_good(folder)
    assert newest.file == folder / "step_00000007.pt"
    assert "last.json does not name a checkpoint of its folder but" in newest.problems[0]
    with pytest.raises(
        UserError, match=r"best\.json does not name a checkpoint of its folder but .*Others: .*step_0{7}3"
    ):
        checkpoint.find(tmp_path, "best")


def test_the_newest_good_checkpoint_is_taken_whatever_last_json_says(tmp_path):
    folder = run_with(tmp_path, steps=(3, 7, 123_456_789), last=3)
    assert checkpoint.newest_good(folder).file.name == "step_123456789.pt"  # a name of nine digits is no older one
    (folder / "last.json").unlink()
    newest = checkpoint.newest_good(folder)
    assert (newest.file.name, newest.problems) == ("step_123456789.pt", [])
    newest.file.write_bytes(newest.file.read_bytes()[:1000])
    newest = checkpoint.newest_good(folder)
    assert newest.file.name == "step_00000007.pt"
    assert "step_123456789.pt is damaged" in newest.problems[0]


def test_without_best_json_the_last_checkpoint_knows_the_best(tmp_path, caplog):
    folder = run_with(tmp_path, steps=(3, 5))
    checkpoint.save(folder, 7, state(progress={"step": 7, "best_step": 5}))
    (folder / "best.json").unlink()
    assert checkpoint.find(tmp_path, "best").name == "step_00000005.pt"
    assert "There is no" in caplog.text
    assert "Taking step_00000005.pt" in caplog.text


@pytest.mark.parametrize("text", ["", "{", '{"file": 3}', '{"file": "step_00000099.pt"}'])
def test_a_damaged_best_json_is_only_a_hint(tmp_path, caplog, text):
    folder = run_with(tmp_path, steps=(3, 5))
    checkpoint.save(folder, 7, state(progress={"step": 7, "best_step": 5}))
    (folder / "best.json").write_text(text)
    assert checkpoint.find(tmp_path, "best").name == "step_00000005.pt"
    assert "best.json" in caplog.text
    (folder / "step_00000005.pt").unlink()
    with pytest.raises(UserError, match=r"best.json .* Others: "):
        checkpoint.find(tmp_path, "best")


def test_checkpoints_that_are_set_aside_are_no_longer_found_and_still_load(tmp_path):
    folder = run_with(tmp_path, steps=(3, 7, 9))
    aside = checkpoint.set_aside(folder, 3)
    assert [path.name for path in aside] == ["step_00000009.pt.aside", "step_00000007.pt.aside"]
    assert checkpoint.newest_good(folder).file.name == "step_00000003.pt"
    assert_same(checkpoint.load(aside[0]), {"format": checkpoint.FORMAT, **state()})
    assert sorted(path.name for path in folder.glob("*.pt*"))[0:2] == ["step_00000003.pt", "step_00000003.pt.sha256"]


def test_pruning_sweeps_the_checksum_of_a_checkpoint_that_was_never_written(tmp_path):
    folder = run_with(tmp_path)
    checkpoint.digest_path(folder / "step_00000005.pt").write_text("0 step_00000005.pt")
    checkpoint.prune(folder, keep=5)
    assert len(list(folder.glob("*.sha256"))) == 2


def test_a_link_to_a_file_that_is_no_checkpoint_shows_nothing_of_it(tmp_path):
    folder = run_with(tmp_path)
    (tmp_path / "secret").write_text("password")
    (folder / "step_00000007.pt").unlink()
    (folder / "step_00000007.pt").symlink_to(tmp_path / "secret")
    alone(folder / "step_00000007.pt")
    newest = checkpoint.newest_good(folder)
    assert newest.file.name == "step_00000003.pt"
    assert len(newest.problems) == 1
    assert "password" not in newest.problems[0]
    (folder / "step_00000007.pt").unlink()
    (folder / "step_00000007.pt").symlink_to("/dev/zero")  # endless
    newest = checkpoint.newest_good(folder)
    assert newest.file.name == "step_00000003.pt"
    assert "not there" in newest.problems[0]


def test_pruning_keeps_the_newest_and_what_best_and_last_name(tmp_path):
    folder = run_with(tmp_path, steps=(1, 2, 3, 4, 5, 6), best=2, last=6)
    checkpoint.prune(folder, keep=2)
    assert sorted(path.name for path in folder.glob("step_*")) == [
        f"step_{step:08d}.pt{end}" for step in (2, 5, 6) for end in ("", ".sha256")
    ]
    checkpoint.prune(folder, keep=10)
    assert len(list(folder.glob("step_*.pt"))) == 3


@pytest.mark.parametrize("fatal", [1, 2, 3])
def test_saving_a_step_again_leaves_a_good_checkpoint_whenever_it_is_cut_off(tmp_path, monkeypatch, fatal):
    """A step is saved twice when a run stops right after an evaluation; the `fatal`-th file written does not appear."""
    path = checkpoint.save(tmp_path, 5, state())
    calls = []
    for name in ("write_text", "write_bytes"):
        original = getattr(checkpoint, name)

        def write(file, data, original=original):
            calls.append(file.name)
            if len(calls) == fatal:
                raise RunFailure("No space left on device")
            original(file, data)

        monkeypatch.setattr(checkpoint, name, write)
    with pytest.raises(RunFailure):
        checkpoint.save(tmp_path, 5, state(metrics_length=99))
    monkeypatch.undo()
    assert checkpoint.load(path)["metrics_length"] == (17 if fatal < 3 else 99)
    checkpoint.save(tmp_path, 5, state(metrics_length=123))
    assert checkpoint.load(path)["metrics_length"] == 123
    assert len(checkpoint.digest_path(path).read_text().splitlines()) == 1
