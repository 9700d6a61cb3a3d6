"""What is written, where, and how it is decorated."""

from __future__ import annotations

import io
import json

import pytest

from compose.console import Console, human_duration, human_size, table_lines
from compose.errors import ShoalError, UsageError
from compose.progress import (
    DONE,
    ERROR,
    WORKING,
    Event,
    JsonProgress,
    PlainProgress,
    QuietProgress,
    TtyProgress,
    make_progress,
)


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def console(*, terminal: bool = False, env: dict[str, str] | None = None, **modes: str) -> Console:
    stream = Screen if terminal else io.StringIO
    return Console(env=env or {}, out=stream(), err=stream(), **modes)


def written(one: Console) -> tuple[str, str]:
    assert isinstance(one.out, io.StringIO)
    assert isinstance(one.err, io.StringIO)
    return one.out.getvalue(), one.err.getvalue()


@pytest.mark.parametrize(
    ("terminal", "ansi", "asked", "mode"),
    [
        (True, "auto", "auto", "tty"),
        (False, "auto", "auto", "plain"),
        (True, "never", "auto", "plain"),
        (False, "always", "auto", "tty"),
        (True, "auto", "none", "quiet"),
        (True, "auto", "json", "json"),
    ],
)
def test_the_progress_mode(terminal: bool, ansi: str, asked: str, mode: str) -> None:
    assert console(terminal=terminal, ansi=ansi, progress=asked).progress == mode


@pytest.mark.parametrize(
    ("ansi", "progress", "message"),
    [
        ("auto", "bogus", 'unsupported --progress value "bogus"'),
        ("never", "tty", "can't use --progress tty while ANSI support is disabled"),
        ("always", "plain", "can't use --progress plain while ANSI support is forced"),
    ],
)
def test_modes_that_contradict_each_other(ansi: str, progress: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        console(ansi=ansi, progress=progress)


def test_no_control_codes_leave_for_a_file() -> None:
    one = console()
    one.note(one.paint("x", "31"))
    one.warn("careful")
    assert "\x1b" not in "".join(written(one))


def test_no_color_switches_colours_off_on_a_terminal() -> None:
    assert console(terminal=True).colour_out
    assert not console(terminal=True, env={"NO_COLOR": "1"}).colour_out


def test_the_status_stream_may_be_standard_output() -> None:
    one = console(env={"COMPOSE_STATUS_STDOUT": "true"})
    one.note("moved")
    assert written(one) == ("moved\n", "")


def test_an_error_is_its_message_then_its_hint() -> None:
    one = console()
    one.error(ShoalError("it broke", hint="mend it", others=[ShoalError("also this")]))
    assert written(one)[1] == "it broke\n  hint: mend it\nalso this\n"


def test_an_error_in_json_mode_is_an_object() -> None:
    one = console(progress="json")
    one.error(ShoalError('say "no"'))
    assert json.loads(written(one)[1]) == {"error": True, "message": 'say "no"'}


def test_a_warning_in_a_file_is_logfmt() -> None:
    one = console()
    one.warn('variable "X"')
    assert written(one)[1].startswith('time="')
    assert written(one)[1].endswith('level=warning msg="variable \\"X\\""\n')


def test_columns_are_as_wide_as_their_content() -> None:
    assert table_lines([("A", "LONG", "C"), ("xxxx", "y", "z")]) == [
        "A      LONG   C",
        "xxxx   y      z",
    ]
    assert table_lines([("A", "B")], least=20)[0] == f"A{' ' * 19}B"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.3, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (61, "About a minute"),
        (125, "2 minutes"),
        (3600, "About an hour"),
        (47 * 3600, "47 hours"),
        (49 * 3600, "2 days"),
        (15 * 86400, "2 weeks"),
        (90 * 86400, "3 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (999, "999B"), (2065340, "2.065MB"), (10**9, "1GB")]
)
def test_sizes_in_decimal_units(size: int, text: str) -> None:
    assert human_size(size) == text


# Progress

STARTED = Event(id="Container p-a-1", status="Started")


def test_a_plain_line_is_docker_composes() -> None:
    one = console()
    progress = PlainProgress(one)
    progress.report(STARTED)
    progress.report(Event(id="a", status="", text="Pulling", state=WORKING))
    progress.report(Event(id="layer", status="Waiting", parent="a"))
    assert written(one)[1] == " Container p-a-1  Started\n a Pulling \n"


def test_a_json_line_leaves_empty_keys_out() -> None:
    one = console()
    JsonProgress(one).report(Event(id="l", status="Get", parent="a", current=5, total=10))
    assert json.loads(written(one)[1]) == {
        "id": "l",
        "parent_id": "a",
        "status": "Get",
        "current": 5,
        "total": 10,
        "percent": 50,
    }


def test_a_terminal_shows_one_row_for_each_thing_and_counts_what_is_done() -> None:
    one = console(terminal=True)
    progress = TtyProgress(one)
    progress.start("Running")
    progress.report(Event(id="Container a", status="Starting", state=WORKING))
    progress.report(Event(id="Container b", status="boom", state=ERROR))
    progress.report(Event(id="Container a", status="Started", state=DONE))
    progress.stop()
    last = written(one)[1].rpartition("[+] Running")[2]
    assert last.startswith(" 2/2")
    assert last.count("Container a") == 1
    assert "✔" in last
    assert "✘" in last


def test_rows_fit_into_the_width_of_the_terminal() -> None:
    one = console(terminal=True, ansi="never", progress="auto")
    progress = TtyProgress(one)
    progress.start("Running")
    progress.report(Event(id="Container a", status="x" * 500, state=ERROR))
    progress.stop()
    lines = written(one)[1].replace("\r\x1b[2K", "\n").splitlines()
    assert max(len(line.replace("\x1b[?25h", "")) for line in lines) <= one.size[0]


def test_more_rows_than_the_screen_has_are_not_all_drawn() -> None:
    one = console(terminal=True)
    progress = TtyProgress(one)
    progress.start("Running")
    for number in range(40):
        state = WORKING if number == 3 else DONE
        progress.report(Event(id=f"Container {number}", status="x", state=state))
    progress.stop()
    last = written(one)[1].rpartition("[+] Running")[2]
    assert last.startswith(" 39/40")
    assert last.count("\n") <= one.size[1]
    assert "Container 3 " in last
    assert "Container 39" in last
    assert "Container 0" not in last


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("plain", PlainProgress), ("json", JsonProgress), ("quiet", QuietProgress)],
)
def test_every_mode_has_its_renderer(mode: str, kind: type) -> None:
    assert type(make_progress(console(progress=mode))) is kind
