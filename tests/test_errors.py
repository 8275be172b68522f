import pytest

from mtl_cli.errors import RunFailure, UserError, nearest


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
