"""``--chmod``: octal and symbolic modes."""

from __future__ import annotations

import pytest

from runtime.build.modes import apply_mode, check_mode
from runtime.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "mode", "is_directory", "expected"),
    [
        ("755", 0o600, False, 0o755),
        ("04755", 0, False, 0o4755),
        ("u+x", 0o644, False, 0o744),
        ("+x", 0o644, False, 0o755),
        ("go-rwx", 0o755, False, 0o700),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o700, False, 0o755),
        ("u=rwX,go=rX", 0o600, True, 0o755),
        ("a=r", 0o777, False, 0o444),
        ("u+s,g+s", 0o755, False, 0o6755),
        ("+t", 0o777, True, 0o1777),
        ("u+w-x", 0o555, False, 0o655),
    ],
)
def test_a_mode_is_applied(text: str, mode: int, is_directory: bool, expected: int) -> None:
    assert oct(apply_mode(check_mode(text), mode, is_directory)) == oct(expected)


@pytest.mark.parametrize("text", ["", "8", "99", "10000", "u", "x+u", "u+q", "u+x,"])
def test_a_bad_mode_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid syntax"):
        check_mode(text)
