"""Images counted once: an image that is shared is a row of every account that sees it."""

from __future__ import annotations

import pandas as pd


def keep_distinct_images(images: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without those in which further accounts see an image that has a row already.

    Of the rows of one ARN those of its owner are kept, else those of the account that comes first. Rows without an ARN, and
    rows of different snapshots, are different images. What `agents` and `base_images` give may be passed too; a frame without
    the columns ``account`` and ``arn`` is returned whole.

    Examples
    --------
    >>> arn = "arn:aws:appstream:eu-west-1:222222222222:image/cad"
    >>> images = pd.DataFrame({"account": ["111111111111", "222222222222"], "arn": arn})
    >>> keep_distinct_images(images)["account"].to_list()
    ['222222222222']
    """
    if not {"account", "arn"} <= set(images.columns):
        return images
    account, arn = images["account"].astype(object), images["arn"].astype(object)
    seen = pd.DataFrame({"arn": arn, "account": account, "snapshot": images.get("snapshot")}).reset_index(drop=True)
    seen["foreign"] = [f":{owner}:" not in str(name) for owner, name in zip(account, arn, strict=True)]
    ordered = seen.sort_values(["foreign", "account"], kind="stable", key=lambda column: column.astype(str))
    first = ordered.groupby(["snapshot", "arn"], dropna=False)["account"].transform("first").reindex(seen.index)
    kept = seen["arn"].isna() | (seen["account"] == first) | (seen["account"].isna() & first.isna())
    return images[kept.to_numpy(bool)]
