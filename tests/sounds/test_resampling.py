import numpy as np
import pytest
from scipy.signal import resample_poly

from mtl_cli.sounds.resampling import filters, gathered, ratio, resampled


@pytest.mark.parametrize(
    ("rate", "new_rate"), [(22050, 16000), (8000, 16000), (48000, 16000), (44100, 16000), (16000, 22050), (11025, 8000)]
)
def test_it_is_what_scipy_computes(rate, new_rate):
    sound = np.random.default_rng(0).normal(size=1501).astype(np.float32)
    up, down = ratio(rate, new_rate)
    expected = resample_poly(sound.astype(np.float64), up, down)
    found = resampled(sound, rate, new_rate)
    assert found.dtype == np.float32
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_both_ways_to_compute_it_agree():
    sound = np.random.default_rng(0).normal(size=700).astype(np.float32)
    table, taps = filters(40, 37)
    padded = np.concatenate([np.zeros(taps, np.float32), sound, np.zeros(taps + 1, np.float32)])
    found = resampled(sound, 37, 40)
    np.testing.assert_allclose(found, gathered(padded, table, len(found), 40, 37), atol=1e-6)


def test_a_tone_keeps_its_pitch_and_height():
    rate, new_rate = 22050, 16000
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    expected = np.sin(2 * np.pi * 440 * np.arange(new_rate) / new_rate)
    np.testing.assert_allclose(resampled(tone, rate, new_rate)[200:-200], expected[200:-200], atol=2e-3)


def test_a_tone_above_half_of_the_new_rate_is_gone():
    tone = np.sin(2 * np.pi * 7000 * np.arange(16000) / 16000).astype(np.float32)
    assert np.abs(resampled(tone, 16000, 8000)[100:-100]).max() < 0.02


def test_equal_rates_leave_a_sound_as_it_is():
    sound = np.ones(5, np.float32)
    assert resampled(sound, 8000, 8000) is sound


def test_rates_without_a_common_divisor_need_no_endless_filter():
    up, down = ratio(44_101, 47_999)
    assert max(up, down) <= 1 << 15
    assert abs(up / down - 47_999 / 44_101) < 1e-4
    assert len(resampled(np.zeros(4410, np.float32), 44_101, 16_000)) == pytest.approx(1600, abs=1)
