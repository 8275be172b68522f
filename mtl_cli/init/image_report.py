"""What mtl-init found in a set of images, and its lines of YAML and of the report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mtl_cli.images.box_table import BoxTable
from mtl_cli.images.listings import form_of
from mtl_cli.init.found_targets import HEAD, association_sections, dividing_lines, found_task, target_section
from mtl_cli.init.guess import Guess
from mtl_cli.init.image_beside import FoundBeside
from mtl_cli.init.image_folder import WORDS
from mtl_cli.init.image_targets import PICTURES, POINT_KIND, Picture
from mtl_cli.init.notation import Written
from mtl_cli.init.proposals import TRAIN_SHARE
from mtl_cli.init.row_survey import reading_lines
from mtl_cli.init.yaml_files import FileSurvey, FoundTask, Section, Training, bad_lines, bad_sections, comment, entry
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.reading import TableFile

ROTATION = "mtl_cli.tasks.classification.Rotation"
OWN_IMAGES = "    dataset: {rotation: true}  # images of its own, turned; other tasks learn from upright ones\n"
WINDOW, WHOLE = 128, 400
"""Side of the window that dense labels are learnt in, and the largest image whose boxes are learnt whole."""
LARGEST_SIDE, STRIDE = 128, 16
DENSE_STEPS, BOX_STEPS, CLASS_STEPS = 500, 900, 600
"""Optimizer steps of what is proposed."""
LOOKS = 12
"""Evaluations of a run on boxes, at least: mean average precision takes longer than an epoch of a small set."""


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
    def encoding(self) -> str | None:
        """The encoding of a table of CSV or TSV."""
        return self.listing.options.encoding if self.listing.is_text else None

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
            looked = each.looked
            task, arguments, primary, others = PICTURES[looked.kind]
            found.append(FoundTask(each.name, looked.kind, looked.why, task, arguments, primary, others, each.reading))
        return [*found, *(found_task(guess, self.rows.missing) for guess in self.guesses)]

    @property
    def auxiliary(self) -> list[FoundTask]:
        """How far an image was turned, where training images are square."""
        sides = self.window or self.one_size or (self.sizes[0] if len(set(self.sizes)) == 1 else (0, 1))
        if sides[0] != sides[1] or "turn" in self.listing.columns:
            return []
        why = "an auxiliary task without labels: by how many quarters the image was turned"
        return [FoundTask("turn", "rotation", why, ROTATION, HEAD + OWN_IMAGES, "accuracy", "f1", label="turn")]

    @property
    def kinds(self) -> set[str]:
        """The kinds of pictures among the targets."""
        return {each.looked.kind for each in self.pictures}

    def option_lines(self) -> list[str]:
        """Return the column of images, their size and how they change in training, and how rows are divided."""
        file = self.listing.source if isinstance(self.listing, BoxTable) else self.rows.file
        lines = [] if isinstance(file, Listing) else reading_lines(file)
        if self.form != "auto":
            lines.append(entry("layout", self.form))
        if self.image != "image":
            lines.append(entry("image", self.image))
        lines += [*bad_lines(self.bad), *self.size_lines(), *self.change_lines()]
        lines += self.beside.option_lines() if self.beside else []
        return [*lines, *dividing_lines(self.split, self.group, self.guesses, "image")]

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
        return [
            *bad_sections(self.bad),
            *sections,
            Section("Inputs", [*inputs, *self.notes]),
            *association_sections(self.guesses),
        ]

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
