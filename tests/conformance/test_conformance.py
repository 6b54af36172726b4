"""OTP's scenarios hold; and the runner tells when they do not."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import run, traces

DATA = Path(__file__).parent / "data"
FILES = sorted(
    file
    for kind in run.KINDS
    if importlib.util.find_spec(f"tests.conformance.{kind}") is not None
    for file in DATA.glob(f"{kind}_public*.jsonl")
    if file.stat().st_size
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_scenario_is_played_as_real_otp_did(file: Path) -> None:
    problems = [problem for scenario in traces.load(file) for problem in run.problems_of(scenario)]

    assert not problems, "\n".join(problems)


def first_scenario() -> dict[str, Any]:
    scenario: dict[str, Any] = traces.load(DATA / "gen_server_public.jsonl")[0]
    return scenario


def written(path: Path, *scenarios: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(scenario) + "\n" for scenario in scenarios))
    return str(path)


def test_what_holds_ends_with_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([written(tmp_path / "right.jsonl", first_scenario())]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


@pytest.mark.parametrize("part", ["ret", "events", "snap"])
def test_a_wrong_trace_is_told_and_ends_with_status_1(
    part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = first_scenario()
    wrong["trace"][0][part] = "something else" if part != "events" else []

    assert run.main([written(tmp_path / "wrong.jsonl", first_scenario(), wrong)]) == 1
    out = capsys.readouterr().out
    assert f"{wrong['id']} step 0" in out
    assert f": {part}\n" in out
    assert out.endswith("1 passed, 1 failed\n")


def test_a_missing_step_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    longer = first_scenario()
    longer["trace"].append(longer["trace"][-1])

    assert run.main([written(tmp_path / "longer.jsonl", longer)]) == 1
    assert "3 steps in the trace, 4 expected" in capsys.readouterr().out


def test_where_versions_differ_the_newer_one_counts(tmp_path: Path) -> None:
    scenario = first_scenario()
    scenario["trace_27"] = scenario["trace"]
    scenario["trace"] = []

    assert run.main([written(tmp_path / "versions.jsonl", scenario)]) == 0


def test_a_kind_without_interpreter_or_a_scenario_that_breaks_is_a_mismatch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown, broken = {**first_scenario(), "kind": "gen_fsm"}, first_scenario()
    broken["steps"][0]["op"] = "fly"

    assert run.main([written(tmp_path / "odd.jsonl", unknown, broken)]) == 1
    out = capsys.readouterr().out
    assert "no interpreter for the kind 'gen_fsm'" in out
    assert "could not be played" in out


def test_a_value_that_json_does_not_know_is_a_mismatch_like_another() -> None:
    scenario = first_scenario()
    odd = [{**step, "ret": object()} for step in scenario["trace"]]

    assert "<object object at" in traces.diff(scenario, odd)[0]


def test_quiet_tells_counts_only_and_only_picks_scenarios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = first_scenario()
    wrong["trace"] = []
    file = written(tmp_path / "wrong.jsonl", wrong)

    assert run.main([file, "--quiet"]) == 1
    assert run.main([file, "--only", "no such id"]) == 0
    assert capsys.readouterr().out == "0 passed, 1 failed\n0 passed, 0 failed\n"


def test_a_missing_file_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([str(tmp_path / "nothing.jsonl")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "nothing.jsonl" in captured.err
