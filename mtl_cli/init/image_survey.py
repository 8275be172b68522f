"""What mtl-init found in a set of images, and its lines of YAML and of the report."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from mtl_cli.batch import WantedField
from mtl_cli.errors import UserError
from mtl_cli.images.checking import look_at_pictures, read_cells
from mtl_cli.images.listings import form_of, list_images
from mtl_cli.images.picture_targets import parse_picture
from mtl_cli.images.points import named_points
from mtl_cli.init.asked import Asked, slug
from mtl_cli.init.found_targets import HEAD, association_sections, found_task, stratum_lines, target_section
from mtl_cli.init.guess import Guess
from mtl_cli.init.image_beside import FoundBeside, find_beside, telling_counts
from mtl_cli.init.image_folder import WORDS
from mtl_cli.init.image_looking import Looked, image_columns, image_sizes, look_at_labels, require_inside
from mtl_cli.init.image_points import pairs_of
from mtl_cli.init.labels import guess_targets, read_labels
from mtl_cli.init.notation import Written, written
from mtl_cli.init.proposals import TRAIN_SHARE
from mtl_cli.init.row_survey import reading_lines
from mtl_cli.init.running_text import running_text
from mtl_cli.init.splits import split_of, unseen_classes
from mtl_cli.init.yaml_files import FileSurvey, FoundTask, Section, Training, comment, entry, group_lines
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.named_files import Place
from mtl_cli.tables.reading import ReadOptions, TableFile, require_columns

ROTATION = "mtl_cli.tasks.classification.Rotation"
MAP_HEAD = "    head: {_target_: mtl_cli.heads.map.MapHead, hidden: [], dropout: 0.0, norm: group, activation: relu}\n"
PICTURES = {
    "mask": ("mtl_cli.tasks.segmentation.Segmentation", MAP_HEAD, "miou", "dice, pixel_accuracy"),
    "depth": ("mtl_cli.tasks.depth.Depth", MAP_HEAD, "rel_err", "abs_err"),
    "normals": ("mtl_cli.tasks.normals.Normals", MAP_HEAD, "mean_angle", "median_angle"),
    "keypoints": (
        "mtl_cli.tasks.keypoints.Keypoints",
        "    head: {_target_: mtl_cli.heads.keypoints.KeypointHead, hidden: 32}\n",
        "error",
        "pck, visibility",
    ),
    "boxes": (
        "mtl_cli.tasks.detection.Detection",
        "    score_threshold: null  # boxes of a lower score do not count; null: fitted on validation images\n"
        "    head: {_target_: mtl_cli.heads.centers.CenterHead}\n",
        "map50",
        "map, count_mae, count_rel",
    ),
}
"""Class, further arguments, primary metric and the other metrics of the task for each kind of picture."""
POINT_KIND = "keypoints"
KINDS = {"segmentation": "mask", "depth": "depth", "normals": "normals", "detection": "boxes"}
"""What `kind.COLUMN=` may say of a column of pictures, and the kind of target."""
SHOWN = 6
"""Folders that a line names."""
WINDOW, WHOLE = 128, 400
"""Side of the window that dense labels are learnt in, and the largest image whose boxes are learnt whole."""
LARGEST_SIDE, STRIDE = 128, 16
DENSE_STEPS, BOX_STEPS, CLASS_STEPS = 500, 900, 600
"""Optimizer steps of what is proposed."""
LOOKS = 12
"""Evaluations of a run on boxes, at least: mean average precision takes longer than an epoch of a small set."""


@dataclass(frozen=True)
class Picture:
    """A target of pictures, boxes or points, and what it was taken for."""

    name: str
    columns: tuple[str, ...]
    looked: Looked

    @property
    def column(self) -> str:
        """The column, or the first of those of points."""
        return self.columns[0]

    @property
    def reading(self) -> dict[str, Any]:
        """How its labels are read."""
        own = self.column == self.name or len(self.columns) > 1
        return {**({} if own else {"column": self.column}), **self.looked.reading}


@dataclass(frozen=True)
class ImageSurvey(FileSurvey):
    """Images with labels of whole images, of pixels, or boxes."""

    dataset: ClassVar[str] = "images"

    listing: TableFile
    image: str
    count: int
    sizes: Sequence[tuple[int, int]]
    pictures: Sequence[Picture]
    rows: Written
    guesses: Sequence[Guess]
    group: str | None
    split: str | None
    notes: Sequence[str]
    bad: Sequence[str]
    form: str
    beside: FoundBeside | None = None
    folder: str | None = None
    unseen: Sequence[str] = ()

    @property
    def size(self) -> str:
        """Number of images and their sizes."""
        sizes = sorted(set(self.sizes), key=lambda size: size[0] * size[1])
        told = f"{sizes[0][1]}×{sizes[0][0]}" if sizes else "unread"
        more = f" to {sizes[-1][1]}×{sizes[-1][0]} ({len(sizes)} sizes)" if len(sizes) > 1 else ""
        return f"{self.count} images of {told}{more}"

    @property
    def how(self) -> str:
        """How the set is laid out."""
        form = form_of(self.listing.path) if self.form == "auto" else self.form
        return WORDS.get(form, "a table")

    @property
    def tasks(self) -> list[FoundTask]:
        """A task for each target."""
        found = []
        for each in self.pictures:
            kind, why = each.looked.kind, each.looked.why
            found.append(FoundTask(each.name, kind, why, *PICTURES[kind], each.reading))
        return [*found, *(found_task(guess, self.rows.missing) for guess in self.guesses)]

    @property
    def auxiliary(self) -> list[FoundTask]:
        """How far an image was turned, where training images are square."""
        sides = self.window or self.one_size or (self.sizes[0] if len(set(self.sizes)) == 1 else (0, 1))
        if sides[0] != sides[1] or "turn" in self.listing.columns:
            return []
        why = "an auxiliary task without labels: by how many quarters the image was turned"
        return [FoundTask("turn", "rotation", why, ROTATION, HEAD, "accuracy", "f1", label="turn")]

    @property
    def kinds(self) -> set[str]:
        """The kinds of pictures among the targets."""
        return {each.looked.kind for each in self.pictures}

    def option_lines(self) -> list[str]:
        """Return the column of images, their size and how they change in training, and how rows are divided."""
        lines = [] if isinstance(self.listing, Listing) else reading_lines(self.rows.file)
        if self.form != "auto":
            lines.append(entry("layout", self.form))
        if self.image != "image":
            lines.append(entry("image", self.image))
        if self.bad:
            lines.append(entry("skip_bad", True, f"{self.bad[0]} Without it training refuses the set"))
        lines += [*self.size_lines(), *self.change_lines(), *(self.beside.option_lines() if self.beside else [])]
        if self.split:
            return [*lines, entry("split_column", self.split, "it names the split of every image")]
        return [*lines, *(group_lines(self.group) if self.group else stratum_lines(self.guesses))]

    @property
    def window(self) -> tuple[int, int] | None:
        """The window of training images; None where they are taken whole."""
        if POINT_KIND in self.kinds:
            return None
        low = [min(sides) for sides in zip(*self.sizes, strict=True)]
        same = len(set(self.sizes)) == 1
        if "boxes" in self.kinds:
            return None if same and max(low) <= WHOLE else (WHOLE // STRIDE * STRIDE,) * 2
        if not self.kinds or (same and max(low) <= WINDOW):
            return None
        height, width = (min(WINDOW, max(STRIDE, side // STRIDE * STRIDE)) for side in low)
        return height, width

    @property
    def one_size(self) -> tuple[int, int] | None:
        """The size that images are brought into where labels are of whole images, or points; None: as they are."""
        small = len(set(self.sizes)) == 1 and max(self.sizes[0]) <= LARGEST_SIDE
        if small or (self.kinds and POINT_KIND not in self.kinds):
            return None
        typical = [sorted(max(size) for size in self.sizes)[len(self.sizes) // 2]]
        side = min(LARGEST_SIDE, max(2 * STRIDE, math.ceil(typical[0] / STRIDE) * STRIDE))
        return side, side

    def size_lines(self) -> list[str]:
        """Return the YAML of a window or of one size."""
        if self.one_size:
            return [entry("size", list(self.one_size), "images are brought into it, their proportions kept")]
        return [entry("crop", list(self.window), "a random window in training; evaluated whole")] if self.window else []

    def change_lines(self) -> list[str]:
        """Return the YAML of the changes that suit most photographs."""
        lines = [
            comment("changes in training; set flip: 0.0 where left and right differ, as in letters and digits"),
            self.flip_line(),
            entry("zoom", [0.8, 1.25]),
            entry("rotate", 10.0),
        ]
        if not self.window:
            lines.append(entry("shift", 0.1))
        return [*lines, entry("brightness", 0.2), entry("contrast", 0.2)]

    def flip_line(self) -> str:
        """Return the YAML of flips; points that have no pairs of left and right are not flipped."""
        points = [each for each in self.pictures if each.looked.kind == POINT_KIND]
        if all("swapped" in each.looked.reading or len(each.looked.points) == 1 for each in points):
            return entry("flip", 0.5)
        return entry("flip", 0.0, "to flip, name in `swapped` of the task which points change places")

    def report(self) -> list[Section]:
        """Return targets, inputs and how the targets hang together."""
        lines = [f"{each.name}: {_said(each)}" for each in self.pictures]
        sections = [Section("Targets of pictures", lines)] if lines else []
        if self.guesses:
            sections.append(target_section(self.guesses, self.count))
        inputs = [f"image: column {self.image}", *(self.beside.told() if self.beside else [])]
        if self.beside and (look := self.beside.inputs.warnings):
            sections.insert(0, Section("Look at these columns first: they may hold the answer", look))
        if self.unseen:
            sections.insert(0, Section("Look at these classes first: training cannot learn them", self.unseen))
        if self.bad:
            sections.insert(0, Section("Look at these first: training leaves them out (skip_bad: true)", self.bad))
        return [*sections, Section("Inputs", [*inputs, *self.notes]), *association_sections(self.guesses)]

    def training(self) -> Training:
        """Return backbone, batch size and epochs."""
        backbone = self.dense_backbone() if self.kinds else self.class_backbone()
        batch, steps = (
            (8, BOX_STEPS) if "boxes" in self.kinds else (16, DENSE_STEPS) if self.kinds else (32, CLASS_STEPS)
        )
        epochs = max(6, math.ceil(steps / max(1, TRAIN_SHARE * self.count / batch)))
        hints = [f"for a quick look: trainer.max_epochs={max(2, epochs // 8)}"]
        looks = [f"trainer.eval_every={epochs // LOOKS}"] if "boxes" in self.kinds and epochs >= 2 * LOOKS else []
        return Training([*backbone, f"data.batch_size={batch}", f"trainer.max_epochs={epochs}", *looks], hints)

    def dense_backbone(self) -> list[str]:
        """Return a backbone for labels of pixels or, where there are only boxes, a coarser one."""
        if not self.kinds <= {"boxes", POINT_KIND}:
            return ["backbone=unet"]
        return ["backbone=unet", "backbone.stride=4", "'backbone.channels=[32,64,128,128]'"]

    def class_backbone(self) -> list[str]:
        """Return a backbone for labels of whole images, as deep as their size allows."""
        height, width = self.one_size or self.sizes[0]
        depth = max(1, min(4, int(math.log2(max(2, min(height, width)))) - 2))
        channels = ",".join(str(32 * 2**level) for level in range(depth))
        return ["backbone=cnn", f"'backbone.channels=[{channels}]'", "backbone.norm=group"]


def _said(each: Picture) -> str:
    task, _, primary, others = PICTURES[each.looked.kind]
    return f"{task.rpartition('.')[2].lower()}: {each.looked.why}. Metric: {primary} (also {others})"


def survey_images(
    path: Path, file: TableFile | None, asked: Asked, kinds: Mapping[str, str], form: str = "auto"
) -> ImageSurvey:
    """Return a first look at a set of images; `file` is its table where it is one, `form` a layout that was told.

    Raises:
        UserError: the set cannot be used, or a target is not there.
    """
    listing = list_images(path, ReadOptions(), form) if file is None else file
    require_columns(asked.taken, listing.columns, path)
    place = asked.place(listing)
    folder = place.folder
    found = image_columns(listing, folder)
    image = next((name for name in found if name not in asked.answers), None)
    if image is None:
        raise UserError(
            f"{path} has no column of images beside the targets. Its columns: {', '.join(listing.columns)}."
        )
    asked = asked if asked.targets else replace(asked, targets=usual_targets(listing))
    names, _ = read_cells(listing, image, {})
    require_inside(place, names, path)
    pictures = [
        Picture(name, tuple(columns), looked)
        for name, columns in asked.targets.items()
        if (looked := look_at_target(listing, folder, columns, found, kinds)) is not None
    ]
    others = {name: columns for name, columns in asked.targets.items() if name not in {p.name for p in pictures}}
    asked = replace(asked, targets=others)
    taken = {image, *found, *asked.taken, *(column for each in pictures for column in each.columns)}
    split = asked.split or split_of(listing, [n for n in listing.columns if n not in (*taken, "boxes", "points")])
    left = [name for name in listing.columns if name not in taken and name != split]
    texts = [] if isinstance(listing, Listing) else running_text(listing, [n for n in listing.columns if n not in left])
    plain = [] if isinstance(listing, Listing) else [n for n in left if n not in {text.name for text in texts}]
    rows = written(listing, [*asked.answers, *plain], asked)
    labels = read_labels(rows.file, rows.profile.columns, asked.answers, len(names), rows.missing)
    guesses = guess_targets(rows.file, labels, asked, len(names), rows.missing) if others else ()
    beside = None
    if plain or texts:
        numbered = [(p.name, p.column) for p in pictures if p.column in found]
        telling = telling_counts(listing, plain, folder, numbered)
        beside = find_beside(rows, [name for name in plain if name not in telling], texts, guesses, telling)
    unread = [name for name in listing.columns if name in found and name != image and name not in asked.answers]
    unread += left if isinstance(listing, Listing) else []
    unread = [name for name in unread if name not in {each.column for each in pictures}]
    notes = [f"left out: {', '.join(unread)} (not inputs)"] if unread else []
    notes += empty_classes(listing)
    look = [] if split is None or asked.group else unseen_classes(listing, split, guesses)
    bad = bad_rows(listing, image, pictures, place)
    return ImageSurvey(
        listing, image, len(names), image_sizes(folder, names), pictures, rows, guesses, asked.group,
        None if asked.group else split, [*notes, *rows.notes], bad, form, beside, asked.folder, look,
    )  # fmt: skip


def bad_rows(listing: TableFile, image: str, pictures: Sequence[Picture], place: Place) -> list[str]:
    """Return what training could not use of a set: files and boxes, the first of them and how many there are.

    Raises:
        UserError: it is half of the images or more.
    """
    targets = {
        each.name: parse_picture(WantedField(each.name, each.name, each.looked.kind, each.reading)) for each in pictures
    }
    checked, problems, parts = look_at_pictures(listing, image, targets, place, skip=False)
    if not problems and not any(parts.values()):
        return []
    told = checked.first_of([*problems, *(each for found in parts.values() for each in found)])[:-1]
    if 2 * len(checked.bad) >= len(checked.images):
        raise UserError([*told, f"{len(checked.bad)} of {len(checked.images)} images cannot be used. Repair them."])
    return told


def empty_classes(listing: TableFile) -> list[str]:
    """Return that folders beside class folders hold no image, as lines of the report."""
    if not isinstance(listing, Listing) or "label" not in listing.columns or not listing.path.is_dir():
        return []
    folders = {folder for folder in listing.path.rglob("*") if folder.is_dir() and not any(folder.iterdir())}
    told = ", ".join(folder.relative_to(listing.path).as_posix() for folder in sorted(folders)[:SHOWN])
    return [f"left out: {told} (folders without an image)"] if folders else []


def usual_targets(listing: TableFile) -> dict[str, list[str]]:
    """Return the targets of a set where none is asked for: points, boxes, or the class of class folders.

    Raises:
        UserError: it is a table, whose targets nobody can guess.
    """
    for column in ("points", "boxes", "label"):
        if isinstance(listing, Listing) and column in listing.columns:
            if column == "label" and len(kinds := set(listing.table.column(column).to_pylist())) == 1:
                raise UserError(
                    f"All images of {listing.path} lie in one class folder, '{kinds.pop()}'. Add a folder for each "
                    "other class, or give a table of the images with columns to predict."
                )
            return {column: [column]}
    if isinstance(listing, Listing):
        return {slug(name, "mask"): [name] for name in listing.columns if name not in ("image", "split")}
    raise UserError("No target is given. Use for example 'target=[label,mask]', the columns to predict.")


def look_at_target(
    listing: TableFile, folder: Path, columns: Sequence[str], images: Sequence[str], kinds: Mapping[str, str]
) -> Looked | None:
    """Return what a target of pictures, boxes or points is, None for labels of whole images.

    Raises:
        UserError: a kind is asked for that there is not, or that does not fit the column.
    """
    (column, *more) = columns
    wanted = kinds.get(column)
    if wanted is not None and wanted not in KINDS:
        raise UserError(f"kind.{column} is '{wanted}'; it is one of {', '.join(KINDS)}.")
    if isinstance(listing, Listing) and column == "boxes":
        return Looked("boxes", {}, "boxes of the annotations")
    if isinstance(listing, Listing) and column == "points":
        cells, _ = read_cells(listing, column, {})
        names = list(dict.fromkeys(name for cell in cells if cell for name in json.loads(cell)))
        return Looked(POINT_KIND, pairs_of(names), f"{len(names)} points of the largest object of each image", names)
    if names := named_points(columns):
        reading = {"points": names, **pairs_of(names)}
        return Looked(POINT_KIND, reading, f"{len(names)} points in columns of x and y", names)
    if column not in images:
        if wanted is not None:
            raise UserError(f"kind.{column} is '{wanted}', but the column does not name images that are there.")
        return None
    if more:
        raise UserError(f"target {'+'.join(columns)}: label images are one column each. Use target=[a,b].")
    cells, _ = read_cells(listing, column, {})
    if wanted == "detection":
        return Looked("boxes", {}, "boxes around the objects of the label images")
    asked = f"kind.{column}={wanted} asks for that"
    if wanted in ("depth", "normals"):
        return Looked(wanted, {}, asked)
    found = look_at_labels(column, [folder / cell for cell in cells if cell])
    return found if wanted is None else replace(found, kind=KINDS[wanted], why=asked)
