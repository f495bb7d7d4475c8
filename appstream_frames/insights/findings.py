"""What to do today: each finding with its severity, rule, resource, reason and remedy.

A rule looks at what was read, and only at that: what was not drained makes no finding, and is named once. A finding rests on rows
of its own target, so that a target that fails takes away its own findings and nobody else's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from appstream_frames.errors import RequestError
from appstream_frames.insights.days import Day, choose_day
from appstream_frames.insights.reference import read_tables
from appstream_frames.insights.usage import judge_usage, used_by
from appstream_frames.insights.verdicts import agents, base_images
from appstream_frames.tables.coverage import FIRST_OPERATION, is_whole
from appstream_frames.tables.frames import Frames, to_pandas
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.tables.schema import UTC_US
from appstream_frames.text import printable

SEVERITIES: Final = ("high", "medium", "low", "info")
KEYS: Final = ["rule", "account", "region", "resource", "name", "arn"]
_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("severity", "rule", "account", "region", "resource", "name", "arn")),
        ("finding", pa.string()),
        ("remedy", pa.string()),
        ("value", pa.int64()),
        ("reference_date", UTC_US),
    ]
)


@dataclass(frozen=True)
class Rule:
    """What a rule finds, how severe that is, and from where on: a number of days, or a count."""

    severity: str
    threshold: int | None
    about: str


#: Every rule by its id, the order within one severity.
RULES: Final[dict[str, Rule]] = {
    "target_not_read": Rule("high", None, "the images of a target were not read to the end"),
    "image_failed": Rule("high", None, "AWS could not make the image"),
    "agent_known_bad": Rule("high", None, "AWS advises against the image's agent"),
    "base_retired": Rule("high", None, "AWS has retired the image's base"),
    "support_ended": Rule("high", 0, "vendor support of the operating system has ended"),
    "fleet_image_gone": Rule("high", None, "a fleet stands on an image that is retired, withdrawn or deleted"),
    "fleet_error": Rule("high", None, "AWS reports an error of a fleet"),
    "operation_not_read": Rule("medium", None, "an operation of a target was not read to the end"),
    "agent_behind": Rule("medium", 0, "the image's agent is behind AWS's newest, by more than so many days"),
    "base_behind": Rule("medium", 0, "the image's base is behind AWS's newest, by more than so many days"),
    "support_ending": Rule("medium", 180, "vendor support of the operating system ends within so many days"),
    "fleet_image_old": Rule(
        "medium", 30, "the image of a fleet, or its base, is older than so many days (CIS EUC 5.7)"
    ),
    "builder_running": Rule("medium", 7, "an image builder has been running for more than so many days"),
    "image_shared_outside": Rule("medium", None, "an image is shared with an account that was not drained"),
    "quota_near": Rule("low", 10, "80 % or more of so many images, fleets, image builders or stacks are there"),
    "image_unused": Rule("low", None, "nobody stands on the image"),
    "reference_old": Rule("info", None, "AWS knows newer agents than the reference table"),
    "not_drained": Rule("info", None, "an operation was not drained, so that its rules found nothing"),
}
_QUOTAS: Final = {"images": "image", "fleets": "fleet", "image_builders": "image_builder", "stacks": "stack"}
_NEEDED: Final = ("DescribeFleets", "DescribeImageBuilders", "DescribeStacks", "DescribeImagePermissions")
_GONE: Final = ("retired by AWS", "share withdrawn", "deleted")


def list_rules(changes: Mapping[str, int | str | None] | None) -> dict[str, Rule]:
    """Return the rules as a caller wants them.

    Raises
    ------
    RequestError
        When there is no such rule, or it cannot be changed like this.
    """
    rules = dict(RULES)
    for name, change in (changes or {}).items():
        if name not in rules:
            raise RequestError(f"rules holds {printable(name)!r}, which is none of {', '.join(RULES)}.")
        if change is None:
            del rules[name]
        elif change in SEVERITIES:
            rules[name] = replace(rules[name], severity=str(change))
        elif isinstance(change, int) and not isinstance(change, bool) and rules[name].threshold is not None:
            rules[name] = replace(rules[name], threshold=change)
        else:
            expected = f"one of {', '.join(SEVERITIES)}, or None to leave it out"
            number = "a whole number, " if rules[name].threshold is not None else ""
            raise RequestError(f"rules[{name!r}] is {printable(change)!r}; expected {number}{expected}.")
    return rules


def find(
    frames: Frames,
    *,
    today: Day = None,
    rules: Mapping[str, int | str | None] | None = None,
    running_since: Mapping[str, pd.Timestamp] | None = None,
    reference: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Return the findings of frames; see `history.findings.findings`.

    `running_since` is the moment since which each image builder, by ARN, has been running, where a history tells.
    """
    if not isinstance(frames, Frames):
        raise RequestError(
            f"frames is a {type(frames).__name__}, expected Frames: pass what drain or read_snapshot returned"
        )
    chosen = list_rules(rules)
    estate = _Estate(frames, choose_day(today, frames.images), chosen, running_since or {}, reference)
    rows = [row for row in estate.find() if row["rule"] in chosen]
    return _to_table(rows, chosen)


def _to_table(rows: list[dict[str, Any]], rules: Mapping[str, Rule]) -> pd.DataFrame:
    order = {name: number for number, name in enumerate(rules)}

    def rank(row: dict[str, Any]) -> tuple[Any, ...]:
        return SEVERITIES.index(row["severity"]), order[row["rule"]], *(str(row[key] or "") for key in KEYS[1:])

    ranked = sorted(rows, key=rank)
    table = pa.table({name: [row.get(name) for row in ranked] for name in _SCHEMA.names}, schema=_SCHEMA)
    return to_pandas(table)


@dataclass(frozen=True)
class _Estate:
    """What was read, and the rules that are asked about it."""

    frames: Frames
    today: date
    rules: Mapping[str, Rule]
    running_since: Mapping[str, pd.Timestamp]
    reference: str | os.PathLike[str] | None

    def find(self) -> Iterator[dict[str, Any]]:
        yield from self._coverage()
        yield from self._images()
        yield from self._fleets()
        yield from self._builders()
        yield from self._sharing()
        yield from self._quotas()

    def _row(
        self, rule: str, resource: str, row: Mapping[str, Any], finding: str, remedy: str, **more: Any
    ) -> dict[str, Any]:
        keys = {name: row.get(name) for name in ("account", "region", "name", "arn")}
        severity = self.rules[rule].severity if rule in self.rules else "info"
        words = {"finding": printable(finding.rstrip("."), 600) + ".", "remedy": remedy}
        return {"severity": severity, "rule": rule, "resource": resource, **keys, **words, **more}

    def _over(self, rule: str, days: pd.Series) -> pd.Series:
        """Tell of which numbers of days a rule speaks; of none when it is left out."""
        if rule not in self.rules:
            return pd.Series(False, days.index)
        return days.gt(self.rules[rule].threshold).fillna(False).astype(bool)

    @cached_property
    def bases(self) -> pd.DataFrame:
        """What `base_images` says of each image."""
        return base_images(self.frames, today=self.today, reference=self.reference)

    # coverage

    def _coverage(self) -> Iterator[dict[str, Any]]:
        coverage = self.frames.coverage
        for row in to_records(coverage[~is_whole(coverage)]):
            images = row["operation"] == FIRST_OPERATION
            rule, resource = ("target_not_read", "target") if images else ("operation_not_read", "operation")
            words = ": ".join(str(part) for part in (row["error_code"], row["error_message"]) if part)
            finding = f"{row['operation']} was not read to the end ({row['status']})" + (f": {words}" if words else "")
            yield self._row(
                rule, resource, row | {"name": row["operation"]}, finding, "Mend the cause, and drain it again."
            )
        for operation in _NEEDED:
            if operation not in set(coverage["operation"]):
                table = OPERATIONS[operation].table
                finding = f"{operation} was not drained, so nothing is said of {table.replace('_', ' ')}."
                yield self._row(
                    "not_drained", "operation", {"name": operation}, finding, f"Drain with include={table!r}."
                )

    # images

    def _images(self) -> Iterator[dict[str, Any]]:
        images = self.frames.images
        own = (images["owner"] == images["account"]).fillna(False).to_numpy(bool)
        yield from self._failed(images[own])
        yield from self._agents(agents(images, today=self.today, reference=self.reference)[own])
        yield from self._bases(self.bases[own])

    def _failed(self, images: pd.DataFrame) -> Iterator[dict[str, Any]]:
        failed = images[images["state"].eq("FAILED").fillna(False)]
        for row, reasons in zip(to_records(failed), list_reasons(failed, self.frames.errors), strict=True):
            words = "; ".join(reasons)
            remedy = "Mend what AWS names, build the image again, and delete this one."
            yield self._row("image_failed", "image", row, f"AWS could not make the image: {words}.", remedy)

    def _agents(self, verdicts: pd.DataFrame) -> Iterator[dict[str, Any]]:
        remedy = "Build the image again with the newest agent, or let it follow LATEST."
        for row in to_records(verdicts[verdicts["verdict"] == "known_bad"]):
            finding = f"Its agent {row['appstream_agent_version']} {row['reason']}."
            yield self._row("agent_known_bad", "image", row, finding, remedy, value=row["days_behind"])
        late = verdicts[(verdicts["verdict"] == "behind") & self._over("agent_behind", verdicts["days_behind"])]
        for row in to_records(late):
            days, newest = row["days_behind"], row["newest_agent"]
            finding = f"Its agent {row['appstream_agent_version']} is {days:,} days behind {newest:%m-%d-%Y}."
            yield self._row("agent_behind", "image", row, finding, remedy, value=days, reference_date=newest)
        if verdicts["contradiction"].fillna("").str.contains("no newer one is known").any():
            newest = read_tables(self.reference)["agent_versions"]["iso_date"].max()
            finding = f"AWS flags the newest agent known here, of {newest:%Y-%m-%d}, as not the latest."
            remedy = "Upgrade appstream-frames, or add the agent to your own reference folder."
            yield self._row(
                "reference_old", "reference", {"name": "agent_versions"}, finding, remedy, reference_date=newest
            )

    def _bases(self, verdicts: pd.DataFrame) -> Iterator[dict[str, Any]]:
        remedy = "Build the image again on the newest base."
        for row in to_records(verdicts[verdicts["verdict"] == "retired"]):
            finding = f"Its base {row['base_name']} is retired: {row['reason']}."
            yield self._lower(row, self._row("base_retired", "image", row, finding, remedy, value=row["age_days"]))
        late = verdicts[(verdicts["verdict"] == "behind") & self._over("base_behind", verdicts["days_behind"])]
        for row in to_records(late):
            finding = f"Its base {row['base_name']} is {row['days_behind']:,} days behind {row['newest_base']}."
            more = {"value": row["days_behind"], "reference_date": row["newest_released"]}
            yield self._lower(row, self._row("base_behind", "image", row, finding, remedy, **more))
        yield from self._support(verdicts)

    def _lower(self, verdict: Mapping[str, Any], row: dict[str, Any]) -> dict[str, Any]:
        """Return a finding one severity lower where AWS may have updated the image without saying so."""
        if not verdict.get("maybe_updated"):
            return row
        return row | {"severity": SEVERITIES[min(SEVERITIES.index(row["severity"]) + 1, len(SEVERITIES) - 1)]}

    def _support(self, verdicts: pd.DataFrame) -> Iterator[dict[str, Any]]:
        table = read_tables(self.reference)["vendor_support"]
        system = verdicts["family"].str.extract(r"(\S+)\Z", expand=False)
        for name, end in zip(table["family_os"], table["vendor_support_ends"], strict=True):
            days = (end.date() - self.today).days
            rule = "support_ended" if days < 0 else "support_ending"
            if rule not in self.rules or (days >= 0 and days > (self.rules[rule].threshold or 0)):
                continue
            finding = f"Vendor support of {name} {'ended' if days < 0 else 'ends'} on {end:%Y-%m-%d}."
            more = {"value": abs(days), "reference_date": end}
            for row in to_records(verdicts[(system == name).fillna(False)]):
                yield self._row(
                    rule, "image", row, finding, "Build the image again on a newer operating system.", **more
                )

    # fleets and image builders

    def _fleets(self) -> Iterator[dict[str, Any]]:
        tables = self.frames.tables
        if "fleets" not in tables:
            return
        errors = tables.get("fleet_errors", pd.DataFrame())
        for key, rows in (
            errors.groupby(["account", "region", "fleet_arn"], dropna=False, sort=False) if len(errors) else ()
        ):
            pairs = zip(rows["error_code"], rows["error_message"], strict=True)
            words = "; ".join(dict.fromkeys(_join(*pair) for pair in pairs))
            row = {"account": key[0], "region": key[1], "arn": key[2], "name": rows["fleet_name"].iloc[0]}
            yield self._row(
                "fleet_error", "fleet", _clean(row), f"AWS reports: {words}.", "Mend what AWS names.", value=len(rows)
            )
        users = used_by(self.frames)
        fleets = users[users["kind"] == "fleet"]
        fleets = fleets.assign(account=fleets["user_account"], region=fleets["user_region"], name=fleets["user_name"])
        fleets = fleets.assign(arn=fleets["user_arn"])
        for row in to_records(fleets[fleets["reason"].fillna("").str.startswith(_GONE)]):
            finding = f"Its image {row['image_arn']} is gone: {row['reason']}."
            remedy = "Move the fleet to an image that is there: new instances cannot start from this one."
            yield self._row("fleet_image_gone", "fleet", row, finding, remedy)
        yield from self._old_fleets(fleets)

    def _old_fleets(self, fleets: pd.DataFrame) -> Iterator[dict[str, Any]]:
        images = self.frames.images
        built = (pd.Timestamp(self.today, tz="UTC") - images["created_time"]).dt.days.to_numpy()
        ages = self.bases[["account", "region", "arn"]].assign(built=built, base=self.bases["age_days"])
        ages = ages.rename(columns={"arn": "image_arn"}).drop_duplicates(["account", "region", "image_arn"])
        joined = fleets.merge(ages, on=["account", "region", "image_arn"], how="inner")
        days = joined[["built", "base"]].astype("Float64").max(axis=1)
        for row in to_records(joined.assign(days=days)[self._over("fleet_image_old", days)]):
            what = "base" if (row["base"] or 0) > (row["built"] or 0) else "image"
            finding = f"The {what} it stands on is {int(row['days']):,} days old."
            remedy = "Build its image again on the newest base, and move the fleet to it."
            yield self._row("fleet_image_old", "fleet", row, finding, remedy, value=int(row["days"]))

    def _builders(self) -> Iterator[dict[str, Any]]:
        builders = self.frames.tables.get("image_builders")
        if builders is None:
            return
        running = builders[builders["state"].eq("RUNNING").fillna(False)]
        since = running["arn"].map(dict(self.running_since))
        known = since.notna()
        since = pd.to_datetime(since.where(known, running["created_time"]), utc=True)
        days = (pd.Timestamp(self.today, tz="UTC") - since.dt.normalize()).dt.days
        for row in to_records(running.assign(days=days, known=known)[self._over("builder_running", days)]):
            source = "the history" if row["known"] else "its creation, as no history says more"
            finding = f"It has been running for {int(row['days']):,} days, by {source}."
            yield self._row(
                "builder_running",
                "image_builder",
                row,
                finding,
                "Stop it: it is paid for by the hour.",
                value=int(row["days"]),
            )

    # use and sharing

    def _sharing(self) -> Iterator[dict[str, Any]]:
        tables = self.frames.tables
        if "fleets" in tables and "image_builders" in tables:
            unused = judge_usage(self.frames)
            owned = self.frames.images["owner"].reindex(unused.index) == unused["account"]
            for row in to_records(unused[owned & (unused["verdict"] == "unused")]):
                remedy = "Delete it." if row["deletable"] else "Unshare it, then delete it."
                yield self._row("image_unused", "image", row, row["reason"].capitalize(), remedy)
        if "permissions" in tables:
            shares = tables["permissions"]
            estate = set(self.frames.coverage["account"].dropna())
            outside = shares[~shares["shared_account_id"].isin(estate)]
            for key, rows in outside.groupby(["account", "region", "image_arn"], dropna=False, sort=False):
                row = {"account": key[0], "region": key[1], "arn": key[2], "name": rows["image_name"].iloc[0]}
                others = ", ".join(sorted(rows["shared_account_id"].dropna().unique()))
                finding = f"It is shared with {others}, which was not drained here."
                remedy = "Ask whose account that is; unshare the image if nobody knows."
                yield self._row("image_shared_outside", "image", _clean(row), finding, remedy, value=len(rows))

    def _quotas(self) -> Iterator[dict[str, Any]]:
        if "quota_near" not in self.rules:
            return
        quota = self.rules["quota_near"].threshold or 0
        for table, resource in _QUOTAS.items():
            rows = self.frames.tables.get(table)
            if rows is None:
                continue
            rows = rows[(rows["owner"] == rows["account"]).fillna(False)] if table == "images" else rows
            counts = rows.groupby(["account", "region"]).size()
            for (account, region), count in counts[(counts >= 0.8 * quota) & (counts <= quota)].items():
                finding = f"{count:,} {table.replace('_', ' ')} of a quota of {quota:,}, if it is the default."
                row = {"account": account, "region": region, "name": table}
                yield self._row(
                    "quota_near",
                    resource,
                    row,
                    finding,
                    "Delete what is unused, or ask AWS for more.",
                    value=int(count),
                )


def list_reasons(images: pd.DataFrame, errors: pd.DataFrame) -> list[list[str]]:
    """Return AWS's words for the failure of each image: the reason of its state, then its errors, each once."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for row in to_records(errors):
        key = (row["account"], row["region"], row["image_arn"], row["image_name"])
        found.setdefault(key, []).append(_join(row["error_code"], row["error_message"]))
    reasons = []
    for row in to_records(images):
        own = _join(row["state_change_reason_code"], row["state_change_reason_message"])
        words = [own, *found.get((row["account"], row["region"], row["arn"], row["name"]), [])]
        reasons.append(list(dict.fromkeys(filter(None, words))) or ["AWS gives no reason"])
    return reasons


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dicts, missing values as None."""
    columns = [column.to_numpy(object, na_value=None) for _, column in frame.items()]
    return [dict(zip(frame.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def _join(*parts: object) -> str:
    return ": ".join(str(part) for part in parts if not pd.isna(part))


def _clean(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if pd.isna(value) else value for name, value in row.items()}
