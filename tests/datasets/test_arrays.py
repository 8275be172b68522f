import numpy as np
import pytest
import torch

from mtl_cli.datasets.base import SPLITS
from mtl_cli.errors import UserError
from tests.tables._files import arrays, everything


def content(seed=0, rows=60):
    stream = np.random.RandomState(seed)
    x = stream.randn(rows, 3) * [1, 100, 0.01] + [0, 5, 7]
    x[4, 1] = np.nan
    return {
        "x": x, "image": stream.randint(0, 255, (rows, 4, 5), dtype=np.uint8), "color": stream.rand(rows, 3, 4, 5),
        "y": stream.randint(0, 3, rows), "name": np.array(["cat", "dog", ""])[stream.randint(0, 3, rows)],
        "target": stream.randn(rows, 2), "tags": stream.randint(0, 2, (rows, 3)),
        "life": np.stack([stream.rand(rows) + 1, stream.randint(0, 2, rows)], axis=1),
        "id": np.arange(rows), "family": np.arange(rows) // 5, "part": np.array(["train", "val", "test"] * (rows // 3)),
    }  # fmt: skip


TARGETS = {
    "y": {"kind": "class", "column": "y"},
    "name": {"kind": "class", "column": "name"},
    "real": {"kind": "real", "column": "target"},
    "tags": {"kind": "multilabel", "column": "tags"},
    "life": {"kind": "survival", "column": "life"},
    "id": {"kind": "count", "column": "id"},
}


@pytest.fixture
def data(tmp_path):
    np.savez(tmp_path / "data.npz", **content())
    return tmp_path / "data.npz"


def folder(tmp_path, arrays_):
    path = tmp_path / "folder"
    path.mkdir()
    for name, value in arrays_.items():
        np.save(path / f"{name}.npy", value)
    return path


def test_rows_equal_the_arrays_scaled_by_training_statistics(data):
    source, all_ = arrays(data, targets=TARGETS), content()
    train = everything(source, "train").fields["id"].long().numpy()
    mean, std = np.nanmean(all_["x"][train], axis=0), np.nanstd(all_["x"][train], axis=0)
    seen = []
    for split in SPLITS:
        sample = everything(source, split)
        rows = sample.fields["id"].long().numpy()
        seen += rows.tolist()
        np.testing.assert_allclose(sample.inputs, np.nan_to_num((all_["x"][rows] - mean) / std), rtol=1e-5, atol=1e-5)
        assert sample.fields["y"].tolist() == all_["y"][rows].tolist()
        names = [{"cat": 0, "dog": 1, "": -100}[name] for name in all_["name"][rows]]
        assert sample.fields["name"].tolist() == names
        np.testing.assert_allclose(sample.fields["real"], all_["target"][rows], rtol=1e-6)
        np.testing.assert_array_equal(sample.fields["tags"], all_["tags"][rows])
        np.testing.assert_allclose(sample.fields["life"], all_["life"][rows], rtol=1e-6)
    assert sorted(seen) == list(range(60))
    assert source.input_spec.kind == "vector"
    assert source.input_spec.shape == (3,)
    assert source.field_specs["real"].shape == (2,)
    assert source.field_specs["tags"].num_classes == 3


@pytest.mark.parametrize(("name", "shape"), [("image", (1, 4, 5)), ("color", (3, 4, 5))])
def test_images_are_scaled_by_channel(data, name, shape):
    source, all_ = arrays(data, targets=TARGETS, input=name), content()
    assert source.input_spec.kind == "image"
    assert source.input_spec.shape == shape
    sample = everything(source, "train")
    values = all_[name][sample.fields["id"].long().numpy()].reshape(-1, *shape).astype(float)
    wide = (1, shape[0], 1, 1)
    mean, std = values.mean((0, 2, 3)).reshape(wide), values.std((0, 2, 3)).reshape(wide)
    np.testing.assert_allclose(sample.inputs, (values - mean) / std, rtol=1e-4, atol=1e-5)


def test_a_folder_on_disk_gives_what_an_archive_gives(data, tmp_path):
    one = arrays(data, targets=TARGETS)
    two = arrays(folder(tmp_path, content()), targets=TARGETS, memory_mb=0)
    for split in SPLITS:
        left, right = everything(one, split), everything(two, split)
        assert torch.equal(left.inputs, right.inputs)
        for key in left.fields:
            assert torch.equal(left.fields[key], right.fields[key])
    assert type(one.split("train")) is not type(two.split("train"))


def test_state_travels_and_rows_of_other_files_are_encoded_by_it(data, tmp_path):
    source = arrays(data, targets=TARGETS)
    np.savez(tmp_path / "other.npz", **content(seed=1, rows=30))
    loaded = arrays(data, opened=False, targets=TARGETS, test_path=str(tmp_path / "other.npz"))
    loaded.load_state_dict(source.state_dict())
    assert loaded.field_specs == source.field_specs
    assert loaded.example().inputs.shape == (2, 3)
    loaded.open()
    encoded = source.encode_rows(content(seed=1, rows=30)["x"], tmp_path / "other.npz")
    assert torch.equal(everything(loaded, "test").inputs, encoded)
    with pytest.raises(UserError, match=r"rows of shape \(2,\)"):
        source.encode_rows(np.zeros((4, 2)), tmp_path / "other.npz")


def test_splits_by_field_group_and_fold(data):
    by_column = arrays(data, targets=TARGETS, split_column="part")
    assert [everything(by_column, split).fields["id"][0].item() for split in SPLITS] == [0, 1, 2]
    grouped = arrays(data, targets=TARGETS, group_column="family")
    families = [set((everything(grouped, split).fields["id"] // 5).tolist()) for split in SPLITS]
    assert len(set.union(*families)) == sum(len(family) for family in families)
    folds = [everything(arrays(data, targets=TARGETS, folds=3, fold=k), "test").fields["id"] for k in range(3)]
    assert sorted(torch.cat(folds).tolist()) == list(range(60))
