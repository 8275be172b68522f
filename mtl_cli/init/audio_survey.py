"""What mtl-init found in a set of sounds, and its lines of YAML and of the report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from mtl_cli.errors import UserError
from mtl_cli.init.asked import Asked
from mtl_cli.init.audio_looking import (
    SPEAKERS,
    Heard,
    listen,
    sound_columns,
    span_columns,
    speaker_column,
)
from mtl_cli.init.audio_texts import JOINED, Transcript, find_transcripts
from mtl_cli.init.found_targets import association_sections, dividing_lines, found_task, target_section
from mtl_cli.init.guess import Guess
from mtl_cli.init.labels import guess_targets, read_labels
from mtl_cli.init.notation import Written, written
from mtl_cli.init.proposals import MOST_LOOKS, TRAIN_SHARE
from mtl_cli.init.row_survey import reading_lines
from mtl_cli.init.splits import split_of
from mtl_cli.init.yaml_files import (
    FileSurvey,
    FoundTask,
    Section,
    Training,
    bad_lines,
    bad_sections,
    comment,
    entry,
    told_division,
)
from mtl_cli.sounds.checking import ClipOptions, check_clips
from mtl_cli.sounds.looking import LONG
from mtl_cli.sounds.reading import ENDINGS
from mtl_cli.tables.listing import Listing, class_rows
from mtl_cli.tables.named_files import Place
from mtl_cli.tables.reading import ReadOptions, TableFile, require_columns

BATCH, STEPS, VOICE_STEPS, TEXT_STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 32, 900, 2400, 2400, 8, 200
"""Clips per step, and optimizer steps (about voices, and with transcripts: more) and passes of what is proposed."""
FASTEST = 1.1
"""The fastest speed that is proposed."""


@dataclass(frozen=True)
class AudioSurvey(FileSurvey):
    """Sounds with labels of whole clips, and transcripts."""

    dataset: ClassVar[str] = "audio"

    listing: TableFile
    clips: ClipOptions
    count: int
    heard: Heard
    rows: Written
    guesses: Sequence[Guess]
    texts: Sequence[Transcript]
    group: str | None
    split: str | None
    notes: Sequence[str]
    bad: Sequence[str]
    folder: str | None = None

    @property
    def encoding(self) -> str | None:
        """The encoding of a table of CSV or TSV."""
        return self.listing.options.encoding if self.listing.is_text else None

    @property
    def size(self) -> str:
        """Number of clips and their lengths."""
        seconds = self.heard.seconds
        if not len(seconds):
            return f"{self.count} clips, of which none can be used"
        told = f"{seconds.min():.2f} to {seconds.max():.2f} s, {seconds.sum() / 60:.1f} minutes in all"
        return f"{self.count} clips of {told}"

    @property
    def how(self) -> str:
        """How the set is laid out."""
        return "class folders" if isinstance(self.listing, Listing) else "a table"

    @property
    def tasks(self) -> list[FoundTask]:
        """A task for each target."""
        return [*(each.task for each in self.texts), *(found_task(guess, self.rows.missing) for guess in self.guesses)]

    def option_lines(self) -> list[str]:
        """Return the columns of sounds, how they change in training, and how rows are divided."""
        lines = [] if isinstance(self.listing, Listing) else reading_lines(self.rows.file)
        for key, default in vars(ClipOptions()).items():
            if (value := getattr(self.clips, key)) != default and key != "skip_bad":
                lines.append(entry(key, value))
        lines += [*bad_lines(self.bad), *self.change_lines()]
        return [*lines, *dividing_lines(self.split, self.group, self.guesses, "clip")]

    @property
    def about_voices(self) -> bool:
        """Whether a target is about who speaks, which a change of speed would change."""
        return any(SPEAKERS.fullmatch(name) for guess in self.guesses for name in (guess.name, *guess.names))

    def change_lines(self) -> list[str]:
        """Return the YAML of the changes that suit most sounds."""
        lines = [comment("changes in training")]
        if not self.about_voices:
            lines.append(entry("speed", [0.9, FASTEST], "the pitch changes with it"))
        lines += [entry("gain", 6.0), entry("noise", [20.0, 60.0], "decibels of the clip above white noise")]
        return [*lines, entry("time_masks", 1), entry("frequency_masks", 1)]

    def report(self) -> list[Section]:
        """Return targets, inputs and how the targets hang together."""
        inputs = [f"sounds: column {self.clips.audio}"]
        if self.clips.start:
            inputs.append(f"each clip is a part of its file: from column {self.clips.start} to {self.clips.end}")
        sections = [Section("Inputs", [*inputs, *told_division(self.split, self.group, "clips"), *self.notes])]
        if self.guesses:
            sections.insert(0, target_section(self.guesses, self.count))
        if self.texts:
            sections.insert(0, Section("Transcripts", [each.told for each in self.texts]))
        if self.heard.notes:
            sections.insert(0, Section("Listen to these", list(self.heard.notes)))
        return [*bad_sections(self.bad), *sections, *association_sections(self.guesses)]

    def training(self) -> Training:
        """Return backbone, batch size and epochs."""
        steps = TEXT_STEPS if self.texts else VOICE_STEPS if self.about_voices else STEPS
        epochs = max(FEWEST_EPOCHS, math.ceil(steps / max(1, TRAIN_SHARE * self.count / BATCH)))
        epochs = min(MOST_EPOCHS, epochs)
        joined = min((each.joined(self.heard.seconds, FASTEST) for each in self.texts), default=JOINED)
        more = [f"backbone.subsampling={joined}"] if joined != JOINED else []
        overrides = ["backbone=speech", *more, f"data.batch_size={BATCH}", f"trainer.max_epochs={epochs}"]
        if epochs > MOST_LOOKS:
            overrides.append(f"trainer.eval_every={math.ceil(epochs / MOST_LOOKS)}")
        hints = [f"for a quick look: trainer.max_epochs={max(2, epochs // 8)}"]
        if len(self.heard.seconds) and self.heard.seconds.max() > LONG:
            hints.append("some clips are very long: tasks.NAME.dataset.max_seconds=30 cuts them")
        return Training(overrides, hints)


def survey_audio(
    path: Path, file: TableFile | None, asked: Asked, kinds: Mapping[str, str] = MappingProxyType({})
) -> AudioSurvey:
    """Return a first look at a set of sounds; `file` is its table where it is one.

    Raises:
        UserError: the set cannot be used, or a target is not there.
    """
    listing = Listing(path, ReadOptions(), class_rows(path, ENDINGS, "audio", "sounds"), path) if file is None else file
    require_columns(asked.taken, listing.columns, path)
    place = asked.place(listing)
    column = next((name for name in sound_columns(listing, place.folder) if name not in asked.answers), None)
    if column is None:
        raise UserError(
            f"{path} has no column of sounds beside the targets. Its columns: {', '.join(listing.columns)}."
        )
    if not asked.targets:
        if file is not None:
            raise UserError("No target is given. Use for example 'target=[word,speaker]', the columns to predict.")
        asked = replace(asked, targets={"label": ["label"]})
    start, end = span_columns(listing, [column, *asked.taken])
    options = ClipOptions(audio=column, start=start, end=end)
    bad = bad_rows(listing, options, place)
    clips = check_clips(listing, replace(options, skip_bad=True), place)
    texts = find_transcripts(listing, asked.targets, kinds)
    asked = replace(asked, targets={n: each for n, each in asked.targets.items() if n not in {t.name for t in texts}})
    if len(clips.bad) == len(clips.names):
        raise UserError([*bad[:1], f"{path}: none of the {len(clips.names)} sounds can be used."])
    rows = written(listing, asked.answers, asked)
    labels = read_labels(rows.file, rows.profile.columns, asked.answers, len(clips.names), rows.missing)
    guesses = guess_targets(rows.file, labels, asked, len(clips.names), rows.missing) if asked.targets else ()
    taken = [*asked.taken, *options.columns, *(each.column for each in texts)]
    free = [name for name in listing.columns if name not in taken]
    split = asked.split or split_of(listing, free)
    group = asked.group or (None if split else speaker_column(listing, taken))
    used = {split, group, *taken}
    left = [name for name in listing.columns if name not in used]
    notes = [f"left out: {', '.join(left)} (inputs are sounds alone)"] if left else []
    return AudioSurvey(
        listing, options, len(clips.names), listen(clips), rows, guesses, texts, group,
        None if asked.group else split, [*notes, *rows.notes], bad, asked.folder,
    )  # fmt: skip


def bad_rows(listing: TableFile, options: ClipOptions, place: Place) -> list[str]:
    """Return what training could not use of a set: the first of its clips and how many there are."""
    try:
        check_clips(listing, options, place)
    except UserError as error:
        return list(error.problems[:-1])
    return []
