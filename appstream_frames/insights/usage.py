"""Who uses each image at one moment, and which images are unused; joined on account, region and ARN."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pandas as pd

from appstream_frames.insights.rows import Coverage, get_table, iterate_rows, to_typed
from appstream_frames.tables.coverage import name_operations
from appstream_frames.tables.decode import parse_owner
from appstream_frames.tables.frames import Frames, check_frames
from appstream_frames.tables.operations import OPERATIONS

KINDS: Final = {"fleet": "fleets", "image_builder": "image_builders", "account": "accounts", "image": "images"}
_IMAGE: Final = "account region owner arn name state base_image_arn image_shared_with_others".split()
_JUDGED: Final = ("region", "arn", "owner", "users")
_IDENTITY: Final = "user_account user_region user_name user_arn".split()
_USED_BY: Final = """account region image_arn image_name kind user_account user_region user_name user_arn state stacks
    running_instances reason""".split()
_USAGE: Final = ["account", "region", "name", "arn", *KINDS.values(), "verdict", "deletable", "reason"]


def used_by(frames: Frames) -> pd.DataFrame:
    """Return who uses each image: fleets, image builders, accounts it is shared with, and images built on it.

    Parameters
    ----------
    frames : Frames
        Preferably drained with ``include="all"``, and with all accounts that share images: users that were not read are missing.

    Returns
    -------
    pandas.DataFrame
        A row per image and user, sorted: ``account, region, image_arn, image_name`` (those of the owner, if it was drained,
        else of the target that refers to the image), ``kind`` (``fleet``, ``image_builder``, ``account``, ``image``),
        ``user_account, user_region, user_name, user_arn, state``, ``stacks`` (of a fleet, a tuple of names; null if they were
        not read), ``running_instances`` (of a fleet) and ``reason``: why the user's own account does not list the image, null
        if it does. An image that is not in the frames has a null ``image_name``. For the kind ``account``, ``user_account`` is
        the account it is shared with. A fleet is one row, however many accounts see its image. That image is the one its *new*
        instances get; running instances keep the image they started with.

    Raises
    ------
    RequestError
        When `frames` is not `Frames`.

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
    images, covered = _list_images(frames), _read_coverage(frames)
    builders = get_table(frames, "image_builders").dropna(subset="image_arn")
    builders = _make_users(builders, "image_builder", image_arn=builders["image_arn"])
    users = pd.concat([_list_fleets(frames, images), builders, _list_built_images(images)], ignore_index=True)
    users = pd.concat([_attach_images(users, images, covered), _list_accounts(frames, images)], ignore_index=True)
    users = users.sort_values(_USED_BY[:9], ignore_index=True, na_position="last", kind="stable")
    return to_typed(users.assign(stacks=_list_stacks(frames, users, covered)), _USED_BY)


def judge_usage(frames: Frames, users: pd.DataFrame | None = None, *, apart: bool = False) -> pd.DataFrame:
    """Return the table of `appstream_frames.usage` without the column of its history.

    `users` is the result of `used_by` for these frames, if there is one already. With `apart`, each image is judged by its
    owner's target alone: by the users there, and the accounts that its permissions name.
    """
    frames = check_frames(frames)
    images, covered = _list_images(frames), _read_coverage(frames)
    images = images[~images["public"]]
    users = used_by(frames) if users is None else users
    counts = _count_users(_keep_judged_by_owner(frames, users) if apart else users, images)
    flags = iterate_rows(_keep_owned(images), "region", "image_arn", "image_shared_with_others")
    shared = {(region, arn): flag for region, arn, flag in flags}
    unread = {} if apart else _find_unread(frames.coverage, covered)
    verdicts = [
        _judge(count, _list_unknown(covered, shared, unread, region, arn, whose), shared.get((region, arn)))
        for region, arn, whose, count in iterate_rows(images.assign(users=counts.sum(axis=1)), *_JUDGED)
    ]
    judged = pd.DataFrame(verdicts, columns=["verdict", "deletable", "reason"], index=images.index)
    table = pd.concat([images[["account", "region", "name", "arn"]], counts, judged], axis=1)
    return to_typed(table, _USAGE).set_index(images.index)


def _read_coverage(frames: Frames) -> Coverage:
    """Return the coverage of the frames, without operations whose tables they do not hold."""
    held = [name for name, operation in OPERATIONS.items() if operation.table in frames.tables]
    return Coverage(frames.coverage[name_operations(frames.coverage).isin(held)])


def _keep_judged_by_owner(frames: Frames, users: pd.DataFrame) -> pd.DataFrame:
    """Return the users that are in the account of their image, and the accounts that its permissions name."""
    keys = ["account", "region", "image_arn", "user_account"]
    named = get_table(frames, "permissions").rename(columns={"shared_account_id": "user_account"})[keys]
    shares = pd.MultiIndex.from_frame(users[keys]).isin(pd.MultiIndex.from_frame(named))
    kept = (users["user_account"] == users["account"]) | ((users["kind"] == "account") & shares)
    return users[kept.fillna(False).to_numpy(bool)]


def _list_images(frames: Frames) -> pd.DataFrame:
    """Return the needed columns of the images, and ``public``: whether it is AWS's."""
    images = frames.images
    public = images["owner"].isna() & ~images["visibility"].isin(["PRIVATE", "SHARED"])
    return images[_IMAGE].assign(public=public)


def _keep_owned(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images as their owners see them."""
    owned = images[(images["account"] == images["owner"]) & images["arn"].notna()].drop_duplicates(["region", "arn"])
    return owned.rename(columns={"arn": "image_arn", "name": "image_name"})


def _make_users(table: pd.DataFrame, kind: str, **columns: pd.Series) -> pd.DataFrame:
    """Return the users of one kind, each once; ``target`` is the account whose images are searched, by default the user's own."""
    made = table[["account", "region", "name", "arn"]].set_axis(_IDENTITY, axis=1)
    made = made.assign(kind=kind, state=table["state"], target=table["account"], **columns)
    return made.drop_duplicates(_IDENTITY)


def _list_fleets(frames: Frames, images: pd.DataFrame) -> pd.DataFrame:
    """Return the fleets that have an image; for one with only an image's name, its ARN is looked up by the name."""
    table, keys = get_table(frames, "fleets"), ["account", "region", "image_name"]
    table = table[table["image_arn"].notna() | table["image_name"].notna()]
    named = images.assign(own=images["account"] == images["owner"]).rename(columns={"name": "image_name"})
    named = named.sort_values(["own", "arn"], ascending=[False, True]).drop_duplicates(keys)[[*keys, "arn"]].dropna()
    found = table[keys].merge(named, "left", keys)["arn"].set_axis(table.index)
    running = table["compute_capacity_status_running"]
    return _make_users(table, "fleet", image_arn=table["image_arn"].fillna(found), running_instances=running)


def _list_built_images(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images that name a base, each once: the owner's row, if the owner was drained."""
    built = images[images["base_image_arn"].notna() & ~images["public"] & images["arn"].notna()]
    built = built.assign(other=built["account"] != built["owner"]).sort_values(["other", "account"], kind="stable")
    built = built.drop_duplicates(["region", "arn"])
    return _make_users(built, "image", image_arn=built["base_image_arn"]).assign(user_account=built["owner"])


def _attach_images(users: pd.DataFrame, images: pd.DataFrame, covered: Coverage) -> pd.DataFrame:
    """Add account, region and name of their image to users, and the reason if their target does not list it."""
    users = users.assign(region=users["user_region"])
    names = {"account": "target", "region": "region", "arn": "image_arn", "name": "seen_name"}
    seen = (
        images[images["arn"].notna()].drop_duplicates(["account", "region", "arn"])[list(names)].rename(columns=names)
    )
    users = users.merge(seen, "left", ["target", "region", "image_arn"], indicator="listed")
    owned = _keep_owned(images)[["account", "region", "image_arn", "image_name"]]
    users = users.merge(owned, "left", ["region", "image_arn"])
    rows = iterate_rows(users, "listed", "target", "user_account", "region", "image_arn")
    return users.assign(
        account=users["account"].fillna(users["target"]),
        image_name=users["image_name"].fillna(users["seen_name"]),
        reason=[None if listed == "both" else _explain_unlisted(covered, *row) for listed, *row in rows],
    )


def _explain_unlisted(covered: Coverage, account: str, user: str | None, region: str, arn: str | None) -> str:
    """Return why `account`, which is the user's own or shares the user's image, does not list an image in use."""
    missing = covered.find_missing(account, region, "DescribeImages")
    if missing is not None:
        return f"not covered: {missing}"
    whose = parse_owner(arn or "")
    if whose is None:
        return "AWS sent no ARN of the image"
    if covered.excludes(account, region, arn, whose or None):
        return f"filtered: the images of {account}/{region} were drained by type, name or ARN"
    if not whose:
        return "retired by AWS: it lists the image no more"
    if whose == account:
        return "deleted"
    if user != account:
        return f"not covered: the images of {user}/{region} were not read"
    return f"share withdrawn, or deleted by its owner {whose}"


def _list_accounts(frames: Frames, images: pd.DataFrame) -> pd.DataFrame:
    """Return the accounts that images are shared with: by their owners' permissions, or because they list the image."""
    keys = ["account", "region", "image_arn", "image_name", "user_account"]
    others = images[(images["account"] != images["owner"]) & ~images["public"]][["account", "region", "arn"]]
    others = others.rename(columns={"account": "user_account", "arn": "image_arn"}).dropna()
    named = get_table(frames, "permissions").rename(columns={"shared_account_id": "user_account"})
    shares = pd.concat([_keep_owned(images).merge(others, on=["region", "image_arn"])[keys], named[keys]])
    shares = shares.drop_duplicates(["account", "region", "image_arn", "user_account"])
    return shares.assign(kind="account", user_region=shares["region"])


def _list_stacks(frames: Frames, users: pd.DataFrame, covered: Coverage) -> list[list[str] | None]:
    """Return the sorted names of each fleet's stacks; None for other users and if stacks were not read whole."""
    stacks = defaultdict(set)
    for *fleet, stack in iterate_rows(
        get_table(frames, "associations"), "account", "region", "fleet_name", "stack_name"
    ):
        stacks[tuple(fleet)].add(stack)
    return [
        sorted(stacks[account, region, name])
        if kind == "fleet" and covered.find_missing(account, region, "ListAssociatedFleets") is None
        else None
        for kind, account, region, name in iterate_rows(users, "kind", "user_account", "user_region", "user_name")
    ]


def _count_users(users: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return the number of users of each image, a column per kind."""
    known = users.dropna(subset=["image_arn"])
    counts = pd.crosstab([known["user_region"], known["image_arn"]], known["kind"]).rename(columns=KINDS)
    counts = counts.reindex(columns=list(KINDS.values()), fill_value=0)
    rows = pd.MultiIndex.from_arrays([images["region"], images["arn"].astype(object)])
    return counts.reindex(rows, fill_value=0).set_axis(images.index)


def _find_unread(coverage: pd.DataFrame, covered: Coverage) -> dict[str | None, list[tuple[str | None, str]]]:
    """Return by region the accounts that may have users which were not read, and what was not read."""
    found: dict[str | None, list[tuple[str | None, str]]] = {}
    there = coverage[~coverage["status"].isin(["region_disabled", "not_offered"])]
    for account, region in dict.fromkeys(iterate_rows(there, "account", "region")):
        if lacking := next(_list_lacking(covered, account, region), None):
            found.setdefault(region, []).append((account, lacking))
    return found


def _list_lacking(covered: Coverage, account: str | None, region: str | None) -> Iterator[str]:
    """Yield what was not read among a target's fleets, image builders and images."""
    for operation in ("DescribeImages", "DescribeFleets", "DescribeImageBuilders"):
        if missing := covered.find_missing(account, region, operation):
            yield missing
    if covered.excludes(account, region, None, account):
        yield f"the images of {account}/{region} were drained by type, name or ARN"
    if covered.redacts(account, region, "base_image_arn"):
        yield f"on what the images of {account}/{region} were built is redacted"


def _list_unknown(
    covered: Coverage,
    shared: Mapping[tuple[str, str], bool | None],
    unread: Mapping[str | None, Sequence[tuple[str | None, str]]],
    region: str,
    arn: str | None,
    whose: str | None,
) -> Iterator[str]:
    """Yield what is not known but must be before an image without users counts as unused.

    `shared` holds by region and ARN whether the owner shares an image, `unread` by region the accounts not read whole.
    """
    if arn is None:
        yield "AWS sent no ARN, so nothing can be joined"
    elif (region, arn) not in shared:
        yield f"its owner {whose} was not drained in {region}"
    else:
        yield from _list_lacking(covered, whose, region)
        missing = covered.find_missing(whose, region, "DescribeImagePermissions")
        if missing and shared[region, arn] is not False:
            yield f"it may be shared, and {missing}"
        if shared[region, arn] is None:
            yield "it is not known whether its owner shares it"
        for account, missing in (*unread.get(region, ()), *unread.get(None, ())):
            if account != whose:
                yield f"another account may use it since an earlier share, and {missing}"


def _judge(users: int, unknown: Iterator[str], shared: bool | None) -> tuple[str, bool, str]:
    """Return verdict, deletable and reason of an image with this number of users."""
    if users:
        return "in_use", False, f"{users} user{'' if users == 1 else 's'}, see used_by"
    if lacking := next(unknown, None):
        return "unknown", False, lacking
    if shared:
        return "unused", False, "nobody stands on it; AWS reports it as shared, but with no account"
    return "unused", True, "nobody stands on it, and it is shared with nobody"
