"""Tables as files."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from raybeam.actors import UsageError
from raybeam.autoscaler.simulator.files import write_table


def test_a_table_becomes_csv(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ("a", "b"), [(1, "x, y"), (2.5, None)])

    assert (tmp_path / "t.csv").read_text() == 'a,b\n1,"x, y"\n2.5,\n'


def test_a_table_becomes_parquet_column_by_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = {}
    parquet = SimpleNamespace(write_table=lambda table, path: written.update({path.name: table}))
    monkeypatch.setitem(sys.modules, "pyarrow", SimpleNamespace(parquet=parquet, table=lambda columns: columns))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)

    write_table(tmp_path / "t.parquet", ("a", "b"), [(1, 2), (3, 4)])
    assert written == {"t.parquet": {"a": [1, 3], "b": [2, 4]}}


def test_parquet_without_its_package_and_other_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(UsageError, match="needs the package pyarrow"):
        write_table(tmp_path / "t.parquet", ("a",), [])
    with pytest.raises(UsageError, match=r"ends in \.csv or \.parquet"):
        write_table(tmp_path / "t.txt", ("a",), [])
