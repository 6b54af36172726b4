"""Traces from files."""

import gzip
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from raybeam.actors import UsageError
from raybeam.autoscaler.simulator.files import write_table
from raybeam.autoscaler.workload import Constant, TraceFile, files, read_trace


def written(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_without_names_is_read_by_the_places_of_its_columns(tmp_path: Path) -> None:
    trace = read_trace(TraceFile(written(tmp_path, "10,3\n10.5,1\n12,2\n"), size=1, size_s=0.1))

    assert list(trace.times) == [0.0, 0.5, 2.0]
    assert list(trace.sizes) == pytest.approx([0.3, 0.1, 0.2])


def test_a_line_of_names_is_passed_over_or_used(tmp_path: Path) -> None:
    path = written(tmp_path, "tokens,at\n3,1\n4,2\n")

    by_name = read_trace(TraceFile(path, time="at", size="tokens"))
    by_place = read_trace(TraceFile(path, time=1, size=0))
    assert (by_name.times, by_name.sizes) == (by_place.times, by_place.sizes) == ([0.0, 1.0], [3.0, 4.0])


def test_times_may_be_dates(tmp_path: Path) -> None:
    path = written(tmp_path, "TIMESTAMP\n2023-11-16 18:15:46.680590\n2023-11-16T18:15:47.680590+00:00\n")

    assert list(read_trace(TraceFile(path), Constant(1.0)).times) == pytest.approx([0.0, 1.0])


def test_compressed_files_are_read_as_plain_ones(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(b"1\n2\n"))

    assert list(read_trace(TraceFile(path), Constant(1.0)).times) == [0.0, 1.0]


def test_sizes_are_drawn_where_there_are_none_the_same_for_the_same_seed(tmp_path: Path) -> None:
    file = TraceFile(written(tmp_path, "1\n2\n3\n"))

    assert list(read_trace(file, Constant(0.25)).sizes) == [0.25, 0.25, 0.25]


def test_a_part_is_taken_and_played_faster(tmp_path: Path) -> None:
    file = TraceFile(written(tmp_path, "0\n10\n20\n30\n"), duration_s=20.0, speedup=10.0)

    trace = read_trace(file, Constant(0.5))
    assert (list(trace.times), trace.duration_s, trace.sizes[0]) == ([0.0, 1.0], 2.0, 0.5)


def test_silence_at_the_beginning_is_kept_on_request(tmp_path: Path) -> None:
    file = TraceFile(written(tmp_path, "5\n6\n"), from_first=False)

    assert list(read_trace(file, Constant(0.5)).times) == [5.0, 6.0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there are no requests in it"),
        ("time,size\n", "there are no requests in it"),
        ("1,1\n0.5,1\n", "trace.csv:2: time '0.5' is before the one above it"),
        ("1,1\nnan,1\n", "trace.csv:2: time nan is not finite"),
        ("1,1\n2,inf\n", "trace.csv:2: size 'inf' is not finite"),
        ("1,1\n2,-3\n", "trace.csv:2: size '-3' is negative"),
        ("1,1\n2,much\n", "trace.csv:2: size 'much' is no number"),
        ("1,1\nsoon,1\n", "trace.csv:2: time 'soon' is neither a number nor a date"),
        ("1,1\n2\n", "trace.csv:2: there is no column 1: the row has 1, and the first is number 0"),
        ('1,1\n"2,1\n', "the row is not CSV"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_trace(TraceFile(written(tmp_path, text), size=1))

    assert told in str(raised.value)


def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no column 'when'; there are: at, size"):
        read_trace(TraceFile(written(tmp_path, "at,size\n1,1\n"), time="when", size="size"))


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(b"1\n2\n" * 100)[:20])
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, told in (
        (tmp_path / "none.csv", "No such file"),
        (tmp_path / "trace.txt", "ends in .csv, .csv.gz or .parquet"),
        (broken, "cannot be read"),
        (binary, "cannot be read"),
    ):
        with pytest.raises(UsageError, match=told):
            read_trace(TraceFile(path), Constant(1.0))


def test_sizes_come_from_one_place_only(tmp_path: Path) -> None:
    path = written(tmp_path, "1,1\n")

    for file, service in ((TraceFile(path), None), (TraceFile(path, size=1), Constant(1.0))):
        with pytest.raises(UsageError, match="either the column of the sizes or a distribution"):
            read_trace(file, service)


@pytest.mark.parametrize("wrong", [{"speedup": 0.0}, {"size_s": -1.0}, {"duration_s": float("nan")}])
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give a finite number above 0"):
        TraceFile("trace.csv", **wrong)  # type: ignore[arg-type]


def test_parquet_without_its_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(UsageError, match="Parquet needs the package pyarrow; or give a CSV file"):
        read_trace(TraceFile(tmp_path / "trace.parquet"), Constant(1.0))


def test_parquet_is_read_by_places_or_names_where_its_package_is(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    if find_spec("pyarrow") is None:
        with pytest.raises(UsageError, match="needs the package pyarrow"):
            read_trace(TraceFile(path), Constant(1.0))
        return
    write_table(path, ("at", "tokens"), [(1.0, 3), (2.5, 4)])

    for time, size in (("at", "tokens"), (0, 1)):
        trace = read_trace(TraceFile(path, time=time, size=size, size_s=0.5))
        assert (list(trace.times), list(trace.sizes)) == ([0.0, 1.5], [1.5, 2.0])
    with pytest.raises(UsageError, match="there are only 2 columns"):
        read_trace(TraceFile(path, time=0, size=5))
    with pytest.raises(UsageError, match="there is no column 'x'; there are: at, tokens"):
        read_trace(TraceFile(path, time="x", size=0))
    path.write_bytes(b"no parquet")
    with pytest.raises(UsageError, match="cannot be read"):
        read_trace(TraceFile(path), Constant(1.0))


def test_a_file_with_more_requests_than_a_trace_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_REQUESTS", 2)

    assert read_trace(TraceFile(written(tmp_path, "1\n2\n")), Constant(1.0)).times
    with pytest.raises(UsageError, match=r"trace.csv:3: a trace holds 2 requests at most; give load.file.duration_s"):
        read_trace(TraceFile(written(tmp_path, "1\n2\n3\n")), Constant(1.0))
