"""What to do today: each finding with its severity, rule, resource, reason and remedy.

A rule uses only what was read. Agents and bases are judged per target, so that a target that cannot be read loses only its own
findings: the newest agent of a whole drain may be on an image of the target that fails tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from numbers import Integral
from typing import Any, Final, TypeAlias

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.insights.base_names import find_newest_listed
from appstream_frames.insights.days import Day, choose_day
from appstream_frames.insights.reference import Folder, reference
from appstream_frames.insights.rows import get_table, iterate_rows, to_records, to_typed
from appstream_frames.insights.usage import judge_usage, used_by
from appstream_frames.insights.verdicts import NONE_NEWER, judge_agents, judge_bases
from appstream_frames.tables.coverage import FIRST_OPERATION, is_whole
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.text import printable

Changes: TypeAlias = Mapping[str, int | str | None] | None
SEVERITIES: Final = ("high", "medium", "low", "info")
KEYS: Final = ["rule", "account", "region", "resource", "name", "arn"]
_COLUMNS: Final = ["severity", *KEYS, "finding", "remedy", "value", "reference_date"]


@dataclass(frozen=True)
class Rule:
    """A rule: its severity, the kind of resource, a threshold (a number of days, or a count) and a description."""

    severity: str
    resource: str
    threshold: int | None
    about: str


#: Every rule by its id, in their order within a severity.
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


def list_rules(changes: Changes) -> dict[str, Rule]:
    """Return the rules with a caller's changes; RequestError for an unknown rule, or a change that it does not allow."""
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
            number = "a whole number, " if rules[name].threshold is not None else ""
            expected = f"{number}one of {', '.join(SEVERITIES)}, or None to leave it out"
            raise RequestError(f"rules[{name!r}] is {printable(change)!r}; expected {expected}.")
    return rules


def find(
    frames: Frames, today: Day, rules: Changes, running_since: Mapping[str, pd.Timestamp], folder: Folder
) -> pd.DataFrame:
    """Return the findings of frames with the dtypes of the model; see `history.findings.findings`.

    `running_since` is the moment since which image builders have been running, by ARN, as far as a history shows.
    """
    chosen = list_rules(rules)
    frames = replace(frames, tables={name: table.reset_index(drop=True) for name, table in frames.tables.items()})
    estate = _Estate(frames, choose_day(today, frames.coverage), RULES | chosen, running_since, folder)
    order = list(chosen)

    def rank(row: dict[str, Any]) -> tuple[Any, ...]:
        texts = [str(row[key] or "") for key in [*KEYS[1:], "finding"]]
        return SEVERITIES.index(row["severity"]), order.index(row["rule"]), *texts

    rows = sorted((row for row in estate.find() if row["rule"] in chosen), key=rank)
    return to_typed({name: [row.get(name) for row in rows] for name in _COLUMNS}, _COLUMNS)


@dataclass(frozen=True)
class _Estate:
    """The frames, and the rules that are applied to them."""

    frames: Frames
    today: date
    rules: Mapping[str, Rule]
    running_since: Mapping[str, pd.Timestamp]
    folder: Folder

    def find(self) -> Iterator[dict[str, Any]]:
        yield from self._find_in_coverage()
        yield from self._find_in_images()
        yield from self._find_old_references()
        yield from self._find_in_fleets()
        yield from self._find_in_builders()
        yield from self._find_unused()
        yield from self._find_shares()
        yield from self._find_quotas()

    def _make_row(self, rule: str, row: Mapping[str, Any], finding: str, remedy: str, **more: Any) -> dict[str, Any]:
        """Return a finding about a resource, one severity lower if a managed update may have changed it without a trace."""
        keys = {name: row.get(name) for name in ("account", "region", "name", "arn")}
        rank = SEVERITIES.index(self.rules[rule].severity) + bool(row.get("maybe_updated"))
        severity = SEVERITIES[min(rank, len(SEVERITIES) - 1)]
        words = {"finding": printable(finding.rstrip("."), 600) + ".", "remedy": remedy}
        return {"severity": severity, "rule": rule, "resource": self.rules[rule].resource, **keys, **words, **more}

    def _make_rows(
        self, rule: str, rows: pd.DataFrame, finding: str, remedy: str, value: str = "", dated: str = ""
    ) -> Iterator[dict[str, Any]]:
        """Yield a finding for each row: `finding` is a format string of its columns, `value` and `dated` are column names."""
        for row in to_records(rows):
            more = {"value": row.get(value), "reference_date": row.get(dated)}
            yield self._make_row(rule, row, finding.format_map(row), remedy, **more)

    def _keep_over(self, rule: str, rows: pd.DataFrame, days: str = "days") -> pd.DataFrame:
        """Return the rows with more days than a rule's threshold."""
        return rows[rows[days].gt(self.rules[rule].threshold).fillna(False).astype(bool)]

    def _count_days(self, moments: pd.Series) -> pd.Series:
        return (pd.Timestamp(self.today, tz="UTC") - moments.dt.normalize()).dt.days.astype("Int64")

    @cached_property
    def agents(self) -> pd.DataFrame:
        return judge_agents(self.frames, self.today, self.folder, apart=True)

    @cached_property
    def bases(self) -> pd.DataFrame:
        return judge_bases(self.frames, self.today, self.folder, apart=True)

    @cached_property
    def users(self) -> pd.DataFrame:
        return used_by(self.frames)

    def _find_in_coverage(self) -> Iterator[dict[str, Any]]:
        coverage = self.frames.coverage
        for row in to_records(coverage[~is_whole(coverage)]):
            rule = "target_not_read" if row["operation"] == FIRST_OPERATION else "operation_not_read"
            finding = f"{row['operation']} was not read to the end ({row['status']})"
            finding = _join(finding, row["error_code"], row["error_message"])
            yield self._make_row(rule, row | {"name": row["operation"]}, finding, _AGAIN)
        covered = set(iterate_rows(coverage, "account", "region", "operation"))
        read = coverage[coverage["operation"].eq(FIRST_OPERATION) & coverage["status"].eq("complete")]
        targets = list(iterate_rows(read, "account", "region"))
        for operation in _NEEDED:
            lacking = sum((*target, operation) not in covered for target in targets)
            somewhere = operation in set(coverage["operation"])
            if lacking or not somewhere:
                table = OPERATIONS[operation].table
                where, there = (f" in {lacking:,} of {len(targets):,} targets", " there") if somewhere else ("", "")
                finding = f"{operation} was not drained{where}, so nothing is said of {table.replace('_', ' ')}{there}"
                yield self._make_row("not_drained", {"name": operation}, finding, f"Drain with include={table!r}.")

    def _find_in_images(self) -> Iterator[dict[str, Any]]:
        images = self.frames.images
        own = _find_own(images)
        failed = images[own & images["state"].eq("FAILED").fillna(False).to_numpy(bool)]
        reasons = list_reasons(failed, get_table(self.frames, "errors"))
        remedy = "Mend what AWS names, build the image again, and delete this one."
        failed = failed.assign(reasons=["; ".join(each) for each in reasons])
        yield from self._make_rows("image_failed", failed, "AWS could not make the image: {reasons}", remedy)
        yield from self._judge_agents(self.agents[own])
        yield from self._judge_bases(self.bases[own])
        yield from self._judge_support(self.bases[own], images.loc[own, "platform"])

    def _judge_agents(self, verdicts: pd.DataFrame) -> Iterator[dict[str, Any]]:
        remedy = "Build the image again with the newest agent, or let it follow LATEST."
        bad, agent = verdicts[verdicts["verdict"] == "known_bad"], "Its agent {appstream_agent_version} "
        yield from self._make_rows("agent_known_bad", bad, agent + "{reason}", remedy, "days_behind")
        late = verdicts.assign(days=verdicts["days_behind"].fillna(1))  # at least 1, if only AWS knows the newer one
        late = self._keep_over("agent_behind", late[late["verdict"] == "behind"])
        dated, finding = late["days_behind"].notna(), "is {days_behind:,} days behind {newest_agent:%m-%d-%Y}"
        yield from self._make_rows("agent_behind", late[dated], agent + finding, remedy, "days_behind", "newest_agent")
        yield from self._make_rows("agent_behind", late[~dated], agent + "is behind: {reason}", remedy)

    def _judge_bases(self, verdicts: pd.DataFrame) -> Iterator[dict[str, Any]]:
        remedy = "Build the image again on the newest base."
        retired, finding = verdicts[verdicts["verdict"] == "retired"], "Its base {base_name} is retired: {reason}"
        yield from self._make_rows("base_retired", retired, finding, remedy, "age_days")
        late = self._keep_over("base_behind", verdicts[verdicts["verdict"] == "behind"], "days_behind")
        finding = "Its base {base_name} is {days_behind:,} days behind {newest_base}"
        yield from self._make_rows("base_behind", late, finding, remedy, "days_behind", "newest_released")

    def _judge_support(self, verdicts: pd.DataFrame, platforms: pd.Series) -> Iterator[dict[str, Any]]:
        """Find operating systems without vendor support, by the base image's name, or else by the platform of the image."""
        table = reference(self.folder)["vendor_support"]
        known = table["family_os"].map(_spell_system)
        system = verdicts["family"].str.extract(r"(\S+)\Z", expand=False).map(_spell_system)
        system = system.where(system.isin(known), platforms.set_axis(verdicts.index).map(_spell_system))
        for name, spelled, end in zip(table["family_os"], known, table["vendor_support_ends"], strict=True):
            days = (end.date() - self.today).days
            rule, verb = ("support_ended", "ended") if days < 0 else ("support_ending", "ends")
            threshold = self.rules[rule].threshold or 0
            if -days <= threshold if days < 0 else days > threshold:
                continue
            found = verdicts[system == spelled].assign(
                days=abs(days), system=name, verb=verb, end=end, maybe_updated=False
            )
            finding = "Vendor support of {system} {verb} on {end:%Y-%m-%d}"
            remedy = "Build the image again on a newer operating system."
            yield from self._make_rows(rule, found, finding, remedy, "days", "end")

    def _find_old_references(self) -> Iterator[dict[str, Any]]:
        """Find reference tables that are older than the drained data, each once."""
        tables = reference(self.folder)
        known, drained = tables["agent_versions"]["iso_date"].max(), self.agents["newest_agent"].max()
        flagged = self.agents.loc[self.agents["contradiction"].eq(NONE_NEWER), "newest_agent"].max()
        finding = ""
        if drained > known:
            finding = f"The newest agent in the table is of {known:%Y-%m-%d}, and there are images with one of {drained:%Y-%m-%d}"
        elif not pd.isna(flagged):
            known, finding = flagged, f"AWS flags the newest agent known here, of {flagged:%Y-%m-%d}, as not the latest"
        if finding:
            yield self._make_row("reference_old", {"name": "agent_versions"}, finding, _RENEW, reference_date=known)
        table = tables["latest_public_base_images"]
        listed = find_newest_listed(table, date.max)
        of_drain = self.bases[self.bases["newest_from"] == "drain"].drop_duplicates("newest_base")
        newer = sorted(
            name
            for name, family, released in iterate_rows(of_drain, "newest_base", "family", "newest_released")
            if family not in listed or released.date() > listed[family][0].released
        )
        if newer:
            finding = f"AWS lists base images that are newer than those in the table: {', '.join(newer)}"
            row = {"name": "latest_public_base_images"}
            yield self._make_row("reference_old", row, finding, _RENEW, reference_date=table["read_on"].max())

    def _find_in_fleets(self) -> Iterator[dict[str, Any]]:
        if "fleets" not in self.frames.tables:
            return
        for row, rows in _group(get_table(self.frames, "fleet_errors"), "fleet"):
            rows = rows.sort_values("position", kind="stable")
            words = "; ".join(dict.fromkeys(map(_join, rows["error_code"], rows["error_message"])))
            yield self._make_row("fleet_error", row, f"AWS reports: {words}", "Mend what AWS names.", value=len(rows))
        users = self.users[self.users["kind"] == "fleet"].drop(columns=["account", "region"])
        fleets = users.rename(columns={f"user_{name}": name for name in ("account", "region", "name", "arn")})
        gone = fleets[fleets["reason"].fillna("").str.startswith(_GONE)]
        remedy = "Move the fleet to an image that is there: new instances cannot start from this one."
        yield from self._make_rows("fleet_image_gone", gone, "Its image {image_arn} is gone: {reason}", remedy)
        keys = ["account", "region", "image_arn"]
        ages = self.bases.rename(columns={"arn": "image_arn", "age_days": "base"})[[*keys, "base"]]
        ages = ages.assign(built=self._count_days(self.frames.images["created_time"])).dropna(subset="image_arn")
        old = fleets.merge(ages.drop_duplicates(keys), on=keys)
        old["days"] = old[["built", "base"]].max(axis=1)
        old["what"] = old["base"].fillna(0).gt(old["built"].fillna(0)).map({True: "base", False: "image"})
        old, finding = self._keep_over("fleet_image_old", old), "The {what} it stands on is {days:,} days old"
        remedy = "Build its image again on the newest base, and move the fleet to it."
        yield from self._make_rows("fleet_image_old", old, finding, remedy, "days")

    def _find_in_builders(self) -> Iterator[dict[str, Any]]:
        builders = get_table(self.frames, "image_builders")
        running = builders[builders["state"].eq("RUNNING").fillna(False)]
        created = running["created_time"]
        since = pd.to_datetime(running["arn"].map(dict(self.running_since)), utc=True).astype(created.dtype)
        known = since.notna() & ~(since < created)  # before `created` it was another builder of the same name
        days = self._count_days(since.where(known, created))
        source = known.map({True: "the history", False: "its creation, because no history shows more"})
        long = self._keep_over("builder_running", running.assign(days=days, source=source))
        finding, remedy = "It has been running for {days:,} days, by {source}", "Stop it: it is paid for by the hour."
        yield from self._make_rows("builder_running", long, finding, remedy, "days")

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
        shares, drained = get_table(self.frames, "permissions"), self.frames.coverage["account"]
        outside = shares[~shares["shared_account_id"].isin(drained.dropna()) & shares["shared_account_id"].notna()]
        if drained.isna().any() and len(outside):
            finding = "The account of a target is not known, so nothing is said of images shared outside of the estate."
            yield self._make_row("not_drained", {"name": "DescribeImagePermissions"}, finding, _AGAIN)
            return
        for row, rows in _group(outside, "image"):
            finding = f"It is shared with {', '.join(sorted(rows['shared_account_id'].unique()))}, which was not drained here."
            remedy = "Ask whose account that is; unshare the image if nobody knows."
            yield self._make_row("image_shared_outside", row, finding, remedy, value=len(rows))

    def _find_quotas(self) -> Iterator[dict[str, Any]]:
        quota, remedy = self.rules["quota_near"].threshold or 0, "Delete what is unused, or ask AWS for more."
        for table in _QUOTAS:
            rows = get_table(self.frames, table)
            rows = rows[_find_own(rows)] if table == "images" else rows
            counts = rows.groupby(["account", "region"]).size()
            for (account, region), count in counts[(counts >= 0.8 * quota) & (counts <= quota)].items():
                finding = f"{count:,} {table.replace('_', ' ')} of a quota of {quota:,}, if it is the default."
                row = {"account": account, "region": region, "name": table}
                yield self._make_row("quota_near", row, finding, remedy, value=int(count), resource=table[:-1])


def list_reasons(images: pd.DataFrame, errors: pd.DataFrame) -> list[list[str]]:
    """Return AWS's messages about the failure of each image: the reason of its state, then its errors, each once."""
    found: dict[tuple[Any, ...], list[str]] = {}
    keys = ("account", "region", "image_arn", "image_name", "error_code", "error_message")
    for *key, code, message in iterate_rows(errors.sort_values("position", kind="stable"), *keys):
        found.setdefault(tuple(key), []).append(_join(code, message))
    keys = ("account", "region", "arn", "name", "state_change_reason_code", "state_change_reason_message")
    reasons = []
    for *key, code, message in iterate_rows(images.reindex(columns=keys), *keys):
        words = filter(None, [_join(code, message), *found.get(tuple(key), [])])
        reasons.append(list(dict.fromkeys(words)) or ["AWS gives no reason"])
    return reasons


def _find_own(images: pd.DataFrame) -> pd.Series:
    """Return which images belong to the account that lists them, as bool; without an ARN, private ones do."""
    private = images["arn"].isna() & images["visibility"].eq("PRIVATE")
    return ((images["owner"] == images["account"]) | private).fillna(False).astype(bool)


def _spell_system(name: object) -> str:
    """Return an operating system in one spelling, for the names of base images and for AWS's platforms."""
    return str(name).upper().replace("_", "").replace("WINDOWSSERVER", "WINSERVER")


def _group(table: pd.DataFrame, parent: str) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield each parent of a child table as a row, with its child rows."""
    for key, rows in table.groupby(["account", "region", f"{parent}_arn", f"{parent}_name"], dropna=False, sort=False):
        first = zip(("account", "region", "arn", "name"), key, strict=True)
        yield {name: None if pd.isna(value) else value for name, value in first}, rows


def _join(*parts: object) -> str:
    return ": ".join(str(part) for part in parts if not pd.isna(part) and part != "")
