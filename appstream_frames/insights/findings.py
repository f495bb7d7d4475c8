"""What to do today: each finding with its severity, rule, resource, reason and remedy.

A rule looks at what was read, and only at that: what was not drained makes no finding, and is named once. Agents and bases are
judged target by target, by what that target shows and by the reference tables, so that a target that fails takes away its own
findings and nobody else's: the newest agent of a whole drain may be on an image of the target that fails tomorrow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from numbers import Integral
from typing import Any, Final

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.insights.base_names import find_newest_listed
from appstream_frames.insights.days import Day, choose_day
from appstream_frames.insights.reference import reference
from appstream_frames.insights.rows import iterate_rows, to_records, to_typed
from appstream_frames.insights.usage import judge_usage, used_by
from appstream_frames.insights.verdicts import NONE_NEWER, judge_agents, judge_bases
from appstream_frames.tables.conversion import make_empty
from appstream_frames.tables.coverage import FIRST_OPERATION, is_whole
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.text import printable

SEVERITIES: Final = ("high", "medium", "low", "info")
KEYS: Final = ["rule", "account", "region", "resource", "name", "arn"]
_COLUMNS: Final = ["severity", *KEYS, "finding", "remedy", "value", "reference_date"]


@dataclass(frozen=True)
class Rule:
    """What a rule finds, how severe that is, of which resource, and from where on: a number of days, or a count."""

    severity: str
    resource: str
    threshold: int | None
    about: str


#: Every rule by its id, the order within one severity.
RULES: Final[dict[str, Rule]] = {
    "target_not_read": Rule("high", "target", None, "the images of a target were not read to the end"),
    "image_failed": Rule("high", "image", None, "AWS could not make the image"),
    "agent_known_bad": Rule("high", "image", None, "AWS advises against the image's agent"),
    "base_retired": Rule("high", "image", None, "AWS has retired the image's base"),
    "support_ended": Rule(
        "high", "image", 0, "vendor support of the operating system ended more than so many days ago"
    ),
    "fleet_image_gone": Rule("high", "fleet", None, "a fleet stands on an image that is retired, withdrawn or deleted"),
    "fleet_error": Rule("high", "fleet", None, "AWS reports an error of a fleet"),
    "operation_not_read": Rule("medium", "operation", None, "an operation of a target was not read to the end"),
    "agent_behind": Rule("medium", "image", 0, "the image's agent is behind AWS's newest, by more than so many days"),
    "base_behind": Rule("medium", "image", 0, "the image's base is behind AWS's newest, by more than so many days"),
    "support_ending": Rule("medium", "image", 180, "vendor support of the operating system ends within so many days"),
    "fleet_image_old": Rule(
        "medium", "fleet", 30, "the image of a fleet, or its base, is older than so many days (CIS EUC 5.7)"
    ),
    "builder_running": Rule(
        "medium", "image_builder", 7, "an image builder has been running for more than so many days"
    ),
    "image_shared_outside": Rule("medium", "image", None, "an image is shared with an account that was not drained"),
    "quota_near": Rule(
        "low", "image", 10, "80 % or more of so many images, fleets, image builders or stacks are there"
    ),
    "image_unused": Rule(
        "low", "image", None, "nobody in the image's own account stands on it, and it is shared with nobody"
    ),
    "reference_old": Rule("info", "reference", None, "a reference table is older than what was drained"),
    "not_drained": Rule(
        "info", "operation", None, "an operation was not drained, or an account is not known: its rules found nothing"
    ),
}
_QUOTAS: Final = ("images", "fleets", "image_builders", "stacks")
_NEEDED: Final = ("DescribeFleets", "DescribeImageBuilders", "DescribeStacks", "DescribeImagePermissions")
_RENEW: Final = "Upgrade appstream-frames, or add what is newer to a reference folder of your own."
_AGAIN: Final = "Mend the cause, and drain it again."
_GONE: Final = ("retired by AWS", "share withdrawn", "deleted")


def list_rules(changes: Mapping[str, int | str | None] | None) -> dict[str, Rule]:
    """Return the rules as a caller wants them; refuse what is no rule, or cannot be changed like this."""
    if not isinstance(changes, Mapping | None):
        raise RequestError(f"rules={printable(repr(changes))} must be a mapping such as {{'builder_running': 14}}.")
    rules = dict(RULES)
    for name, change in (changes or {}).items():
        if name not in rules:
            raise RequestError(f"rules holds {printable(name)!r}, which is none of {', '.join(RULES)}.")
        if change is None:
            del rules[name]
        elif isinstance(change, str) and change in SEVERITIES:
            rules[name] = replace(rules[name], severity=change)
        elif isinstance(change, Integral) and not isinstance(change, bool) and rules[name].threshold is not None:
            rules[name] = replace(rules[name], threshold=int(change))
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
    """Return the findings of frames with the dtypes of the model; see `history.findings.findings`.

    `running_since` is the moment since which each image builder, by ARN, has been running, where a history tells.
    """
    chosen = list_rules(rules)
    frames = replace(frames, tables={name: table.reset_index(drop=True) for name, table in frames.tables.items()})
    estate = _Estate(frames, choose_day(today, frames.coverage), RULES | chosen, running_since or {}, reference)
    order = {name: number for number, name in enumerate(chosen)}

    def rank(row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            SEVERITIES.index(row["severity"]),
            order[row["rule"]],
            *(str(row[key] or "") for key in [*KEYS[1:], "finding"]),
        )

    rows = sorted((row for row in estate.find() if row["rule"] in chosen), key=rank)
    return to_typed({name: [row.get(name) for row in rows] for name in _COLUMNS}, _COLUMNS)


@dataclass(frozen=True)
class _Estate:
    """What was read, and the rules that are applied to it."""

    frames: Frames
    today: date
    rules: Mapping[str, Rule]
    running_since: Mapping[str, pd.Timestamp]
    reference: str | os.PathLike[str] | None

    def find(self) -> Iterator[dict[str, Any]]:
        yield from self._find_in_coverage()
        yield from self._find_in_images()
        yield from self._find_in_fleets()
        yield from self._find_in_builders()
        yield from self._find_unused()
        yield from self._find_shares()
        yield from self._find_quotas()

    def _make_row(self, rule: str, row: Mapping[str, Any], finding: str, remedy: str, **more: Any) -> dict[str, Any]:
        keys = {name: row.get(name) for name in ("account", "region", "name", "arn")}
        known = self.rules[rule]
        words = {"finding": printable(finding.rstrip("."), 600) + ".", "remedy": remedy}
        return {"severity": known.severity, "rule": rule, "resource": known.resource, **keys, **words, **more}

    def _exceeds(self, rule: str, days: pd.Series) -> pd.Series:
        """Tell of which numbers of days a rule speaks."""
        return days.gt(self.rules[rule].threshold).fillna(False).astype(bool)

    @cached_property
    def bases(self) -> pd.DataFrame:
        """What `base_images` says of each image, target by target."""
        return judge_bases(self.frames, self.today, self.reference, apart=True)

    @cached_property
    def users(self) -> pd.DataFrame:
        """What `used_by` says."""
        return used_by(self.frames)

    # coverage

    def _find_in_coverage(self) -> Iterator[dict[str, Any]]:
        coverage = self.frames.coverage
        for row in to_records(coverage[~is_whole(coverage)]):
            rule = "target_not_read" if row["operation"] == FIRST_OPERATION else "operation_not_read"
            words = ": ".join(filter(None, (row["error_code"], row["error_message"])))
            finding = f"{row['operation']} was not read to the end ({row['status']})" + (f": {words}" if words else "")
            yield self._make_row(rule, row | {"name": row["operation"]}, finding, _AGAIN)
        covered = set(iterate_rows(coverage, "account", "region", "operation"))
        read = coverage[coverage["operation"].eq(FIRST_OPERATION) & coverage["status"].eq("complete")]
        targets = list(iterate_rows(read, "account", "region"))
        for operation in _NEEDED:
            lacking = sum((*target, operation) not in covered for target in targets)
            somewhere = operation in set(coverage["operation"])
            if lacking or not somewhere:
                where = f" in {lacking:,} of {len(targets):,} targets" if somewhere else ""
                table = OPERATIONS[operation].table
                finding = f"{operation} was not drained{where}, so nothing is said of {table.replace('_', ' ')}"
                finding += " there" if where else ""
                yield self._make_row("not_drained", {"name": operation}, finding, f"Drain with include={table!r}.")

    # images

    def _find_in_images(self) -> Iterator[dict[str, Any]]:
        images = self.frames.images
        own = _find_own(images)
        failed = images[own & images["state"].eq("FAILED").fillna(False).to_numpy(bool)]
        errors = self.frames.tables.get("errors", make_empty("errors"))
        for row, reasons in zip(to_records(failed), list_reasons(failed, errors), strict=True):
            remedy = "Mend what AWS names, build the image again, and delete this one."
            yield self._make_row("image_failed", row, f"AWS could not make the image: {'; '.join(reasons)}.", remedy)
        verdicts = judge_agents(images, self.today, self.reference, apart=True)
        yield from self._judge_agents(verdicts[own])
        yield from self._judge_bases(self.bases[own])
        yield from self._judge_support(self.bases[own], images.loc[own, "platform"])
        yield from self._judge_references(verdicts)

    def _judge_agents(self, verdicts: pd.DataFrame) -> Iterator[dict[str, Any]]:
        remedy = "Build the image again with the newest agent, or let it follow LATEST."
        for row in to_records(verdicts[verdicts["verdict"] == "known_bad"]):
            finding = f"Its agent {row['appstream_agent_version']} {row['reason']}."
            yield self._make_row("agent_known_bad", row, finding, remedy, value=row["days_behind"])
        behind = verdicts["days_behind"].fillna(1)  # at least, where only AWS knows the newer one
        for row in to_records(verdicts[(verdicts["verdict"] == "behind") & self._exceeds("agent_behind", behind)]):
            days, newest, how = row["days_behind"], None, f"behind: {row['reason']}"
            if days is not None:
                newest = row["newest_agent"]
                how = f"{days:,} days behind {newest:%m-%d-%Y}"
            finding = f"Its agent {row['appstream_agent_version']} is {how}."
            yield self._make_row("agent_behind", row, finding, remedy, value=days, reference_date=newest)

    def _judge_bases(self, verdicts: pd.DataFrame) -> Iterator[dict[str, Any]]:
        remedy = "Build the image again on the newest base."
        for row in to_records(verdicts[verdicts["verdict"] == "retired"]):
            finding = f"Its base {row['base_name']} is retired: {row['reason']}."
            yield _lower(row, self._make_row("base_retired", row, finding, remedy, value=row["age_days"]))
        late = verdicts[(verdicts["verdict"] == "behind") & self._exceeds("base_behind", verdicts["days_behind"])]
        for row in to_records(late):
            finding = f"Its base {row['base_name']} is {row['days_behind']:,} days behind {row['newest_base']}."
            more = {"value": row["days_behind"], "reference_date": row["newest_released"]}
            yield _lower(row, self._make_row("base_behind", row, finding, remedy, **more))

    def _judge_support(self, verdicts: pd.DataFrame, platforms: pd.Series) -> Iterator[dict[str, Any]]:
        """Find systems out of support: of the base image's name, or else the one that AWS reports of the image."""
        table = reference(self.reference)["vendor_support"]
        known = table["family_os"].map(_spell_system)
        system = verdicts["family"].str.extract(r"(\S+)\Z", expand=False).map(_spell_system)
        system = system.where(system.isin(known), platforms.set_axis(verdicts.index).map(_spell_system))
        for name, spelled, end in zip(table["family_os"], known, table["vendor_support_ends"], strict=True):
            days = (end.date() - self.today).days
            rule, verb = ("support_ended", "ended") if days < 0 else ("support_ending", "ends")
            threshold = self.rules[rule].threshold or 0
            if -days <= threshold if days < 0 else days > threshold:
                continue
            finding = f"Vendor support of {name} {verb} on {end:%Y-%m-%d}."
            remedy = "Build the image again on a newer operating system."
            for row in to_records(verdicts[system == spelled]):
                yield self._make_row(rule, row, finding, remedy, value=abs(days), reference_date=end)

    def _judge_references(self, verdicts: pd.DataFrame) -> Iterator[dict[str, Any]]:
        """Find reference tables that are older than what the drain shows, each once."""
        tables = reference(self.reference)
        known, drained = tables["agent_versions"]["iso_date"].max(), verdicts["newest_agent"].max()
        if drained > known:
            finding = f"The newest agent in the table is of {known:%Y-%m-%d}, and there are images with one of {drained:%Y-%m-%d}"
            yield self._make_row("reference_old", {"name": "agent_versions"}, finding, _RENEW, reference_date=known)
        elif len(flagged := verdicts.loc[verdicts["contradiction"].eq(NONE_NEWER), "newest_agent"]):
            known = flagged.max()
            finding = f"AWS flags the newest agent known here, of {known:%Y-%m-%d}, as not the latest"
            yield self._make_row("reference_old", {"name": "agent_versions"}, finding, _RENEW, reference_date=known)
        listed = find_newest_listed(tables["latest_public_base_images"], date.max)
        of_drain = self.bases[self.bases["newest_from"] == "drain"].drop_duplicates("newest_base")
        newer = sorted(
            row["newest_base"]
            for row in to_records(of_drain)
            if row["family"] not in listed or row["newest_released"].date() > listed[row["family"]][0].released
        )
        if newer:
            finding = f"AWS lists base images that are newer than those in the table: {', '.join(newer)}"
            read = tables["latest_public_base_images"]["read_on"].max()
            table = {"name": "latest_public_base_images"}
            yield self._make_row("reference_old", table, finding, _RENEW, reference_date=read)

    # fleets and image builders

    def _find_in_fleets(self) -> Iterator[dict[str, Any]]:
        if "fleets" not in self.frames.tables:
            return
        for row, rows in _group(self.frames.tables.get("fleet_errors"), "fleet"):
            rows = rows.sort_values("position", kind="stable")
            pairs = zip(rows["error_code"], rows["error_message"], strict=True)
            words = "; ".join(dict.fromkeys(_join(*pair) for pair in pairs))
            yield self._make_row("fleet_error", row, f"AWS reports: {words}.", "Mend what AWS names.", value=len(rows))
        fleets = self.users[self.users["kind"] == "fleet"]
        fleets = fleets[["image_arn", "reason"]].assign(
            **{name: fleets[f"user_{name}"] for name in ("account", "region", "name", "arn")}
        )
        for row in to_records(fleets[fleets["reason"].fillna("").str.startswith(_GONE)]):
            finding = f"Its image {row['image_arn']} is gone: {row['reason']}."
            remedy = "Move the fleet to an image that is there: new instances cannot start from this one."
            yield self._make_row("fleet_image_gone", row, finding, remedy)
        yield from self._find_old_images(fleets)

    def _find_old_images(self, fleets: pd.DataFrame) -> Iterator[dict[str, Any]]:
        built = (
            pd.Timestamp(self.today, tz="UTC") - self.frames.images["created_time"].dt.normalize()
        ).dt.days.to_numpy()
        ages = self.bases[["account", "region", "arn"]].assign(built=built, base=self.bases["age_days"])
        ages = ages.dropna(subset="arn").drop_duplicates(["account", "region", "arn"])
        joined = fleets.merge(ages.rename(columns={"arn": "image_arn"}), on=["account", "region", "image_arn"])
        days = joined[["built", "base"]].astype("Float64").max(axis=1)
        for row in to_records(joined.assign(days=days)[self._exceeds("fleet_image_old", days)]):
            what, age = "base" if (row["base"] or 0) > (row["built"] or 0) else "image", int(row["days"])
            remedy = "Build its image again on the newest base, and move the fleet to it."
            finding = f"The {what} it stands on is {age:,} days old."
            yield self._make_row("fleet_image_old", row, finding, remedy, value=age)

    def _find_in_builders(self) -> Iterator[dict[str, Any]]:
        builders = self.frames.tables.get("image_builders")
        if builders is None:
            return
        running = builders[builders["state"].eq("RUNNING").fillna(False)]
        created = running["created_time"]
        since = pd.to_datetime(running["arn"].map(dict(self.running_since)), utc=True).astype(created.dtype)
        known = since.notna() & ~(since < created)  # what ran before that was another one of its name
        since = since.where(known, created)
        days = (pd.Timestamp(self.today, tz="UTC") - since.dt.normalize()).dt.days
        for row in to_records(running.assign(days=days, known=known)[self._exceeds("builder_running", days)]):
            source = "the history" if row["known"] else "its creation, as no history says more"
            finding = f"It has been running for {int(row['days']):,} days, by {source}."
            remedy = "Stop it: it is paid for by the hour."
            yield self._make_row("builder_running", row, finding, remedy, value=int(row["days"]))

    # use and sharing

    def _find_unused(self) -> Iterator[dict[str, Any]]:
        if not {"fleets", "image_builders"} <= set(self.frames.tables):
            return
        judged = judge_usage(self.frames, self.users, apart=True)
        owned = self.frames.images["owner"].reindex(judged.index) == judged["account"]
        for row in to_records(judged[owned & (judged["verdict"] == "unused")]):
            unshare = "" if row["deletable"] else "unshare it and "
            remedy = f"Once usage finds no user in another account, {unshare}delete it."
            yield self._make_row("image_unused", row, f"In its own account {row['reason']}", remedy)

    def _find_shares(self) -> Iterator[dict[str, Any]]:
        shares = self.frames.tables.get("permissions")
        if shares is None:
            return
        estate = self.frames.coverage["account"]
        outside = shares[~shares["shared_account_id"].isin(estate.dropna()) & shares["shared_account_id"].notna()]
        if estate.isna().any() and len(outside):
            finding = "The account of a target is not known, so nothing is said of images shared outside of the estate."
            yield self._make_row("not_drained", {"name": "DescribeImagePermissions"}, finding, _AGAIN)
            return
        for row, rows in _group(outside, "image"):
            others = ", ".join(sorted(rows["shared_account_id"].unique()))
            finding = f"It is shared with {others}, which was not drained here."
            remedy = "Ask whose account that is; unshare the image if nobody knows."
            yield self._make_row("image_shared_outside", row, finding, remedy, value=len(rows))

    def _find_quotas(self) -> Iterator[dict[str, Any]]:
        quota = self.rules["quota_near"].threshold or 0
        for table in _QUOTAS:
            rows = self.frames.tables.get(table, pd.DataFrame(columns=["account", "region"]))
            rows = rows[_find_own(rows)] if table == "images" else rows
            counts = rows.groupby(["account", "region"]).size()
            for (account, region), count in counts[(counts >= 0.8 * quota) & (counts <= quota)].items():
                finding = f"{count:,} {table.replace('_', ' ')} of a quota of {quota:,}, if it is the default."
                row = {"account": account, "region": region, "name": table}
                remedy = "Delete what is unused, or ask AWS for more."
                yield self._make_row("quota_near", row, finding, remedy, value=int(count), resource=table[:-1])


def list_reasons(images: pd.DataFrame, errors: pd.DataFrame) -> list[list[str]]:
    """Return AWS's words for the failure of each image: the reason of its state, then its errors, each once."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for row in to_records(errors.sort_values("position", kind="stable")):
        key = (row["account"], row["region"], row["image_arn"], row["image_name"])
        found.setdefault(key, []).append(_join(row["error_code"], row["error_message"]))
    reasons = []
    for row in to_records(images):
        own = _join(row["state_change_reason_code"], row["state_change_reason_message"])
        words = [own, *found.get((row["account"], row["region"], row["arn"], row["name"]), [])]
        reasons.append(list(dict.fromkeys(filter(None, words))) or ["AWS gives no reason"])
    return reasons


def _find_own(images: pd.DataFrame) -> pd.Series:
    """Tell which images are of the account that lists them; where AWS sent no ARN, private ones are."""
    private = images["arn"].isna() & images["visibility"].eq("PRIVATE")
    return ((images["owner"] == images["account"]) | private).fillna(False).astype(bool)


def _spell_system(name: object) -> str:
    """Return an operating system as the names of base images and AWS's platforms both spell it, but for case."""
    return str(name).upper().replace("_", "").replace("WINDOWSSERVER", "WINSERVER")


def _lower(verdict: Mapping[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """Return a finding one severity lower where AWS may have updated the image without saying so."""
    lower = SEVERITIES.index(row["severity"]) + bool(verdict["maybe_updated"])
    return row | {"severity": SEVERITIES[min(lower, len(SEVERITIES) - 1)]}


def _group(table: pd.DataFrame | None, parent: str) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield each parent of a child table's rows, as a row, with those rows."""
    if table is None or table.empty:
        return
    for key, rows in table.groupby(["account", "region", f"{parent}_arn", f"{parent}_name"], dropna=False, sort=False):
        first = zip(("account", "region", "arn", "name"), key, strict=True)
        yield {name: None if pd.isna(value) else value for name, value in first}, rows


def _join(*parts: object) -> str:
    return ": ".join(str(part) for part in parts if not pd.isna(part))
