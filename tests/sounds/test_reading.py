"""Sound files against what was written into them; those that are none, or damaged, are refused by name."""

import struct
import sys

import numpy as np
import pytest
import soundfile

from mtl_cli.errors import UserError
from mtl_cli.sounds import reading
from mtl_cli.sounds.reading import Header, read_header, read_samples
from tests.sounds._files import write_wav

SOUND = np.random.default_rng(0).uniform(-0.9, 0.9, 1000)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_whole_numbers_of_every_width_are_read(tmp_path, width):
    path = write_wav(tmp_path / "a.wav", SOUND, width=width)
    assert read_header(path) == Header(8000, 1000, 1)
    np.testing.assert_allclose(read_samples(path), SOUND, atol=1.6 / 2 ** (8 * width - 1))
    np.testing.assert_array_equal(read_samples(path, 100, 300), read_samples(path)[100:300])


def test_channels_are_averaged(tmp_path):
    both = np.stack([SOUND, SOUND[::-1]], axis=1)
    path = write_wav(tmp_path / "a.wav", both, channels=2)
    assert read_header(path) == Header(8000, 1000, 2)
    np.testing.assert_allclose(read_samples(path), both.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.flac", "PCM_16"), ("a.wav", "FLOAT"), ("a.wav", "DOUBLE"), ("b.flac", "PCM_24")]
)
def test_other_files_are_read_by_soundfile(tmp_path, name, subtype):
    both = np.stack([SOUND, -0.5 * SOUND], axis=1)
    soundfile.write(tmp_path / name, both, 44100, subtype=subtype)
    assert read_header(tmp_path / name) == Header(44100, 1000, 2)
    np.testing.assert_allclose(read_samples(tmp_path / name), both.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(read_samples(tmp_path / name, 10, 20), both.mean(axis=1)[10:20], atol=1e-4)


@pytest.mark.parametrize(("name", "rate"), [("a.mp3", 8000), ("a.mp3", 44100), ("a.ogg", 22050), ("a.opus", 48000)])
def test_a_part_of_a_lossy_file_is_that_part_of_the_whole(tmp_path, name, rate):
    places = np.arange(3 * rate)
    sound = 0.3 * np.sin(places / 30) + 0.2 * np.random.default_rng(0).standard_normal(len(places)) * (
        places % 9000 < 4000
    )
    packed = {"format": "OGG", "subtype": "OPUS"} if name.endswith("opus") else {}
    soundfile.write(tmp_path / name, sound, rate, **packed)
    whole = read_samples(tmp_path / name)
    for start in range(5, len(whole) - 500, 2000):
        np.testing.assert_allclose(
            read_samples(tmp_path / name, start, start + 500), whole[start : start + 500], atol=1e-6
        )


def test_wav_with_an_extended_header_is_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", SOUND, 8000, format="WAVEX", subtype="PCM_16")
    np.testing.assert_allclose(read_samples(tmp_path / "a.wav"), SOUND, atol=1e-4)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", SOUND, 8000)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UserError, match=r"FLAC.*pip install 'mtl-cli\[sound\]'"):
        read_header(tmp_path / "a.flac")
    assert read_header(write_wav(tmp_path / "a.wav", SOUND)).frames == 1000  # plain WAV needs no package


def test_a_header_of_a_stream_without_a_length_is_read_to_the_end(tmp_path):
    path = write_wav(tmp_path / "a.wav", SOUND)
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", 0x7FFFF000)
    path.write_bytes(content)
    assert read_header(path).frames == 1000
    assert len(read_samples(path)) == 1000


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "no.wav", "is not there"),
        (lambda folder: folder, "is not a file"),
        (lambda folder: written(folder / "a.wav", b""), "it has no byte"),
        (lambda folder: write_wav(folder / "a.wav", SOUND[:0]), "is empty: it holds no sample"),
        (lambda folder: written(folder / "a.wav", b"This is a text, and not a sound."), "does not begin as WAV does"),
        (lambda folder: written(folder / "a.flac", b"This is a text, and not a sound."), "cannot be read as a sound"),
        (lambda folder: written(folder / "a.mp3", b"ID3 and no more. " * 20), "it holds no sound of its kind"),
        (lambda folder: cut(write_wav(folder / "a.wav", SOUND), 0.6), r"is cut off: 0\.07 of 0\.12 s"),
        (lambda folder: cut(write_wav(folder / "a.wav", SOUND), 0.01), "ends within its header"),
        (lambda folder: write_wav(folder / "a.wav", SOUND, rate=50), "1 channels of 50 samples per second"),
    ],
)
def test_files_that_are_no_sound_are_refused(tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        read_header(make(tmp_path))


def test_a_flac_that_is_cut_off_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.tile(SOUND, 40), 8000)
    with pytest.raises(UserError, match=r"a\.flac"):
        read_header(cut(tmp_path / "a.flac", 0.5))


def test_values_that_are_not_numbers_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan, 0.5]), 8000, subtype="FLOAT")
    with pytest.raises(UserError, match="not numbers"):
        read_samples(tmp_path / "a.wav")


def written(path, content):
    path.write_bytes(content)
    return path


def test_every_ending_with_an_exact_length_is_an_ending():
    assert set(reading.EXACT_LENGTH) <= set(reading.ENDINGS)
