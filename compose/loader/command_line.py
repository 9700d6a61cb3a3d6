"""A command written as one string, split into words like a shell does, without expansion.

Rules: ``mattn/go-shellwords``, which Docker Compose uses: an unquoted ``| ; & < >`` ends the
command; a backslash takes the next character literally outside single quotes.
"""

from __future__ import annotations

_BLANKS = frozenset(" \t\r\n")
_OPERATORS = frozenset(";&|<>")


class OpenQuote(ValueError):
    """A quote, backtick or parenthesis that is not closed, or closed without being open."""


def split_command(text: str) -> tuple[tuple[str, ...], str]:
    """Split a command into words.

    Returns:
        The words, and the rest after an unquoted shell operator, which no one will see.

    Raises:
        OpenQuote: something is not closed.
    """
    words: list[str] = []
    word: list[str] = []
    begun = False
    quote = ""
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and quote != "'":
            if position + 1 == len(text):
                raise OpenQuote("ends with a backslash")
            position += 1
            word.append(text[position])
            begun = True
        elif character in _BLANKS and not quote:
            if begun:
                words.append("".join(word))
            word, begun = [], False
        elif character in _OPERATORS and not quote:
            begun = begun and not (character == ">" and word[:1] and word[0].isdigit())
            break
        else:
            quote, kept = _step(character, quote, word)
            if kept:
                word.append(character)
            begun = begun or kept or not quote
        position += 1
    if quote:
        raise OpenQuote(f"unclosed {_NAMES[quote]}")
    if begun:
        words.append("".join(word))
    return tuple(words), text[position:]


_NAMES = {"'": "single quote", '"': "double quote", "`": "backtick", "(": "parenthesis"}


def _step(character: str, quote: str, word: list[str]) -> tuple[str, bool]:
    """Return the quote that is open after a character, and whether the word keeps it."""
    if character in "'\"":
        if not quote:
            return character, False
        if quote == character:
            return "", False
    elif character == "`" and quote in ("", "`"):
        return ("" if quote else "`"), True
    elif character == "(" and quote in ("", "("):
        if quote or word[-1:] != ["$"]:
            raise OpenQuote("a parenthesis outside quotes")
        return "(", True
    elif character == ")" and quote in ("", "("):
        if not quote:
            raise OpenQuote("a parenthesis outside quotes")
        return "", True
    return quote, True
