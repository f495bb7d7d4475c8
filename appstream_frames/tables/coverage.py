"""Summarize a coverage table: its targets, which of them were read to the end, and why the others were not."""

from __future__ import annotations

import re
from typing import Final

import pandas as pd

#: Every status, worst first. With the last three, nothing that could be read is missing.
STATUSES: Final = (
    *("failed", "denied", "bad_credentials", "throttled", "no_endpoint", "cancelled", "limited"),
    *("region_disabled", "not_offered", "complete"),
)
FIRST_OPERATION: Final = "DescribeImages"  # is called for every target
#: The parts of a message that differ between targets with the same cause: accounts, regions, numbers.
_VARIABLE: Final = re.compile(r"\b[a-z]{2}(?:-[a-z]+)+-\d\b|[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


def number_targets(coverage: pd.DataFrame) -> pd.Series:
    """Return the number of each row's target: rows of one account and region, or of one unknown account, share it.

    Examples
    --------
    >>> rows = pd.DataFrame({"account": ["1", "1", None], "region": "eu-west-1", "operation": ["A", "B", "A"]})
    >>> number_targets(rows).to_list()
    [0, 0, 1]
    """
    # as ASCII: AWS's text may have lone surrogates, which the index that pandas makes cannot hold
    region, operation = coverage["region"].map(ascii), name_operations(coverage).map(ascii)
    unknown = "?" + operation.groupby([region, operation]).cumcount().astype(str)
    account = coverage["account"].map(ascii).where(coverage["account"].notna(), unknown)
    return account.groupby([account, region], sort=False).ngroup()


def is_whole(coverage: pd.DataFrame, *, disabled: bool = True) -> pd.Series:
    """Return for each row whether nothing is missing: it was read to the end, or there was nothing to read.

    With `disabled`, a region that is not enabled for the account counts as nothing to read.
    """
    return coverage["status"].isin(["complete", "not_offered", *(["region_disabled"] if disabled else [])])


def count_whole(coverage: pd.DataFrame, *, disabled: bool = True) -> tuple[int, int]:
    """Return how many targets have nothing missing, and how many there are."""
    whole = is_whole(coverage, disabled=disabled).groupby(number_targets(coverage)).all()
    return int(whole.sum()), len(whole)


def list_causes(coverage: pd.DataFrame) -> pd.DataFrame:
    """Return why rows are not complete: a row per cause, worst first.

    Its columns are ``status``, ``operation`` (the first), ``targets`` (how many), ``where`` (the first, ``account/region``),
    ``error_code`` and ``reason`` (AWS's words and the advice, of the first).

    Examples
    --------
    >>> rows = pd.DataFrame({"account": ["1", "2"], "region": "eu-west-1", "status": "denied", "error_code": "AccessDenied"})
    >>> rows["error_message"] = ["1/eu-west-1, page 1: not allowed", "2/eu-west-1, page 1: not allowed"]
    >>> list_causes(rows)[["status", "targets", "where", "reason"]].values.tolist()
    [['denied', 2, '1/eu-west-1', 'page 1: not allowed']]
    """
    number = number_targets(coverage)
    bad = coverage["status"] != "complete"
    rows = coverage[bad].assign(target=number[bad], operation=name_operations(coverage)[bad])
    where = rows["account"].fillna("?").astype(str) + "/" + rows["region"].fillna("?").astype(str)
    message = rows["error_message"].fillna("").astype(str)
    reason = pd.Series([text.removeprefix(f"{name}, ") for text, name in zip(message, where, strict=True)], rows.index)
    kind = reason.map(lambda text: _VARIABLE.sub("#", text))
    by = ["status", "error_code", "kind"]  # not by operation: one failure may apply to all of them
    grouped = rows.assign(where=where, reason=reason, kind=kind).groupby(by, dropna=False, sort=False, as_index=False)
    firsts = {name: (name, "first") for name in ("operation", "where", "reason")}
    causes = grouped.agg(targets=("target", "nunique"), **firsts)
    causes["rank"] = pd.Index(STATUSES).get_indexer(causes["status"])  # an unknown status comes first
    causes = causes.sort_values(["rank", "targets"], ascending=[True, False], kind="stable", ignore_index=True)
    return causes[["status", "operation", "targets", "where", "error_code", "reason"]]


def name_operations(coverage: pd.DataFrame) -> pd.Series:
    """Return the operation of each row; coverage of earlier versions, which read one only, has no such column."""
    return coverage.get("operation", pd.Series(None, coverage.index, dtype=object)).fillna(FIRST_OPERATION)
