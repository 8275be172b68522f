import numpy as np
import pytest
import scipy.fft
import torch

from mtl_cli.errors import UserError
from mtl_cli.sounds.features import FLOOR, FeatureOptions, hertz, mel, mel_filters

RATE = 16000


def frames(**options):
    return FeatureOptions(**options).at(RATE)


def noise(samples, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def test_log_mel_is_the_logarithm_of_filtered_power_written_out():
    sound, how = noise(1000), frames(num_mels=20)
    found = how.plain(sound).numpy()
    assert how.count(len(sound)) == len(found) == 5  # 400 + 4 · 160 ≥ 1000
    padded = np.concatenate([sound, np.zeros(40)]).astype(np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    filters = mel_filters(20, 512, RATE).numpy()
    for row in range(5):
        power = np.abs(np.fft.rfft(padded[160 * row : 160 * row + 400] * window, 512)) ** 2
        np.testing.assert_allclose(found[row], np.log(power @ filters + FLOOR), atol=1e-4)


def test_mfcc_is_the_cosine_transform_of_log_mel():
    sound = noise(3000)
    expected = scipy.fft.dct(frames().plain(sound).numpy(), type=2, norm="ortho", axis=1)[:, :13]
    found = frames(features="mfcc", num_ceps=13).plain(sound)
    assert found.shape[1] == 13
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_mel_filters_are_triangles_whose_tops_are_equally_far_apart_in_mel():
    assert mel(1000.0) == pytest.approx(999.99, abs=0.01)  # the scale is made so that 1000 Hz are 1000 mel
    assert hertz(np.array([mel(440.0)]))[0] == pytest.approx(440.0)
    filters, size = mel_filters(10, 4096, RATE).numpy(), 4096
    tops = filters.argmax(axis=0) * RATE / size
    apart = np.diff([mel(top) for top in tops])
    np.testing.assert_allclose(apart, apart.mean(), rtol=0.03)
    inner = slice(filters[:, 0].argmax(), filters[:, -1].argmax())
    np.testing.assert_allclose(filters.sum(axis=1)[inner], 1.0, atol=1e-5)  # between two tops both triangles add up


def test_no_filter_is_empty_where_there_are_more_than_frequencies():
    assert (mel_filters(64, 256, 8000).sum(dim=0) > 0).all()


def test_the_loudest_filter_of_a_tone_is_the_one_around_it():
    how = frames(num_mels=40)
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    loudest = how.plain(tone).mean(dim=0).argmax()
    tops = hertz(np.linspace(mel(20), mel(RATE / 2), 42))[1:-1]
    assert loudest == np.abs(tops - 1000).argmin()


def test_fitted_features_have_mean_0_and_deviation_1():
    sounds = [noise(5000, 1), noise(9000, 2) * np.linspace(0, 1, 9000, dtype=np.float32)]
    how = frames().fitted(sounds)
    every = torch.cat([how.of(sound) for sound in sounds])
    assert every.mean(dim=0).abs().max() < 1e-3
    assert (every.std(dim=0) - 1).abs().max() < 1e-2


def test_normalised_by_clip_a_louder_clip_is_the_same():
    how = frames(normalize="clip")
    sound = noise(8000)
    np.testing.assert_allclose(how.of(sound), how.of(3 * sound), atol=2e-2)
    assert (frames().of(sound) - frames().of(3 * sound)).abs().max() > 1


def test_a_sound_shorter_than_a_window_is_one_frame():
    assert frames().plain(noise(3)).shape == (1, 64)


def test_more_coefficients_than_filters_are_refused():
    with pytest.raises(UserError, match=r"num_ceps is 30, more than num_mels=20"):
        FeatureOptions(features="mfcc", num_mels=20, num_ceps=30)
