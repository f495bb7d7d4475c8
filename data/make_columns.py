"""Write `columns.csv`: the data dictionary of every table, as the installed botocore's service model gives it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import appstream_frames as asf
from appstream_frames.tables.schema import list_tables


def dictionary() -> pd.DataFrame:
    """Return a row per table and column: its type, its path in the API's reply, what AWS says of it, and its known values."""
    described = pd.concat([asf.columns(table).assign(table=table) for table in list_tables()], ignore_index=True)
    values = [
        " ".join(values) if isinstance(values, list | tuple) else None for values in described["enum_values"].to_list()
    ]
    return described.assign(enum_values=values)[["table", "column", "type", "api_path", "sentence", "enum_values"]]


if __name__ == "__main__":
    dictionary().to_csv(Path(__file__).with_name("columns.csv"), index=False, lineterminator="\n")
