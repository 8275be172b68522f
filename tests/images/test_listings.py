"""Folders and annotations become the rows that a person would write down."""

import json

import pytest
from PIL import Image

from mtl_cli.batch import WantedField
from mtl_cli.errors import UserError
from mtl_cli.images.checking import look_at_pictures, read_cells
from mtl_cli.images.listings import form_of, list_images
from mtl_cli.images.picture_targets import parse_picture
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.named_files import Place
from mtl_cli.tables.reading import ReadOptions


def draw(path, size=(10, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def rows_of(path):
    found = list_images(path, ReadOptions())
    assert isinstance(found, Listing)
    return found.table.to_pylist()


def test_class_folders_are_labels_and_folders_of_splits_are_splits(tmp_path):
    for place in ("train/cat/1.png", "train/dog/2.png", "valid/cat/3.png", "test/dog/4.jpg", "test/dog/.5.png"):
        draw(tmp_path / place)
    assert rows_of(tmp_path) == [
        {"image": "test/dog/4.jpg", "label": "dog", "split": "test"},
        {"image": "train/cat/1.png", "label": "cat", "split": "train"},
        {"image": "train/dog/2.png", "label": "dog", "split": "train"},
        {"image": "valid/cat/3.png", "label": "cat", "split": "val"},
    ]


def test_without_splits_there_is_no_such_column(tmp_path):
    draw(tmp_path / "cat/1.png")
    assert rows_of(tmp_path) == [{"image": "cat/1.png", "label": "cat"}]


def test_an_image_outside_class_folders_is_named(tmp_path):
    draw(tmp_path / "cat/1.png")
    draw(tmp_path / "2.png")
    with pytest.raises(UserError, match=r"2.png lie in no class folder"):
        rows_of(tmp_path)


def annotated_at(folder, size):
    """Return the file of COCO of one image a.jpg with a box, annotated at a size (width, height)."""
    path = coco(folder, ["a.jpg"])
    known = json.loads(path.read_text())
    known["images"][0] |= {"width": size[0], "height": size[1]}
    path.write_text(json.dumps(known))
    return path


def coco(folder, images=("a.png",), boxes=((0, 1),), names=("cell", 'a "b"')):
    annotations = [
        {"image_id": image, "category_id": 7 + kind, "bbox": [1, 2, 3, 4], "iscrowd": 0} for image, kind in boxes
    ]
    content = {
        "images": [{"id": k, "file_name": name} for k, name in enumerate(images)],
        "annotations": annotations,
        "categories": [{"id": 7 + k, "name": name} for k, name in enumerate(names)],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder / "boxes.json"


@pytest.mark.parametrize("place", ["a.png", "images/a.png", "deep/below/a.png"])
def test_coco_names_are_looked_for_beside_the_file_and_below(tmp_path, place):
    draw(tmp_path / place)
    (row,) = rows_of(coco(tmp_path))
    assert row["image"] == place
    assert json.loads(row["boxes"]) == [[1, 2, 3, 4, 'a "b"']]
    assert (row["count_cell"], row['count_a "b"']) == (0, 1)


def test_two_images_of_one_name_are_an_error_of_coco(tmp_path):
    draw(tmp_path / "x/a.png")
    draw(tmp_path / "y/a.png")
    with pytest.raises(UserError, match=r"names the image 'a.png', which is there 2 times"):
        rows_of(coco(tmp_path))


def test_an_image_that_is_not_there_is_an_error_of_coco(tmp_path):
    with pytest.raises(UserError, match=r"names the image 'a.png', which is not there"):
        rows_of(coco(tmp_path))


@pytest.mark.parametrize(("boxes", "said"), [(((5, 0),), "image_id 5"), (((0, 9),), "category_id 16")])
def test_a_box_of_nothing_is_an_error_of_coco(tmp_path, boxes, said):
    draw(tmp_path / "a.png")
    with pytest.raises(UserError, match=said):
        rows_of(coco(tmp_path, boxes=boxes))


def test_a_coco_annotation_may_be_polygons_alone_and_crowds_are_told(tmp_path, caplog):
    draw(tmp_path / "a.png")
    content = json.loads(coco(tmp_path, boxes=((0, 0), (0, 1), (0, 1))).read_text())
    first, second, third = content["annotations"]
    del first["bbox"]
    first["segmentation"] = [[1, 2, 4, 2, 4, 6], [0, 3, 1, 3, 1, 5]]
    third["iscrowd"] = 1
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    (row,) = rows_of(tmp_path / "boxes.json")
    assert json.loads(row["boxes"]) == [[0, 2, 4, 4, "cell"], [1, 2, 3, 4, 'a "b"']]
    assert "left out 1 annotations of crowds, such as annotation 2" in caplog.text
    second["bbox"] = []
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="annotation 1: it has neither a bbox nor a segmentation"):
        rows_of(tmp_path / "boxes.json")


def test_a_folder_without_coco_and_a_column_that_is_not_there_are_told(tmp_path):
    draw(tmp_path / "cat/a.png")
    with pytest.raises(UserError, match=r"no file of COCO. Let the layout be found: layout=auto"):
        list_images(tmp_path, ReadOptions(), "coco")
    with pytest.raises(UserError, match=r"no column 'photo'.* Its columns: image, label"):
        read_cells(list_images(tmp_path, ReadOptions()), "photo", {})


@pytest.mark.parametrize("key", ["images", "categories"])
def test_two_ids_of_coco_that_are_one_are_an_error(tmp_path, key):
    draw(tmp_path / "a.png")
    content = json.loads(coco(tmp_path).read_text())
    content[key].append({**content[key][0], "name": "another"})
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"has two {key} of one id"):
        rows_of(tmp_path / "boxes.json")


@pytest.mark.parametrize(
    "content",
    [
        "[1, 2]",
        "{}",
        '{"images": 3}',
        '{"images": [1], "annotations": [2], "categories": [3]}',
        "nonsense",
        "[" * 100_000,
    ],
)
def test_what_is_not_coco_is_said(tmp_path, content):
    (tmp_path / "boxes.json").write_text(content)
    with pytest.raises(UserError, match=r"boxes.json is not"):
        rows_of(tmp_path / "boxes.json")


def test_pascal_voc_counts_pixels_from_1(tmp_path):
    draw(tmp_path / "JPEGImages/a.jpg")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/a.xml").write_text(
        "<annotation><filename>a.jpg</filename><object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin>"
        "<xmax>4</xmax><ymax>6</ymax></bndbox></object></annotation>"
    )
    assert form_of(tmp_path) == "voc"
    (row,) = rows_of(tmp_path)
    assert (row["image"], json.loads(row["boxes"])) == ("JPEGImages/a.jpg", [[0, 1, 4, 5, "cat"]])


def test_entities_of_xml_are_refused(tmp_path):
    (tmp_path / "a.xml").write_text('<!DOCTYPE a [<!ENTITY b "bbbb">]><annotation>&b;</annotation>')
    with pytest.raises(UserError, match="declares entities"):
        rows_of(tmp_path)


def test_yolo_lines_are_shares_of_the_image(tmp_path):
    draw(tmp_path / "images/a.png", (20, 10))
    draw(tmp_path / "images/b.png", (20, 10))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("1 0.5 0.5 0.2 0.4\n")
    (tmp_path / "data.yaml").write_text("names: [cat, dog]\n")
    first, second = rows_of(tmp_path)
    assert json.loads(first["boxes"]) == [[8.0, 3.0, 4.0, 4.0, "dog"]]
    assert (first["count_cat"], first["count_dog"]) == (0, 1)
    assert json.loads(second["boxes"]) == []


@pytest.mark.parametrize("place", ["{0}/{1}", "{1}/{0}"])
def test_splits_of_yolo_are_folders_above_or_below_its_own(tmp_path, place):
    for split, name in (("train", "a"), ("valid", "b"), ("test", "c")):
        draw(tmp_path / place.format("images", split) / f"{name}.png", (20, 10))
        labels = tmp_path / place.format("labels", split)
        labels.mkdir(parents=True)
        (labels / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.4 0.9\n")
    assert form_of(tmp_path) == "yolo"
    rows = {row["image"][-5:]: row for row in rows_of(tmp_path)}
    assert {name: row["split"] for name, row in rows.items()} == {"a.png": "train", "b.png": "val", "c.png": "test"}
    assert all(json.loads(row["boxes"]) == [[8.0, 3.0, 4.0, 4.0, "0"]] for row in rows.values())


def test_an_outline_of_yolo_is_the_box_around_it(tmp_path):
    draw(tmp_path / "images/a.png", (20, 10))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.1 0.2 0.5 0.2 0.5 0.8 0.25 0.9\n")
    (tmp_path / "labels/classes.txt").write_text("cat\n")
    (row,) = rows_of(tmp_path)
    assert json.loads(row["boxes"]) == [[2.0, 2.0, 8.0, 7.0, "cat"]]


@pytest.mark.parametrize(
    "line", ["0.5 0.5 0.5 0.2 0.4", "-1 0.5 0.5 0.2 0.4", "0 0.5 0.5 0.2", "0 .1 .1 .2 .2 .3 .3 .4"]
)
def test_lines_of_yolo_that_are_neither_boxes_nor_outlines_are_named(tmp_path, line):
    draw(tmp_path / "images/a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text(line)
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(UserError, match=r"a.txt, line 1: .* is not a box of a known class"):
        rows_of(tmp_path)


def test_labels_of_yolo_without_an_image_are_named(tmp_path):
    draw(tmp_path / "images/a.png")
    (tmp_path / "labels").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"labels/{name}.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    with pytest.raises(UserError, match=r"b.txt and 1 others have no image"):
        rows_of(tmp_path)


def test_a_bad_line_of_yolo_is_named(tmp_path):
    draw(tmp_path / "images/a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.2 0.4\n9 0.5 0.5 0.2 0.4\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(UserError, match=r"a.txt, line 2: '9 0.5 0.5 0.2 0.4' is not a box of a known class"):
        rows_of(tmp_path)


@pytest.mark.parametrize("split", [None, "train"])
def test_label_images_of_the_same_names_are_columns(tmp_path, split):
    root = tmp_path / split if split else tmp_path
    for place in ("images/a.jpg", "images/sub/b.jpg", "masks/a.png", "masks/sub/b_mask.png"):
        draw(root / place)
    for place in ("depth/a.npy", "depth/sub/b.npy"):
        touch(root / place)
    assert form_of(tmp_path) == "pairs"
    prefix = f"{split}/" if split else ""
    more = {"split": split} if split else {}
    assert rows_of(tmp_path) == [
        {"image": f"{prefix}images/a.jpg", "depth": f"{prefix}depth/a.npy", "masks": f"{prefix}masks/a.png", **more},
        {"image": f"{prefix}images/sub/b.jpg", "depth": f"{prefix}depth/sub/b.npy",
         "masks": f"{prefix}masks/sub/b_mask.png", **more},
    ]  # fmt: skip


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def test_label_images_beside_their_images_are_a_column(tmp_path):
    for name in ("a.png", "a_mask.png", "b_2.png", "b_2_mask.png"):
        draw(tmp_path / name)
    assert rows_of(tmp_path) == [{"image": "a.png", "mask": "a_mask.png"}, {"image": "b_2.png", "mask": "b_2_mask.png"}]


def test_an_image_without_its_mask_is_named(tmp_path):
    for name in ("images/a.png", "images/b.png", "masks/a.png"):
        draw(tmp_path / name)
    with pytest.raises(UserError, match=r"1 label images are missing: images/b.png \(no masks\)"):
        rows_of(tmp_path)


def annotated(file, images, category="cell", key=1):
    """A file of COCO with a box in each of some images."""
    content = {
        "images": [{"id": k, "file_name": name} for k, name in enumerate(images)],
        "annotations": [{"image_id": k, "category_id": key, "bbox": [1, 1, 2, 2]} for k in range(len(images))],
        "categories": [{"id": key, "name": category}],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("places", ["annotations/instances_{}2017.json", "{}/_annotations.coco.json", "{}.json"])
def test_a_file_of_coco_for_each_split_is_one_set(tmp_path, places):
    for split, category in (("train", "cell"), ("val", "dust")):
        draw(tmp_path / f"{split}/1.png")
        annotated(tmp_path / places.format(split), ["1.png"], category)
    listing = list_images(tmp_path, ReadOptions(), "coco")
    assert {file.name for file in listing.annotations} == {(tmp_path / places.format(s)).name for s in ("train", "val")}
    found = [listing.table[name].to_pylist() for name in ("image", "split", "count_cell", "count_dust")]
    assert found == [["train/1.png", "val/1.png"], ["train", "val"], [1, 0], [0, 1]]


def test_one_image_in_two_splits_of_coco_is_an_error(tmp_path):
    draw(tmp_path / "images/1.png")
    for split in ("train", "val"):
        annotated(tmp_path / f"annotations/{split}.json", ["1.png"])
    with pytest.raises(UserError, match=r"images/1.png in two splits"):
        list_images(tmp_path, ReadOptions(), "coco")


def test_several_files_of_coco_for_one_split_are_an_error(tmp_path):
    for kind in ("instances", "persons"):
        annotated(tmp_path / f"annotations/{kind}_train.json", [])
    with pytest.raises(UserError, match=r"annotations/instances_train.json, annotations/persons_train.json"):
        list_images(tmp_path, ReadOptions(), "coco")


def test_a_file_in_annotations_names_images_beside_that_folder(tmp_path):
    draw(tmp_path / "train/1.png")
    annotated(tmp_path / "annotations/cells.json", ["1.png"])
    listing = list_images(tmp_path / "annotations/cells.json", ReadOptions())
    assert (listing.folder, listing.table["image"].to_pylist()) == (tmp_path, ["train/1.png"])


def test_lists_of_voc_are_its_splits(tmp_path):
    for k in range(3):
        draw(tmp_path / f"JPEGImages/{k}.png")
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        (tmp_path / f"Annotations/{k}.xml").write_text(f"<annotation><filename>{k}.png</filename></annotation>")
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n2 1\n")
    assert "split" not in rows_of(tmp_path)[0], "an image is in no list"
    (lists / "val.txt").write_text("1\n")
    assert [row["split"] for row in rows_of(tmp_path)] == ["train", "val", "train"]


def test_labels_of_yolo_beside_images_need_names_of_classes(tmp_path):
    draw(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.2 0.5")
    assert form_of(tmp_path) == "classes"
    (tmp_path / "classes.txt").write_text("cell\n")
    (row,) = rows_of(tmp_path)
    assert json.loads(row["boxes"]) == [[4, 2, 2, 4, "cell"]]


def test_a_class_may_be_called_null(tmp_path):
    for name in ("null", "NA"):
        draw(tmp_path / name / "1.png")
    listing = list_images(tmp_path, ReadOptions())
    assert listing.options.missing_values == ()
    kept = list_images(tmp_path, ReadOptions(missing_values=("NA",)))
    assert kept.options.missing_values == ("NA",)


@pytest.mark.parametrize("folders", [("train", "val"), ("train", "train_extra", "val")])
def test_folders_of_splits_are_not_classes(tmp_path, folders):
    for name in folders:
        draw(tmp_path / name / "1.png")
    with pytest.raises(UserError, match="as splits are, and not as classes"):
        rows_of(tmp_path)


def test_train_may_be_a_class(tmp_path):
    for name in ("train", "car"):
        draw(tmp_path / name / "1.png")
    assert [row["label"] for row in rows_of(tmp_path)] == ["car", "train"]


@pytest.mark.parametrize(
    ("size", "orientation", "said"),
    [((40, 30), 1, None), ((30, 40), 1, "1 images are not as large as it tells"), ((30, 40), 6, "rotation")],
)
def test_images_of_another_size_than_their_annotations_tell_are_told(tmp_path, caplog, size, orientation, said):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 30) if orientation == 1 else (30, 40)).save(tmp_path / "a.jpg", exif=exif)
    listing = list_images(annotated_at(tmp_path, size), ReadOptions())
    target = parse_picture(WantedField("boxes", "boxes", "boxes", {}))
    checked, problems, _ = look_at_pictures(listing, "image", {"boxes": target}, Place(tmp_path, tmp_path), False)
    assert checked.bad == ({0} if said == "rotation" else set())
    assert said is None or said in " ".join([caplog.text, *problems])
    assert bool(said) == bool([*caplog.records, *problems])


@pytest.mark.parametrize(
    ("xml", "image", "told", "split"),
    [
        ("annotations/a.xml", "images/a.png", "a.png", None),
        ("Annotations/a.xml", "JPEGImages/a.png", "a", None),
        ("Annotations/a.xml", "JPEGImages/a.png", "photo of a holiday.jpg", None),
        ("train/a.xml", "train/a.png", "a.png", "train"),
        ("valid/Annotations/a.xml", "valid/images/a.png", "a.png", "val"),
    ],
)
def test_pascal_voc_lies_in_many_places(tmp_path, xml, image, told, split):
    draw(tmp_path / image)
    draw(tmp_path / "train/b.jpg" if split else tmp_path / "b.jpg")
    (tmp_path / xml).parent.mkdir(parents=True, exist_ok=True)
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    (tmp_path / xml).write_text(
        f"<annotation><filename>{told}</filename><object><name>cat</name>{box}</object></annotation>"
    )
    assert form_of(tmp_path) == "voc"
    (row,) = rows_of(tmp_path)
    assert row["image"] == image
    assert row.get("split") == split


def test_some_images_of_coco_that_are_not_there_are_told_by_their_names(tmp_path):
    draw(tmp_path / "part/a.png")
    path = coco(tmp_path, ["part\\a.png", "b.png"])
    assert [row["image"] for row in rows_of(path)] == ["part/a.png", "b.png"]
