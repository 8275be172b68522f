import numpy as np
import pytest
import torch
from PIL import Image

from mtl_cli.errors import UserError
from mtl_cli.images.listings import form_of, list_images
from mtl_cli.tables.reading import ReadOptions
from tests.images._files import images


def pets(folder):
    """Six pets as they are published: two breeds of dogs and one of cats."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations" / "trimaps").mkdir(parents=True)
    names = ["great_pyrenees_1", "great_pyrenees_2", "Sphynx_7", "Sphynx_8", "pug_1", "pug_2"]
    lines = [f"{name} {k // 2 + 1} {1 if name[0].isupper() else 2} 1" for k, name in enumerate(names)]
    for k, name in enumerate(names):
        Image.fromarray(np.full((12, 10, 3), 30 * k, np.uint8)).save(folder / "images" / f"{name}.jpg")
        trimap = np.full((12, 10), 2, np.uint8)
        trimap[3:9, 2:8], trimap[4:8, 3:7] = 3, 1
        Image.fromarray(trimap).save(folder / "annotations" / "trimaps" / f"{name}.png")
    (folder / "annotations" / "trainval.txt").write_text("\n".join(lines[:4]) + "\n")
    (folder / "annotations" / "test.txt").write_text("#Image CLASS-ID SPECIES BREED\n" + "\n".join(lines[4:]) + "\n")
    return folder


def faces(folder, rows=6):
    """Some aligned faces with three attributes."""
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{k:06}.jpg" for k in range(1, rows + 1)]
    for name in names:
        Image.fromarray(np.zeros((8, 6, 3), np.uint8)).save(folder / "img_align_celeba" / name)
    values = [" ".join("1" if (k >> bit) & 1 else "-1" for bit in range(3)) for k in range(rows)]
    lines = [f"{name}  {value}" for name, value in zip(names, values, strict=True)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(rows), "Bald Smiling Young ", *lines]) + "\n")
    parts = [f"{name} {k * 3 // rows}" for k, name in enumerate(names)]
    (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    return folder


def rows_of(folder):
    return list_images(folder, ReadOptions()).table.to_pylist()


def test_pets_have_a_breed_a_species_and_a_trimap(tmp_path):
    assert form_of(pets(tmp_path)) == "pets"
    found = rows_of(tmp_path)
    assert [(row["breed"], row["species"], row["split"]) for row in found] == [
        *[("great_pyrenees", "dog", "train")] * 2,
        *[("Sphynx", "cat", "train")] * 2,
        *[("pug", "dog", "test")] * 2,
    ]
    trimap = {"pet": {"kind": "mask", "column": "trimap", "values": [2, 1], "missing": [3]}}
    source = images(tmp_path, targets=trimap, split_column="split", val_fraction=0.3)
    mask = source.split("test").__getitems__(torch.tensor([0])).fields["pet"][0].numpy()
    assert mask[0, 0] == 0
    assert mask[5, 5] == 1
    assert mask[3, 2] == -100
    assert len(source.split("test")) == 2


def test_faces_have_attributes_and_the_official_split(tmp_path):
    assert form_of(faces(tmp_path)) == "celeba"
    found = rows_of(tmp_path)
    assert found[5] == {
        "image": "img_align_celeba/000006.jpg", "Bald": 1, "Smiling": 0, "Young": 1, "split": "test",
    }  # fmt: skip
    assert [row["split"] for row in found] == ["train", "train", "val", "val", "test", "test"]


@pytest.mark.parametrize(
    ("make", "file", "text", "said"),
    [
        (pets, "annotations/test.txt", "pug_1 1 3 1", "test.txt, line 1: 'pug_1 1 3 1' is not a name, the numbers"),
        (pets, "annotations/test.txt", "", "test.txt has no line"),
        (faces, "list_eval_partition.txt", "000001.jpg 7", "'000001.jpg 7' is not an image and 0, 1 or 2"),
        (faces, "list_eval_partition.txt", "000001.jpg 1", "line 4: '000002.jpg 1 -1 -1' is not an image of list_eval"),
        (faces, "list_attr_celeba.txt", "2\nBald\n000001.jpg 1\n", "has 1 images, list_eval_partition.txt 6"),
        (faces, "list_attr_celeba.txt", "2\nBald\n000001.jpg 0\n", "line 3: '000001.jpg 0' is not an image of"),
    ],
)
def test_a_list_that_is_not_the_published_one_is_named(tmp_path, make, file, text, said):
    make(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError) as error:
        rows_of(tmp_path)
    assert said in str(error.value)
