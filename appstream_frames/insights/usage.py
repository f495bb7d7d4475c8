"""Answers about one moment: who stands on each image, and which images nobody uses.

Everything is joined on account, region and ARN. Nothing here calls AWS, and the frames are not changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from appstream_frames.insights.base_names import is_public, parse_owner
from appstream_frames.insights.rows import Coverage, iterate_rows, to_typed
from appstream_frames.tables.frames import Frames, check_frames

KINDS: Final = {"fleet": "fleets", "image_builder": "image_builders", "account": "accounts", "image": "images"}
_IDENTITY: Final = "user_account user_region user_name user_arn".split()
_USED_BY: Final = """account region image_arn image_name kind user_account user_region user_name user_arn state stacks
    running_instances reason""".split()
_USAGE: Final = ["account", "region", "name", "arn", *KINDS.values(), "verdict", "deletable", "reason"]


def used_by(frames: Frames) -> pd.DataFrame:
    """Return who stands on each image: fleets, image builders, accounts it is shared with, and images built on it.

    Parameters
    ----------
    frames : Frames
        Best of ``include="all"``: what was not drained cannot be shown. Accounts that share images belong into the same frames.

    Returns
    -------
    pandas.DataFrame
        A row per image and user of it, sorted: ``account, region, image_arn, image_name`` (the owner's, where it was drained,
        else of the target that refers to it), ``kind`` (``fleet``, ``image_builder``, ``account``, ``image``), ``user_account,
        user_region, user_name, user_arn, state``, ``stacks`` (of a fleet, a tuple of names; null where they were not read),
        ``running_instances`` (of a fleet) and ``reason``: why the user's own account does not list the image, null where it
        does. An image that is not in the frames at all has a null ``image_name``. For ``account``, ``user_account`` is the
        account it is shared with. A fleet is one row, however many accounts see its image.

    Raises
    ------
    RequestError
        When `frames` is no `Frames`.

    Notes
    -----
    A fleet's image is what its *new* instances get; running ones keep the image they started with until they end.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     frames = asf.drain(sandbox.client(), include="all")
    >>> users = asf.used_by(frames)
    >>> users.loc[users["image_name"] == "HR-Desktop-2026-10", ["kind", "user_name"]].to_numpy().tolist()
    [['fleet', 'hr-desktop'], ['image_builder', 'ib-hr-hotfix']]
    """
    frames = check_frames(frames)
    images, covered = _list_images(frames), Coverage(frames.coverage)
    parts = [_list_fleets(frames, images), _list_image_builders(frames), _list_built_images(images)]
    users = _attach_images(pd.concat(parts, ignore_index=True), images, covered)
    users = pd.concat([users, _list_accounts(frames, images)], ignore_index=True).reindex(columns=_USED_BY)
    users = users.sort_values(_USED_BY[:9], ignore_index=True, na_position="last", kind="stable")
    return to_typed(users.assign(stacks=_list_stacks(frames, users, covered)), _USED_BY)


def judge_usage(frames: Frames, users: pd.DataFrame | None = None, *, apart: bool = False) -> pd.DataFrame:
    """Return what `appstream_frames.usage` says of each image that is not AWS's, without its history.

    `users` is what `used_by` says of the frames, where that is known. With `apart`, each image is judged by its owner's own
    target alone: by the users there, and the accounts that its permissions name.
    """
    frames = check_frames(frames)
    images, covered = _list_images(frames), Coverage(frames.coverage)
    images = images[~images["public"]]
    users = used_by(frames) if users is None else users
    counts = _count_users(_keep_judged_by_owner(frames, users) if apart else users, images)
    owned = _keep_owned(images)
    shared = {(region, arn): flag for region, arn, flag in iterate_rows(owned, "region", "arn", "shared")}
    known = _Known(covered, shared, {} if apart else _find_unread(frames.coverage, covered))
    rows = iterate_rows(images.assign(users=counts.sum(axis=1)), "region", "arn", "owner", "users")
    verdicts = [known.judge(*row) for row in rows]
    judged = pd.DataFrame(verdicts, columns=["verdict", "deletable", "reason"], index=images.index)
    table = pd.concat([images[["account", "region", "name", "arn"]], counts, judged], axis=1)
    return to_typed(table, _USAGE).set_index(images.index)


def _keep_judged_by_owner(frames: Frames, users: pd.DataFrame) -> pd.DataFrame:
    """Return the users in the account of their image, and the accounts that its permissions name."""
    kept = users["user_account"] == users["account"]
    if "permissions" in frames.tables:
        keys = ["account", "region", "image_arn", "user_account"]
        named = frames.permissions.rename(columns={"shared_account_id": "user_account"})[keys]
        shares = pd.MultiIndex.from_frame(users[keys]).isin(pd.MultiIndex.from_frame(named))
        kept |= (users["kind"] == "account") & shares
    return users[kept.fillna(False).to_numpy(bool)]


def _list_images(frames: Frames) -> pd.DataFrame:
    """Return account, region, arn, name, base and owner of each image, whether it is AWS's, and whether it is shared."""
    table = frames.images
    images = table[["account", "region", "owner", "arn", "name", "state"]].copy()
    images["base"], images["shared"] = table["base_image_arn"], table["image_shared_with_others"]
    images["public"] = table["owner"].isna() & ~table["visibility"].isin(["PRIVATE", "SHARED"])
    return images


def _keep_owned(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images as their owners see them."""
    owned = images[(images["account"] == images["owner"]) & images["arn"].notna()]
    return owned.drop_duplicates(["region", "arn"])


def _make_users(table: pd.DataFrame, kind: str, **columns: pd.Series) -> pd.DataFrame:
    """Return rows of one kind, each user once; `target` is the account whose list of images counts, the user's own by default."""
    made = table[["account", "region", "name", "arn"]].set_axis(_IDENTITY, axis=1)
    made = made.assign(kind=kind, state=table["state"], target=table["account"], **columns)
    return made.drop_duplicates(_IDENTITY)


def _list_fleets(frames: Frames, images: pd.DataFrame) -> pd.DataFrame:
    """Return the fleets that have an image; one with an image's name only has the ARN of the image so called."""
    table = frames.tables.get("fleets")
    if table is None:
        return pd.DataFrame()
    table = table[table["image_arn"].notna() | table["image_name"].notna()]
    named = images.assign(own=images["account"] == images["owner"]).sort_values(["own", "arn"], ascending=[False, True])
    named = named.drop_duplicates(["account", "region", "name"])[["account", "region", "name", "arn"]]
    named = named.dropna().rename(columns={"name": "image_name", "arn": "found"})
    found = table[["account", "region", "image_name"]].merge(named, "left", ["account", "region", "image_name"])
    arns = table["image_arn"].where(table["image_arn"].notna(), found["found"].set_axis(table.index))
    return _make_users(table, "fleet", image_arn=arns, running_instances=table["compute_capacity_status_running"])


def _list_image_builders(frames: Frames) -> pd.DataFrame:
    table = frames.tables.get("image_builders")
    if table is None:
        return pd.DataFrame()
    table = table[table["image_arn"].notna()]
    return _make_users(table, "image_builder", image_arn=table["image_arn"])


def _list_built_images(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images that name a base, each once: as its owner sees it, where the owner was drained."""
    built = images[images["base"].notna() & ~images["public"] & images["arn"].notna()]
    built = built.assign(other=built["account"] != built["owner"]).sort_values(["other", "account"], kind="stable")
    built = built.drop_duplicates(["region", "arn"])
    return _make_users(built, "image", image_arn=built["base"]).assign(user_account=built["owner"])


def _attach_images(users: pd.DataFrame, images: pd.DataFrame, covered: Coverage) -> pd.DataFrame:
    """Return the users with account, region and name of their image, and why their target does not list it."""
    users = users.assign(region=users["user_region"])
    seen = images[images["arn"].notna()].drop_duplicates(["account", "region", "arn"])
    keys = {"account": "target", "arn": "image_arn", "name": "seen_name"}
    users = users.merge(
        seen[["account", "region", "arn", "name"]].rename(columns=keys),
        "left",
        ["target", "region", "image_arn"],
        indicator="listed",
    )
    keys = {"arn": "image_arn", "name": "owned_name"}
    owned = _keep_owned(images)[["account", "region", "arn", "name"]].rename(columns=keys)
    users = users.merge(owned, "left", ["region", "image_arn"])
    rows = iterate_rows(users, "listed", "target", "user_account", "region", "image_arn")
    return users.assign(
        account=users["account"].where(users["account"].notna(), users["target"]),
        image_name=users["owned_name"].where(users["owned_name"].notna(), users["seen_name"]),
        reason=[None if listed == "both" else _explain_unlisted(covered, *row) for listed, *row in rows],
    )


def _explain_unlisted(covered: Coverage, account: str, user: str | None, region: str, arn: str | None) -> str:
    """Return why a target does not list an image that something in it stands on, which is the user's own or shared by it."""
    missing = covered.find_missing(account, region, "DescribeImages")
    if missing is not None:
        return f"not covered: {missing}"
    if arn is None:
        return "AWS sent no ARN of the image"
    whose = parse_owner(arn) or None
    if covered.excludes(account, region, arn, whose):
        return f"filtered: the images of {account}/{region} were drained by type, name or ARN"
    if is_public(arn):
        return "retired by AWS: it lists the image no more"
    if whose == account:
        return "deleted"
    if user != account:
        return f"not covered: the images of {user}/{region} were not read"
    return f"share withdrawn, or deleted by its owner {whose}"


def _list_accounts(frames: Frames, images: pd.DataFrame) -> pd.DataFrame:
    """Return with which accounts the images are shared: by their owners' permissions, and by who of the frames sees them."""
    keys = ["account", "region", "image_arn", "image_name", "user_account"]
    owned = _keep_owned(images)[["account", "region", "arn", "name"]].rename(
        columns={"arn": "image_arn", "name": "image_name"}
    )
    others = images[(images["account"] != images["owner"]) & ~images["public"]]
    others = others[["account", "region", "arn"]].rename(columns={"account": "user_account", "arn": "image_arn"})
    found = [owned.merge(others.dropna(), on=["region", "image_arn"])[keys]]
    table = frames.tables.get("permissions")
    if table is not None:
        found.append(table.rename(columns={"shared_account_id": "user_account"})[keys])
    shares = pd.concat(found, ignore_index=True).drop_duplicates(["account", "region", "image_arn", "user_account"])
    return shares.assign(kind="account", user_region=shares["region"])


def _list_stacks(frames: Frames, users: pd.DataFrame, covered: Coverage) -> list[list[str] | None]:
    """Return the names of each fleet's stacks, in order; null for other users and where stacks were not read whole."""
    table = frames.tables.get("associations")
    edges: dict[tuple[str, str, str], list[str]] = {}
    if table is not None:
        for *key, stack in iterate_rows(table, "account", "region", "fleet_name", "stack_name"):
            edges.setdefault(tuple(key), []).append(stack)
    return [
        sorted(set(edges.get((account, region, name), [])))
        if kind == "fleet" and covered.find_missing(account, region, "ListAssociatedFleets") is None
        else None
        for kind, account, region, name in iterate_rows(users, "kind", "user_account", "user_region", "user_name")
    ]


def _count_users(users: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return how many users of each kind the image of each row has."""
    known = users.dropna(subset=["image_arn"])
    counts = pd.crosstab([known["user_region"], known["image_arn"]], known["kind"]).rename(columns=KINDS)
    counts = counts.reindex(columns=list(KINDS.values()), fill_value=0)
    rows = pd.MultiIndex.from_arrays([images["region"], images["arn"].astype(object)])
    return counts.reindex(rows, fill_value=0).set_axis(images.index)


def _find_unread(coverage: pd.DataFrame, covered: Coverage) -> dict[str | None, list[tuple[str | None, str]]]:
    """Return by region the accounts of which something was not read that may use an image, and what that is."""
    found: dict[str | None, list[tuple[str | None, str]]] = {}
    there = coverage[~coverage["status"].isin(["region_disabled", "not_offered"])]
    for account, region in dict.fromkeys(iterate_rows(there, "account", "region")):
        if lacking := next(_list_lacking(covered, account, region), None):
            found.setdefault(region, []).append((account, lacking))
    return found


def _list_lacking(covered: Coverage, account: str | None, region: str | None) -> Iterator[str]:
    """Yield what was not read of a target's fleets, image builders and images."""
    for operation in ("DescribeImages", "DescribeFleets", "DescribeImageBuilders"):
        if missing := covered.find_missing(account, region, operation):
            yield missing
    if covered.excludes(account, region, None, account):
        yield f"the images of {account}/{region} were drained by type, name or ARN"
    if covered.redacts(account, region, "base_image_arn"):
        yield f"on what the images of {account}/{region} were built is redacted"


@dataclass(frozen=True)
class _Known:
    """What was read, whether the owner of an image shares it, and of which accounts in a region something was not read."""

    covered: Coverage
    shared: Mapping[tuple[str, str], bool | None]
    unread: Mapping[str | None, Sequence[tuple[str | None, str]]]

    def judge(self, region: str, arn: str | None, whose: str | None, users: int) -> tuple[str, bool, str]:
        """Return verdict, deletable and reason of an image with so many users."""
        if users:
            return "in_use", False, f"{users} user{'' if users == 1 else 's'}, see used_by"
        lacking = next(self._list_unknown(region, arn, whose), None)
        if lacking is not None:
            return "unknown", False, lacking
        if arn is not None and self.shared[region, arn]:
            return "unused", False, "nobody stands on it; AWS calls it shared, though with no account"
        return "unused", True, "nobody stands on it, and it is shared with nobody"

    def _list_unknown(self, region: str, arn: str | None, whose: str | None) -> Iterator[str]:
        """Yield what has to be known before an image without a user can be called unused."""
        if arn is None:
            yield "AWS sent no ARN, so nothing can be joined"
        elif (region, arn) not in self.shared:
            yield f"its owner {whose} was not drained in {region}"
        else:
            yield from _list_lacking(self.covered, whose, region)
            missing = self.covered.find_missing(whose, region, "DescribeImagePermissions")
            if missing and self.shared[region, arn] is not False:
                yield f"it may be shared, and {missing}"
            if self.shared[region, arn] is None:
                yield "it is not known whether its owner shares it"
            for account, missing in (*self.unread.get(region, ()), *self.unread.get(None, ())):
                if account != whose:
                    yield f"another account may use it since an earlier share, and {missing}"
