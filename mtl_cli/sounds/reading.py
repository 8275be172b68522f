"""Sound files: their headers and their samples, as one channel from −1 to 1.

WAV of whole numbers (8, 16, 24 or 32 bits) is read by the standard library. Other WAV, FLAC, Ogg and MP3 are read by
soundfile, which the extra `sound` brings.
"""

import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from mtl_cli.errors import UserError, not_installed

PLAIN = (".wav", ".wave")
ENDINGS = (*PLAIN, ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")
LOWEST_RATE, HIGHEST_RATE = 1000, 768_000
"""Samples per second of a file that is taken for a sound."""
UNKNOWN_SIZE = 0x7FFF_0000
"""Bytes from which on the size in a WAV header is a placeholder, as programs write it that do not know the end."""
EXACT_LENGTH = (*PLAIN, ".flac", ".aif", ".aiff", ".au")
"""Endings of files whose header says exactly how many samples follow."""
BORROWED = {"MP3": 32 * 576}
"""Samples before a part from which a file of a format is decoded: a frame of MP3 borrows bits of up to 23 before it."""
Array = np.ndarray[Any, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Header:
    """What a sound file says of itself: samples per second, samples of each channel, and channels."""

    rate: int
    frames: int
    channels: int

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return self.frames / self.rate


def read_header(path: Path) -> Header:
    """Return what a sound file says of itself.

    Raises:
        UserError: it is missing, no sound, empty, or shorter than its header says.
    """
    header = _either(path, _plain_header, _library_header)
    if not LOWEST_RATE <= header.rate <= HIGHEST_RATE or header.channels < 1:
        raise UserError(
            f"{path} says that it has {header.channels} channels of {header.rate} samples per second; a sound has "
            f"{LOWEST_RATE} to {HIGHEST_RATE}."
        )
    if header.frames == 0:
        raise UserError(f"{path} is empty: it holds no sample.")
    return header


def read_samples(path: Path, start: int = 0, stop: int | None = None) -> Array:
    """Return the samples `start` … `stop` of a sound file, float32 [N] from −1 to 1: the mean of its channels.

    Raises:
        UserError: it cannot be read, or holds values that are not numbers.
    """

    def plain(place: Path) -> Array:
        return _plain_samples(place, start, stop)

    def library(place: Path) -> Array:
        return _library_samples(place, start, stop)

    samples = _either(path, plain, library)  # [N, channels]
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise UserError(f"{path} holds values that are not numbers (NaN or infinite). Write it again.")
    return np.ascontiguousarray(mono, dtype=np.float32)


def _either(path: Path, plain: Callable[[Path], T], library: Callable[[Path], T]) -> T:
    """Return what one of two readers returns: the plain one for WAV of whole numbers, else that of soundfile."""
    if not path.is_file():
        raise UserError(f"{path} is not there." if not path.exists() else f"{path} is not a file.")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty: it has no byte.")
    try:
        if path.suffix.lower() not in PLAIN:
            return library(path)
        try:
            return plain(path)
        except wave.Error as error:
            if not starts_as_wave(path):
                raise UserError(f"{path} is not a sound: it does not begin as WAV does.") from error
            return library(path)
    except EOFError as error:
        raise UserError(f"{path} is cut off: it ends within its header.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error


def starts_as_wave(path: Path) -> bool:
    """Return whether a file begins as WAV does, also in the forms that only soundfile reads."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:] == b"WAVE"


@dataclass(frozen=True)
class _Plain:
    """A WAV file of whole numbers: its header, where its samples begin, and bytes per sample of a channel."""

    header: Header
    start: int
    width: int

    @property
    def frame(self) -> int:
        """Bytes per sample of all channels."""
        return self.width * self.header.channels


def _open_plain(path: Path, file: BinaryIO) -> _Plain:
    with wave.open(file) as sound:
        rate, channels, width = sound.getframerate(), sound.getnchannels(), sound.getsampwidth()
        start, claimed = file.tell(), sound.getnframes()
    if width not in (1, 2, 3, 4) or channels < 1:
        raise wave.Error(f"{width} bytes per sample")
    there = (path.stat().st_size - start) // (width * channels)
    if claimed * width * channels < UNKNOWN_SIZE and there < claimed:
        raise UserError(
            f"{path} is cut off: {there / max(1, rate):.2f} of {claimed / max(1, rate):.2f} s are there. Copy it again."
        )
    return _Plain(Header(rate, min(claimed, there), channels), start, width)


def _plain_header(path: Path) -> Header:
    with path.open("rb") as file:
        return _open_plain(path, file).header


def _plain_samples(path: Path, start: int, stop: int | None) -> Array:
    with path.open("rb") as file:
        found = _open_plain(path, file)
        last = found.header.frames if stop is None else min(stop, found.header.frames)
        file.seek(found.start + start * found.frame)
        content = file.read(max(0, last - start) * found.frame)
    return whole_numbers(content, found.width).reshape(-1, found.header.channels)


def whole_numbers(content: bytes, width: int) -> Array:
    """Return samples of `width` bytes, little-endian, as float32 [N] from −1 to 1; those of one byte have no sign."""
    if width == 1:
        return (np.frombuffer(content, np.uint8).astype(np.float32) - 128.0) / 128.0
    if width == 3:
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return wide.view("<i4").ravel().astype(np.float32) / np.float32(2**31)
    return np.frombuffer(content, f"<i{width}").astype(np.float32) / np.float32(2 ** (8 * width - 1))


def _soundfile() -> Any:  # noqa: ANN401  a module without types
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: its native library is missing
        missing = error if isinstance(error, ImportError) else ImportError(str(error))
        raise not_installed("FLAC, Ogg, MP3 and WAV of other kinds are read by soundfile", missing, "sound") from error
    return soundfile


def _library_header(path: Path) -> Header:
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(str(path)) as sound:
            header = Header(sound.samplerate, sound.frames, sound.channels)
            exact = path.suffix.lower() in EXACT_LENGTH and header.frames > 0
            if exact and (sound.seek(header.frames - 1) < 0 or not len(sound.read(1))):
                raise UserError(f"{path} is cut off: its end is not there. Copy it again.")
            return header
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path} cannot be read as a sound: {_reason(error)}") from error


def _library_samples(path: Path, start: int, stop: int | None) -> Array:
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(str(path)) as sound:
            wanted = (sound.frames if stop is None else min(stop, sound.frames)) - start
            before = min(start, BORROWED.get(sound.format, 0))
            sound.seek(start - before)
            samples: Array = sound.read(max(0, before + wanted), dtype="float32", always_2d=True)[before:]
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path} cannot be read as a sound: {_reason(error)}") from error
    if len(samples) < wanted and path.suffix.lower() in EXACT_LENGTH:
        raise UserError(f"{path} is cut off: its end is not there. Copy it again.")
    return samples


def _reason(error: Exception) -> str:
    said = str(getattr(error, "error_string", error))
    if said.startswith("File does not exist"):  # what the library says of an MP3 without a frame of sound
        said = "it holds no sound of its kind"
    return said.rstrip(".") + "."
