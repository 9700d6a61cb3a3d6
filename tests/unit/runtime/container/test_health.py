"""What follows from the results of probes."""

from __future__ import annotations

from runtime.container.container import Health, HealthResult
from runtime.container.health import Check
from tests.support.records import make_container

SECOND = 1_000_000_000


def _result(code: int) -> HealthResult:
    return HealthResult(1, 2, code, "")


def _check(**settings: object) -> Check:
    container = make_container(Healthcheck={"Test": ["CMD", "x"], **settings})
    check = Check.of(container)
    assert check is not None
    return check


def test_defaults_are_dockers() -> None:
    check = _check()
    assert (check.interval, check.timeout) == (30 * SECOND, 30 * SECOND)
    assert (check.start_period, check.start_interval, check.retries) == (0, 5 * SECOND, 3)


def test_a_shell_command_goes_through_the_containers_shell() -> None:
    health = {"Test": ["CMD-SHELL", "exit 1"]}
    plain = Check.of(make_container(Healthcheck=health))
    own = Check.of(make_container(Healthcheck=health, Shell=["/bin/ash", "-c"]))
    assert plain is not None
    assert own is not None
    assert plain.command == ("/bin/sh", "-c", "exit 1")
    assert own.command == ("/bin/ash", "-c", "exit 1")


def test_none_and_nothing_are_no_check() -> None:
    assert Check.of(make_container(Healthcheck={"Test": ["NONE"]})) is None
    assert Check.of(make_container()) is None


def test_only_as_many_failures_in_a_row_as_retries_make_unhealthy() -> None:
    check, health = _check(Retries=2), Health()
    told = [check.judge(health, _result(code), in_start_period=False) for code in (1, 0, 1, 1, 1)]
    assert told == ["", "healthy", "", "unhealthy", ""]
    assert health.streak == 3


def test_failures_in_the_start_period_count_only_once_it_was_healthy() -> None:
    check, health = _check(Retries=1), Health()
    assert check.judge(health, _result(1), in_start_period=True) == ""
    assert (health.status, health.streak) == ("starting", 0)
    assert check.judge(health, _result(0), in_start_period=True) == "healthy"
    assert check.judge(health, _result(1), in_start_period=True) == "unhealthy"


def test_the_log_keeps_five_results() -> None:
    check, health = _check(), Health()
    for code in range(7):
        check.judge(health, _result(code), in_start_period=False)
    assert [result.exit_code for result in health.log] == [2, 3, 4, 5, 6]


def test_probes_are_quicker_while_it_starts() -> None:
    check = _check(StartPeriod=60 * SECOND, StartInterval=2 * SECOND, Interval=30 * SECOND)
    assert check.wait(Health(), 10 * SECOND) == 2 * SECOND
    assert check.wait(Health(), 61 * SECOND) == 30 * SECOND
    assert check.wait(Health("healthy"), 10 * SECOND) == 30 * SECOND
