"""An archive with what trips readers: ids that begin with 0, maps with null values, columns of nulls only, a schema that grew.

Three snapshots of two targets. The oldest lacks columns that the others have, as if an older boto3 had made it; the newest
has one more, as if a newer one had. The golden archive is made of the same frames.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

import appstream_frames as asf
from appstream_frames.tables.conversion import to_arrow, to_pandas
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.schema import list_tables

TABLES: Final = ("images", "applications", "errors", "coverage")
ACCOUNTS: Final = ("012345678901", "000000000042")
REGION: Final = "eu-west-1"
MOMENTS: Final = ("2026-09-07T22:30:00.000001", "2026-09-14T22:30:00.123456", "2026-11-23T04:59:59.999999")
GROWN: Final = {"images": ["image_type", "managed_software_included"], "applications": ["platforms", "created_time"]}
NEWER: Final = "colour"  # of no model; only the newest snapshot has it
EMPTY: Final = {"images": "description", "applications": "app_block_arn"}  # never filled
APPLICATION: Final = {"Enabled": True, "LaunchParameters": "--token=hush"}
MAPS: Final = ({"WORKING_DIRECTORY": None}, {"a": "1", "b": None}, {}, None)


def frames(moment: str, limited: str | None = None) -> asf.Frames:
    """Return frames of both targets at a moment; `limited` is an account that was not read to its end."""
    stamp = dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)
    drained = [(account, decode(_sent(account), Key(stamp, account, REGION))) for account in ACCOUNTS]
    tables = {name: pa.concat_tables([made[name] for _, made in drained]) for name in TABLES[:-1]}
    rows = [_covered(stamp, account, made, account == limited) for account, made in drained]
    tables["coverage"] = pa.Table.from_pylist(rows, schema=list_tables()["coverage"].schema)
    return asf.Frames({name: to_pandas(table) for name, table in tables.items()})


def _sent(account: str) -> list[bytes]:
    return [json.dumps(_image(account, number)).encode() for number in range(5)]


def _image(account: str, number: int) -> dict[str, Any]:
    name = f"image-{number}"
    applications = [
        {"Name": f"app-{place}", "Metadata": metadata, **APPLICATION, "Platforms": ["WINDOWS"] * place}
        for place, metadata in enumerate(MAPS[: number + 1])
    ]
    return {
        "Name": name,
        "Arn": f"arn:aws:appstream:{REGION}:{account}:image/{name}",
        "Visibility": "PRIVATE",
        "CreatedTime": 1757284199.5 + number,
        "ImageType": "native",
        "ManagedSoftwareIncluded": (True, False, None)[number % 3],
        "LatestAppstreamAgentVersion": ("TRUE", "FALSE")[number % 2],
        "ImagePermissions": {"allowFleet": True} if number else None,
        "SupportedInstanceFamilies": [["GENERAL_PURPOSE", "GRAPHICS_G6"], [], None][number % 3],
        "Applications": applications,
        "ImageErrors": [{"ErrorCode": "INTERNAL_ERROR", "ErrorTimestamp": 1757284200}] if number == 1 else [],
        **({"ANewMember": {"Unknown": [1, None, "ü"]}, "CreatedTime": "not a time"} if number == 3 else {}),
    }


def _covered(stamp: dt.datetime, account: str, made: dict[str, pa.Table], limited: bool) -> dict[str, Any]:
    return {
        "snapshot": stamp,
        "account": account,
        "region": REGION,
        "operation": "DescribeImages",
        "status": "limited" if limited else "complete",
        "started_at": stamp,
        "ended_at": stamp + dt.timedelta(seconds=1.5),
        "pages": 1,
        "rows": made["images"].num_rows,
        "duplicates": 0,
        "retries": 1,
        "resume_token": "a token/+=" if limited else None,
        "request": "{}",
        "botocore_version": "1.39.0",
    }


def older(frames: asf.Frames) -> asf.Frames:
    """Return the frames as an older boto3 would have made them: without the columns of `GROWN`."""
    grown = {name: table.drop(columns=GROWN.get(name, []), errors="ignore") for name, table in frames.tables.items()}
    return asf.Frames(grown)


def newer(frames: asf.Frames) -> asf.Frames:
    """Return the frames as a newer boto3 might have made them: with the column `NEWER`."""
    colour = {name: table.assign(**{NEWER: pd.Series("red", table.index)}) for name, table in frames.tables.items()}
    return asf.Frames(colour)


def snapshots() -> list[asf.Frames]:
    """Return the frames of the three snapshots, oldest first."""
    oldest, middle, newest = map(frames, MOMENTS)
    return [older(oldest), middle, newer(newest)]


def write(root: Path | str) -> dict[str, pa.Table]:
    """Write the three snapshots under a root; return the rows of each table, put together without any Parquet."""
    made = snapshots()
    for one in made:
        asf.write_snapshot(one, root)
    union = {name: [to_arrow(one.tables[name], name) for one in made] for name in TABLES}
    return {name: pa.concat_tables(tables, promote_options="default") for name, tables in union.items()}


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table's rows as JSON has them: times as text in UTC, maps as lists of pairs, however an engine holds them."""
    return [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(value, dict):  # a pair of a map, in an engine that has none
        return [value["key"], value["value"]]
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
