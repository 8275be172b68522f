"""Every form of image that files have, upright and in the channels that are asked for; bad files are named."""

import logging

import numpy as np
import pytest
from PIL import Image

from mtl_cli.errors import UserError
from mtl_cli.images.decoding import decode_image, decode_labels, decode_numbers, read_header

GREY = (np.arange(12, dtype=np.uint8).reshape(3, 4) * 20).copy()
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)


def saved(tmp_path, image, name="x.png", **how):
    image.save(tmp_path / name, **how)
    return tmp_path / name


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.tif", "x.gif"])
def test_grey_stays_grey_and_is_repeated_for_colours(tmp_path, name):
    path = saved(tmp_path, Image.fromarray(GREY), name)
    np.testing.assert_array_equal(decode_image(path, 1)[0], GREY)
    np.testing.assert_array_equal(decode_image(path, 3), np.stack([GREY] * 3))


def test_colours_stay_in_their_channels(tmp_path):
    path = saved(tmp_path, Image.fromarray(RGB))
    np.testing.assert_array_equal(decode_image(path, 3), RGB.transpose(2, 0, 1))
    assert read_header(path).channels == 3


def test_a_palette_is_colours_in_an_image_and_numbers_in_a_label_image(tmp_path):
    image = Image.fromarray((GREY // 20).astype(np.uint8), mode=None).convert("P")
    image.putpalette([value for k in range(256) for value in (k, 255 - k, 7)])
    numbers = np.asarray(image)
    path = saved(tmp_path, image)
    np.testing.assert_array_equal(decode_labels(path), numbers)
    np.testing.assert_array_equal(decode_image(path, 3)[2], np.full_like(numbers, 7))


def test_16_bits_stay_16_bits(tmp_path):
    deep = (GREY.astype(np.uint16) * 257).copy()
    path = saved(tmp_path, Image.fromarray(deep))
    found = decode_image(path, 1)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[0], deep)
    np.testing.assert_array_equal(decode_labels(path), deep)
    np.testing.assert_array_equal(decode_numbers(path), deep.astype(np.float32))


def test_what_is_transparent_is_white(tmp_path):
    image = np.zeros((2, 2, 4), np.uint8)
    image[0, 0] = (10, 20, 30, 255)
    path = saved(tmp_path, Image.fromarray(image))
    found = decode_image(path, 3)
    assert found[:, 0, 0].tolist() == [10, 20, 30]
    assert found[:, 1, 1].tolist() == [255, 255, 255]
    assert decode_image(path, 4)[3].tolist() == [[255, 0], [0, 0]]


def test_cmyk_becomes_rgb(tmp_path):
    path = saved(tmp_path, Image.new("CMYK", (3, 2), (0, 255, 255, 0)), "x.jpg", quality=95)
    red, green, blue = decode_image(path, 3)[:, 0, 0].astype(int)
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_in_another_way_gives_the_same_image(tmp_path, orientation):
    upright = np.zeros((8, 16), np.uint8)
    upright[:4, :8] = 200
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
        6: upright.T[::-1], 7: upright.T[::-1, ::-1], 8: upright.T[:, ::-1],
    }[orientation]  # fmt: skip
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, image, "x.png", exif=exif)
    header = read_header(path)
    assert (header.height, header.width) == (8, 16)
    np.testing.assert_array_equal(decode_image(path, 1)[0], upright)


def test_arrays_have_any_number_of_channels(tmp_path):
    values = np.random.default_rng(0).random((5, 3, 4)).astype(np.float64)
    np.save(tmp_path / "x.npy", values)
    found = decode_image(tmp_path / "x.npy", 5)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values, rtol=1e-6)
    assert read_header(tmp_path / "x.npy").channels == 5
    with pytest.raises(UserError, match=r"x.npy has 5 channels; 3 are needed. Set channels=5"):
        decode_image(tmp_path / "x.npy", 3)


def test_colours_of_label_images_are_one_number(tmp_path):
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 1] = (255, 136, 1)
    assert decode_labels(saved(tmp_path, Image.fromarray(image))).tolist() == [[0, 0xFF8801]]


@pytest.mark.parametrize("kept", [0, 20, 60])
def test_a_file_that_is_cut_off_is_named(tmp_path, kept):
    path = saved(tmp_path, Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)))
    path.write_bytes(path.read_bytes()[: kept or 0])
    with pytest.raises(UserError, match=r"x.png (is empty|cannot be read as an image)"):
        decode_image(path, 1)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "x.png"
    Image.new("1", (12_000, 12_000)).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"x.png claims 12000×12000 pixels"):
        read_header(path)


def test_what_is_not_an_image_is_named(tmp_path):
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(UserError, match=r"x.png cannot be read as an image"):
        read_header(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"nowhere.png does not exist"):
        read_header(tmp_path / "nowhere.png")
    (tmp_path / "d.png").mkdir()
    with pytest.raises(UserError, match=r"d.png is not a file"):
        read_header(tmp_path / "d.png")


def test_an_array_may_have_its_channels_first_or_last(tmp_path):
    tall = np.concatenate([RGB] * 6)
    np.save(tmp_path / "first.npy", tall.transpose(2, 0, 1))
    np.save(tmp_path / "last.npy", tall)
    for name in ("first.npy", "last.npy"):
        np.testing.assert_array_equal(decode_image(tmp_path / name, 3), tall.transpose(2, 0, 1))
        header = read_header(tmp_path / name)
        assert (header.height, header.width, header.channels) == (18, 4, 3)
    np.save(tmp_path / "depth.npy", np.arange(90.0).reshape(18, 5, 1))
    np.testing.assert_array_equal(decode_numbers(tmp_path / "depth.npy"), np.arange(90.0).reshape(18, 5))


def test_label_arrays_are_whole_numbers_of_any_type(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[-1.0, 2.0], [3.0, 0.0]]))
    assert decode_labels(tmp_path / "a.npy").tolist() == [[-1, 2], [3, 0]]
    np.save(tmp_path / "b.npy", np.array([[0.5, 2.0]]))
    with pytest.raises(UserError, match="a label image is whole numbers"):
        decode_labels(tmp_path / "b.npy")


def test_whole_numbers_of_32_bit_are_those_of_16_bit_or_refused(tmp_path):
    small, large = np.array([[0, 65535]], np.int32), np.array([[0, 65536]], np.int32)
    Image.fromarray(small).save(tmp_path / "small.tif")
    Image.fromarray(large).save(tmp_path / "large.tif")
    assert read_header(tmp_path / "small.tif").wide
    assert decode_image(tmp_path / "small.tif", 1).tolist() == [small.tolist()]
    with pytest.raises(UserError, match=r"large.tif holds whole numbers of 32 bit, from 0 to 65536"):
        decode_image(tmp_path / "large.tif", 1)
    assert decode_labels(tmp_path / "large.tif").tolist() == large.tolist()


def test_label_images_of_floats_are_whole_numbers(tmp_path):
    Image.fromarray(np.array([[0.0, 3.0]], np.float32)).save(tmp_path / "whole.tif")
    Image.fromarray(np.array([[0.0, 0.5]], np.float32)).save(tmp_path / "half.tif")
    assert decode_labels(tmp_path / "whole.tif").tolist() == [[0, 3]]
    with pytest.raises(UserError, match=r"half\.tif holds floats"):
        decode_labels(tmp_path / "half.tif")


def test_the_opacity_of_a_grey_label_image_is_not_read(tmp_path):
    Image.fromarray(np.array([[[3, 255], [4, 0]]], np.uint8), "LA").save(tmp_path / "a.png")
    assert decode_labels(tmp_path / "a.png").tolist() == [[3, 4]]


def test_a_stack_of_pages_is_refused_and_a_preview_is_not(tmp_path):
    pages = [Image.new("L", size, 7) for size in ((4, 4), (4, 4), (2, 2))]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:2])
    pages[0].save(tmp_path / "preview.tif", save_all=True, append_images=pages[2:])
    with pytest.raises(UserError, match="stack of 2 pages"):
        read_header(tmp_path / "stack.tif")
    assert decode_image(tmp_path / "preview.tif", 1).shape == (1, 4, 4)


def test_of_an_animation_the_first_image_is_read_which_is_told(tmp_path, caplog):
    frames = [Image.new("L", (4, 4), level) for level in (9, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with caplog.at_level(logging.WARNING):
        assert decode_image(tmp_path / "a.gif", 1).max() == 9
    assert "holds animations, of which the first image is read" in caplog.text
