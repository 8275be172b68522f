import tempfile

import pytest

from mtl_cli.errors import RunFailure, UserError, exhausted, nearest


def test_a_user_error_keeps_its_problems_and_prints_them_a_line_each():
    error = UserError(["first", "second"])
    assert error.problems == ["first", "second"]
    assert str(error) == "first\nsecond"
    assert UserError("only").problems == ["only"]
    assert isinstance(error, ValueError)
    assert not isinstance(RunFailure("x"), ValueError)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("leters", " Did you mean 'letters'?"),
        ("mnist_digit", " Did you mean 'mnist_digits'?"),
        ("letters", " Did you mean 'letters'?"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_offered_where_one_is_near(name, expected):
    assert nearest(name, ["mnist_digits", "letters", "cifar10"]) == expected
    assert nearest(name, []) == ""


def test_a_machine_without_room_for_temporary_files_is_told_of_tmpdir(monkeypatch):
    def refused(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr("tempfile._os.open", refused)
    with pytest.raises(FileNotFoundError) as caught:
        tempfile.gettempdir()
    assert "can be written: ['/" in exhausted(caught.value)
    assert exhausted(caught.value).endswith("TMPDIR=DIR.")
    assert exhausted(FileNotFoundError(2, "No such file")) == ""
