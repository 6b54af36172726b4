"""Tables as files."""

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from raybeam.actors import UsageError
from raybeam.autoscaler.simulator.files import write_table


def test_a_table_becomes_csv(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ("a", "b"), [(1, "x, y"), (2.5, None)])

    assert (tmp_path / "t.csv").read_text() == 'a,b\n1,"x, y"\n2.5,\n'


def test_a_table_becomes_parquet_column_by_column_where_its_package_is(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    if find_spec("pyarrow") is None:
        with pytest.raises(UsageError, match="needs the package pyarrow"):
            write_table(path, ("a", "b"), [(1, "x")])
        return
    write_table(path, ("a", "b", "c"), [(1, "x", None), (3, "y", 0.5)])

    parquet = importlib.import_module("pyarrow.parquet")
    assert parquet.read_table(path).to_pydict() == {"a": [1, 3], "b": ["x", "y"], "c": [None, 0.5]}


def test_parquet_without_its_package_and_other_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(UsageError, match="needs the package pyarrow"):
        write_table(tmp_path / "t.parquet", ("a",), [])
    with pytest.raises(UsageError, match=r"ends in \.csv or \.parquet"):
        write_table(tmp_path / "t.txt", ("a",), [])
