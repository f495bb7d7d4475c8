"""The rows of `diff` as a person counts them: a rebuild is one change, and so is what several accounts see."""

from __future__ import annotations

from typing import Final

import pandas as pd

from appstream_frames.insights import base_names

ARNS: Final = ("arn", "image_arn")
_DIFFERENCE: Final = ("change", "column", "before", "after")


def is_public(changes: pd.DataFrame) -> pd.Series:
    """Tell which changes are of AWS's own images."""
    found = pd.Series(False, changes.index)
    for name in {*ARNS} & {*changes}:
        found |= changes[name].map(base_names.is_public, na_action="ignore").eq(True)
    return found.astype(bool)


def merge_changes(changes: pd.DataFrame) -> pd.DataFrame:
    """Return what changed with one row, ``rebuilt``, for what was removed and added under its name.

    What several accounts see is one row too. Values are kept only where a column changed.

    Examples
    --------
    >>> cad = {"account": "1", "region": "eu-west-1", "arn": "arn:aws:…:1:image/cad", "name": "cad"}
    >>> changes = pd.DataFrame([cad | {"change": "added"}, cad | {"change": "removed"}])
    >>> merge_changes(changes.assign(column=None, before=None, after=None))["change"].to_list()
    ['rebuilt']
    """
    kind, same = changes["change"], [changes[name] for name in changes if name not in _DIFFERENCE]
    added, removed = (kind.eq(one).groupby(same, dropna=False).transform("any") for one in ("added", "removed"))
    changed = kind == "changed"
    merged = changes.assign(change=kind.mask(added & removed & ~changed, "rebuilt"))
    merged = merged.assign(before=merged["before"].where(changed), after=merged["after"].where(changed))
    identified = merged[[name for name in ARNS if name in merged]].notna().any(axis=1)
    repeated = merged.duplicated() | (merged.drop(columns="account").duplicated() & identified)
    return merged[~repeated]
