"""Tables for spreadsheets and databases: plain cells, an Excel workbook, and the safe replacement of a file."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.text import printable

_ROWS: Final = 1_048_575  # of a sheet, below its header
_TEXT: Final = 32_767  # characters of a cell
_NAME: Final = 31  # characters of a sheet's name
_WIDEST: Final = 60  # characters of the widest column
_LARGEST: Final = 2**53  # a spreadsheet's numbers are floats
_FIRST_DAY: Final = dt.datetime(1900, 3, 1)
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # in XML


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a file that atomically replaces the one at `path` when the block succeeds; symbolic links are followed."""
    target = find_file(path)
    if target.exists() and not target.is_file():  # a pipe or a device cannot be replaced
        with open(target, "wb") as device:
            yield device
        return
    aside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(aside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def find_file(path: str | os.PathLike[str], given_as: str = "path=") -> Path:
    """Return the file of a path, ``~`` expanded; raise RequestError when it is a folder, or its folder does not exist."""
    target = Path(os.path.realpath(os.path.expanduser(path)))
    given = f"{given_as}{printable(path)!r}"
    if target.is_dir() or os.fspath(path).endswith(("/", os.sep)):
        raise RequestError(f"{given} is a folder; expected the name of a file, which may be in it")
    if not target.parent.is_dir():
        raise RequestError(f"{given}: there is no folder {printable(target.parent)}; make it first")
    return target


def to_plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with lists as text, maps as JSON, and times in UTC without a zone."""
    return pd.DataFrame({name: _convert_column(table[name]) for name in table.columns}, index=table.index)


def _convert_column(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").dt.tz_localize(None)
    if column.dtype == object or isinstance(
        column.dtype, pd.ArrowDtype
    ):  # lists, maps, and what other tools make of the rest
        return column.astype(object).map(_convert_cell).infer_objects()
    return column


def _convert_cell(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    if not isinstance(value, tuple | list):
        return value
    if value and all(isinstance(element, tuple) for element in value):
        return json.dumps(dict(value), ensure_ascii=False)
    return ", ".join("" if element is None else str(element) for element in value)


def write_workbook(tables: Mapping[str, pd.DataFrame], path: str | os.PathLike[str]) -> None:
    """Write plain tables as the sheets of a workbook; a failure leaves the old file."""
    try:
        from openpyxl import Workbook
    except ImportError:
        raise RequestError("A workbook needs openpyxl. Install it: pip install 'appstream-frames[excel]'.") from None
    for name, table in tables.items():
        if len(table) > _ROWS:
            raise RequestError(
                f"{name} has {len(table):,} rows, and a sheet holds {_ROWS:,}. "
                "Leave some out with pandas, or write Parquet with write_snapshot."
            )
    with replace_file(path) as file:  # first, as openpyxl complains of sheets that are never saved
        book = Workbook(write_only=True)
        for number, (name, table) in enumerate(tables.items()):
            short = name[:_NAME]
            title = f"{name[: _NAME - 3]}~{number}" if short in book.sheetnames else short
            _write_sheet(book.create_sheet(title), table)
        book.save(file)


def _write_sheet(sheet: Any, table: pd.DataFrame) -> None:
    from openpyxl.utils import get_column_letter

    sheet.freeze_panes = "A2"
    columns = []
    for number, name in enumerate(table.columns, 1):
        values = table[name].astype(object).where(table[name].notna(), None)
        columns.append([name, *map(_to_cell, values)])
        longest = max(len(str(value)) for value in columns[-1] if value is not None)
        sheet.column_dimensions[get_column_letter(number)].width = 2 + min(_WIDEST, longest)
    for row in zip(*columns, strict=True):
        sheet.append([_make_inert(sheet, value) if isinstance(value, str) else value for value in row])


def _make_inert(sheet: Any, text: str) -> Any:
    """Return a cell that shows a text literally, even after it is edited."""
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"  # openpyxl takes text that begins with = for a formula
    cell.quotePrefix = text.startswith(("=", "+", "-", "@"))
    return cell


def _to_cell(value: Any) -> Any:
    """Return a value in a form that a cell can hold, without loss where possible."""
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ") if value < _FIRST_DAY else value
    if isinstance(value, int) and abs(value) > _LARGEST:
        return str(value)
    if not isinstance(value, str):
        return value
    text = _FORBIDDEN.sub(lambda char: char[0].encode("unicode_escape").decode(), value)
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
