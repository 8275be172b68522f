"""A run knows what its files held: it does not go on with other data, and evaluations say so."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mtl_cli import cli
from mtl_cli.errors import UserError
from mtl_cli.runs.data_files import FILES, Evaluated, changes, fingerprints, refuse_changes
from mtl_cli.storage import checkpoint
from mtl_cli.storage import fingerprints as digests
from mtl_cli.storage.fingerprints import Fingerprint
from tests.images._official_files import write_mnist
from tests.tables._files import arrays, made, tabular, write_csv

CASE = Path(__file__).parent.parent / "cases" / "file_changed.csv"
RUN = [
    "--config-dir", "conf", "task=a+b", "backbone=tabular", "backbone.dropout=0", "trainer.max_epochs=2",
    "hydra.run.dir=run", "quiet=true", "trainer.device=cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on the table of the case."""
    folder = tmp_path_factory.mktemp("data_files")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(CASE, "data.csv")
        assert cli.main_init(["input=data.csv", "target=[a,b]", "output=conf"]) == 0
        assert cli.main(RUN) == 0
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    """A copy of the run, which is as good as the run itself."""
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def flipped(lines):
    return [lines[0], *(f"{line[:-4]}{line[-2]},{1 - int(line[-2])}\n" for line in lines[1:])]


CHANGES = {
    "a row more": lambda lines: [*lines, lines[-1]],
    "half the rows": lambda lines: lines[:150],
    "another order": lambda lines: [lines[0], *sorted(lines[1:])],
    "other labels": flipped,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_table_is_not_trained_on_and_its_division_is_not_evaluated(folder, capsys, change):
    lines = Path("data.csv").read_text().splitlines(keepends=True)
    Path("data.csv").write_text("".join(CHANGES[change](lines)))
    capsys.readouterr()
    assert cli.main(["resume=run", "trainer.max_epochs=3"]) == 2
    assert "data.csv holds something else than when the run was made" in capsys.readouterr().err
    assert cli.main_eval(["checkpoint=run"]) == 2
    assert "tasks.a.dataset.test_path=FILE" in capsys.readouterr().err
    assert cli.main_predict(["checkpoint=run", "input=data.csv", "output=out.csv"]) == 0
    assert "Rows that were trained on may be among these rows" in capsys.readouterr().out


def test_the_advice_of_a_refused_evaluation_works(folder, capsys):
    lines = Path("data.csv").read_text().splitlines(keepends=True)
    Path("new.csv").write_text("".join([lines[0], *lines[200:]]))
    Path("data.csv").write_text("".join(lines[:200]))
    capsys.readouterr()
    words = [f"tasks.{task}.dataset.test_path=new.csv" for task in ("a", "b")]
    assert cli.main_eval(["checkpoint=run", *words]) == 0
    assert "trained" not in capsys.readouterr().out
    assert cli.main_eval(["checkpoint=run", "input=new.csv"]) == 0
    assert cli.main(["init_from=run", *(word for word in RUN if "run.dir" not in word), "hydra.run.dir=other"]) == 0
    found = [json.loads(path.read_text()) for path in sorted(Path("run/evaluations").glob("*/metrics.json"))]
    assert found[0]["metrics"] == found[1]["metrics"]


def test_content_decides_and_a_copied_folder_goes_on(folder):
    os.utime("data.csv", (1, 1))
    assert cli.main(["resume=run", "trainer.max_epochs=3", "quiet=true"]) == 0
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0


def test_rows_that_are_added_do_not_matter_where_ids_divide(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    header, *rows = CASE.read_text().splitlines()
    Path("data.csv").write_text("\n".join([f"id,{header}", *(f"{k},{row}" for k, row in enumerate(rows))]) + "\n")
    assert cli.main_init(["input=data.csv", "target=[a,b]", "output=conf"]) == 0
    ids = [f"tasks.{task}.dataset.{word}" for task in ("a", "b") for word in ("id_column=id", "stratify=null")]
    assert cli.main([*RUN, *ids]) == 0
    with Path("data.csv").open("a") as file:
        file.writelines(f"{1000 + k},{row}\n" for k, row in enumerate(rows[:100]))
    capsys.readouterr()
    assert cli.main_eval(["checkpoint=run"]) == 0
    assert "The metrics are those of the rows that are there now" in capsys.readouterr().out
    assert cli.main(["resume=run", "trainer.max_epochs=3"]) == 2


def test_an_evaluation_tells_and_records_file_split_and_rows(folder, capsys):
    capsys.readouterr()
    assert cli.main_eval(["checkpoint=run", "split=val"]) == 0
    assert "45 rows of data.csv (val split); tasks a, b" in capsys.readouterr().out
    Path("conf").rename("unused")
    Path("data.csv").rename("moved.csv")  # a file of its own needs nothing of the run but the checkpoint
    assert cli.main_eval(["checkpoint=run", "input=moved.csv"]) == 0
    told = capsys.readouterr().out
    assert "300 rows of moved.csv; tasks a, b" in told
    assert "moved.csv is the file that the run was trained on" in told
    val, whole = (json.loads(next(Path("run/evaluations").glob(f"*_{name}_000/metrics.json")).read_text())
                  for name in ("val", "input"))  # fmt: skip
    assert val["data"]["a"] | {"sha256": None} == {
        "split": "val", "rows": 45, "files": ["data.csv"], "sha256": None, "tasks": ["a", "b"]
    }  # fmt: skip
    assert val["data"]["a"]["sha256"]["path"] == Fingerprint.of([Path("moved.csv")]).digest
    assert whole["data"]["a"]["rows"] == 300


def test_words_that_cannot_be_evaluated_are_told(folder, capsys):
    Path("inputs.csv").write_text("\n".join(line.rsplit(",", 2)[0] for line in CASE.read_text().splitlines()) + "\n")
    capsys.readouterr()
    assert cli.main_eval(["checkpoint=run", "input=inputs.csv"]) == 2
    assert "inputs.csv has no label of a, b" in capsys.readouterr().err
    assert cli.main_eval(["checkpoint=run", "input=data.csv", "split=val"]) == 2
    assert "Leave out split=val, or input" in capsys.readouterr().err
    assert cli.main_eval(["checkpoint=run", "input=none.csv"]) == 2
    assert "No input at none.csv" in capsys.readouterr().err


# --- all kinds of sources


def state_with_files(source):
    return {FILES: {name: vars(each) for name, each in fingerprints(source).items()}}


def test_every_file_of_a_table_is_known(tmp_path):
    rows = [[k / 7, k % 2] for k in range(60)]
    keys = ("path", "val_path", "test_path")
    paths = {key: str(write_csv(tmp_path / f"{key}.csv", ["x", "y"], rows)) for key in keys}
    state = state_with_files(tabular(**paths))
    for key, path in paths.items():
        before = Path(path).read_bytes()
        Path(path).write_bytes(before.replace(b"0,0", b"0,1", 1))
        source = tabular(**paths)
        assert [change.name for change in changes(source, state)] == [key]
        with pytest.raises(UserError, match="something else than when the run was made"):
            refuse_changes("t", source, state)
        check = Evaluated("test", lambda dataset: False)
        check("t", source, state)  # only its own file matters to the test split, and that one is not divided
        Path(path).write_bytes(before)


def test_arrays_in_a_folder_have_one_digest_and_other_files_do_not_count(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(40.0).reshape(20, 2))
    np.save(tmp_path / "y.npy", np.arange(20) % 2)
    state = state_with_files(arrays(tmp_path))
    assert state[FILES]["path"]["files"] == 2
    (tmp_path / "notes.txt").write_text("nothing")
    assert not changes(arrays(tmp_path), state)
    moved = shutil.copytree(tmp_path, tmp_path.parent / "moved")
    assert not changes(arrays(moved), state)
    np.save(tmp_path / "y.npy", np.arange(20)[::-1] % 2)
    (change,) = changes(arrays(tmp_path), state)
    assert "The 2 files such as" in str(change)


def test_official_and_packaged_images_are_known(tmp_path):
    from mtl_cli.datasets.letters import Letters
    from mtl_cli.datasets.mnist_digits import MnistDigits

    assert fingerprints(Letters("packaged", None, 8))["images"].files == 1
    write_mnist(tmp_path / "MNIST" / "raw")
    state = state_with_files(MnistDigits("torchvision", str(tmp_path), 8))
    assert state[FILES]["images"]["files"] == 4
    file = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    content = bytearray(file.read_bytes())
    content[-1], content[-2] = content[-2], content[-1]
    file.write_bytes(content)
    assert changes(MnistDigits("torchvision", str(tmp_path), 8), state)


def test_sentences_and_texts_are_known(tmp_path):
    from mtl_cli.datasets.conll import Conll
    from mtl_cli.datasets.text import Text
    from tests.tables._files import defaults

    (tmp_path / "a.conll").write_text("a N\nb V\n\n" * 20)
    columns = {"path": str(tmp_path / "a.conll"), "columns": ["word", "tag"]}
    assert set(fingerprints(made(Conll, defaults("conll") | columns))) == {"path"}
    path = write_csv(tmp_path / "t.csv", ["text", "y"], [["a b", k % 2] for k in range(20)])
    assert set(fingerprints(made(Text, defaults("text") | {"path": str(path), "text": "text"}))) == {"path"}


def test_a_state_from_before_and_one_that_is_nonsense(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["x", "y"], [[k, k % 2] for k in range(30)])
    assert changes(tabular(path), {}) == []
    with pytest.raises(UserError, match="fingerprints of files cannot be used"):
        changes(tabular(path), {FILES: {"path": 3}})


def test_large_files_that_did_not_change_are_hashed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "REMEMBERED", 1)
    monkeypatch.setattr(digests, "SETTLED", -1.0)
    path = tmp_path / "large.bin"
    path.write_bytes(b"1" * 1000)
    first = Fingerprint.of([path])
    hashed = []
    monkeypatch.setattr(digests, "_content", lambda file: hashed.append(file) or "new")
    for process in range(2):
        assert Fingerprint.of([path]) == first
        digests._known.clear()  # as another process has it
        assert not hashed, process
    path.write_bytes(b"2" * 1000)
    assert Fingerprint.of([path]).digest == "new"


def test_a_checkpoint_keeps_content_alone(folder):
    state = checkpoint.load(checkpoint.find(folder / "run", "best"))
    (files,) = [each[FILES] for each in state["datasets"].values()]
    assert files == {"path": vars(Fingerprint.of([folder / "data.csv"]))}
