"""Random estates of images and their users, and by brute force who uses which image; no code of the package's."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pandas as pd

import appstream_frames as asf

Row = dict[str, Any]
Estate = dict[str, list[Row]]

ACCOUNTS = ["111111111111", "222222222222", "333333333333"]
STRANGER = "999999999999"
REGIONS = ["eu-west-1", "us-east-1"]
NAMES = ["a", "b", "c"]
OPERATIONS = [
    "DescribeImages",
    "DescribeFleets",
    "DescribeImageBuilders",
    "DescribeStacks",
    "ListAssociatedFleets",
    "DescribeImagePermissions",
]
COLUMNS = {
    "images": "account region owner name arn state visibility base_image_arn image_shared_with_others image_builder_name",
    "fleets": "account region name arn state image_arn image_name fleet_type compute_capacity_status_running",
    "image_builders": "account region name arn state image_arn",
    "associations": "account region stack_name fleet_name",
    "permissions": "account region image_arn image_name shared_account_id",
    "coverage": "snapshot account region operation status request error_message",
}


def image_arn(account: str, region: str, name: str) -> str:
    return f"arn:aws:appstream:{region}:{account}:image/{name}"


def estate(rnd: Random) -> Estate:
    """Draw an estate as it is in truth, read whole by every account in it."""
    found: Estate = {name: [] for name in COLUMNS}
    targets = [(account, region) for account in ACCOUNTS for region in REGIONS if rnd.random() < 0.8]
    for account, region in targets:
        for public in ("P", "Q"):
            if rnd.random() < 0.6:
                found["images"].append(_image(rnd, account, region, "", public))
        for name in NAMES:
            if rnd.random() < 0.7:
                found["images"].append(_image(rnd, account, region, account, name))
    for own in [row for row in found["images"] if row["owner"]]:
        _share(rnd, own, targets, found)
    for target in targets:
        _users(rnd, *target, found)
        for operation in OPERATIONS:
            found["coverage"].append(covered(*target, operation))
    return found


def _image(rnd: Random, account: str, region: str, owner: str, name: str) -> Row:
    return {
        "account": account,
        "region": region,
        "owner": owner or None,
        "name": name,
        "arn": image_arn(owner, region, name),
        "state": "AVAILABLE",
        "visibility": "PRIVATE" if owner else "PUBLIC",
        "base_image_arn": _reference(rnd, region) if owner else None,
        "image_shared_with_others": False if owner else None,
        "image_builder_name": None,
    }


def _reference(rnd: Random, region: str) -> str | None:
    """Return the ARN of an image that may exist, be AWS's, be a stranger's, or be none."""
    owner = rnd.choice([*ACCOUNTS, *ACCOUNTS, "", STRANGER, None])
    return (
        None if owner is None else image_arn(owner, region, rnd.choice([*NAMES, "gone"] if owner else ["P", "Q", "R"]))
    )


def _share(rnd: Random, own: Row, targets: list[tuple[str, str]], found: Estate) -> None:
    for account in [*ACCOUNTS, STRANGER]:
        if account != own["account"] and rnd.random() < 0.15:
            own["image_shared_with_others"] = True
            keys = {"account": own["account"], "region": own["region"]}
            image = {"image_arn": own["arn"], "image_name": own["name"], "shared_account_id": account}
            found["permissions"].append(keys | image)
            if (account, own["region"]) in targets:
                seen = {"account": account, "visibility": "SHARED", "image_shared_with_others": None}
                found["images"].append(own | seen)


def _users(rnd: Random, account: str, region: str, found: Estate) -> None:
    for number in range(rnd.randint(0, 3)):
        arn, name = f"arn:aws:appstream:{region}:{account}:fleet/f{number}", None
        image = _reference(rnd, region)
        if rnd.random() < 0.2:
            image, name = None, rnd.choice([*NAMES, "P", "gone"])
        row = {"account": account, "region": region, "name": f"f{number}", "arn": arn, "state": "RUNNING"}
        more = {"fleet_type": "ON_DEMAND", "compute_capacity_status_running": rnd.randint(0, 9)}
        found["fleets"].append(row | more | {"image_arn": image, "image_name": name})
        for stack in rnd.sample(["s", "t"], rnd.randint(0, 2)):
            edge = {"account": account, "region": region, "stack_name": stack, "fleet_name": f"f{number}"}
            found["associations"].append(edge)
    for number in range(rnd.randint(0, 1)):
        arn = f"arn:aws:appstream:{region}:{account}:image-builder/b{number}"
        row = {"account": account, "region": region, "name": f"b{number}", "arn": arn, "state": "STOPPED"}
        found["image_builders"].append(row | {"image_arn": _reference(rnd, region)})


def covered(account: str, region: str, operation: str) -> Row:
    keys = {"snapshot": pd.Timestamp("2026-11-23", tz="UTC"), "account": account, "region": region}
    return keys | {"operation": operation, "status": "complete", "request": "{}", "error_message": None}


def read_in_part(rnd: Random, whole: Estate) -> Estate:
    """Return what comes of an estate when some operations are denied, filtered or not asked for."""
    tables = {
        "DescribeImages": "images",
        "DescribeFleets": "fleets",
        "DescribeImageBuilders": "image_builders",
        "ListAssociatedFleets": "associations",
        "DescribeImagePermissions": "permissions",
    }
    found = {name: list(rows) for name, rows in whole.items()}
    found["coverage"] = []
    for row in whole["coverage"]:
        target, table = (row["account"], row["region"]), tables.get(row["operation"])
        fate = rnd.choice(["whole"] * 6 + ["denied", "absent", "private"])
        if fate == "private" and table == "images":
            row = row | {"request": json.dumps({"Type": "PRIVATE"})}
            found["images"] = [
                each
                for each in found["images"]
                if (each["account"], each["region"]) != target or each["visibility"] == "PRIVATE"
            ]
        elif fate in ("denied", "absent") and table:
            found[table] = [each for each in found[table] if (each["account"], each["region"]) != target]
        if fate != "absent":
            found["coverage"].append(row | ({"status": "denied"} if fate == "denied" else {}))
    return found


def frames_of(rows: Estate) -> asf.Frames:
    """Return the estate as frames, with the dtypes of a drain."""
    tables = {name: pd.DataFrame(rows[name], columns=columns.split()) for name, columns in COLUMNS.items()}
    for table in tables.values():
        for name in table.columns:
            if name == "image_shared_with_others":
                table[name] = table[name].astype("boolean")
            elif name == "compute_capacity_status_running":
                table[name] = table[name].astype("Int64")
            elif name != "snapshot":
                table[name] = table[name].astype("str")
    return asf.Frames(tables)


# the oracle


def owner_of(arn: str) -> str:
    return arn.split(":")[4]


def expected_users(rows: Estate) -> list[tuple[Any, ...]]:
    """Return who uses which image: owner or target, region, image's ARN and name, kind, user, stacks, instances, listed."""
    found = {_fleet(rows, fleet) for fleet in rows["fleets"] if fleet["image_arn"] or fleet["image_name"]}
    for builder in rows["image_builders"]:
        if builder["image_arn"]:
            user = (builder["account"], builder["name"], builder["arn"], None, None)
            found.add(_use(rows, builder, builder["image_arn"], "image_builder", *user))
    for image in rows["images"]:
        seen = [each for each in rows["images"] if each["arn"] == image["arn"] and each["base_image_arn"]]
        own = [each for each in seen if each["account"] == owner_of(each["arn"])]
        first = min(own or seen or [image], key=lambda each: each["account"])
        if image["visibility"] != "PUBLIC" and image["base_image_arn"] and image is first:
            user = (owner_of(image["arn"]), image["name"], image["arn"], None, None)
            found.add(_use(rows, image, image["base_image_arn"], "image", *user))
    return sorted(found | _shares(rows), key=repr)


def _fleet(rows: Estate, fleet: Row) -> tuple[Any, ...]:
    arn = fleet["image_arn"]
    if arn is None:
        named = [each for each in rows["images"] if _same(each, fleet) and each["name"] == fleet["image_name"]]
        own = [each["arn"] for each in named if each["visibility"] == "PRIVATE"]
        arn = min(own or [each["arn"] for each in named], default=None)
    edges = [each for each in rows["associations"] if _same(each, fleet) and each["fleet_name"] == fleet["name"]]
    stacks = tuple(sorted({each["stack_name"] for each in edges}))
    read = _status(rows, fleet, "ListAssociatedFleets") == "complete"
    more = (stacks if read else None, fleet["compute_capacity_status_running"])
    return _use(rows, fleet, arn, "fleet", fleet["account"], fleet["name"], fleet["arn"], *more)


def _shares(rows: Estate) -> set[tuple[Any, ...]]:
    found = set()
    for image in rows["images"]:
        if image["account"] == owner_of(image["arn"]):
            sharing = {each["shared_account_id"] for each in rows["permissions"] if each["image_arn"] == image["arn"]}
            seeing = {each["account"] for each in rows["images"] if each["arn"] == image["arn"]} - {image["account"]}
            for account in sharing | seeing:
                key = (image["account"], image["region"], image["arn"], image["name"], "account", account)
                found.add((*key, None, None, None, None, True))
    owned = {(image["account"], image["arn"]) for image in rows["images"]}
    for each in rows["permissions"]:
        if (each["account"], each["image_arn"]) not in owned:
            key = (each["account"], each["region"], each["image_arn"], each["image_name"], "account")
            found.add((*key, each["shared_account_id"], None, None, None, None, True))
    return found


def _same(one: Row, other: Row) -> bool:
    return one["account"] == other["account"] and one["region"] == other["region"]


def _status(rows: Estate, target: Row, operation: str) -> str | None:
    return next(
        (each["status"] for each in rows["coverage"] if _same(each, target) and each["operation"] == operation), None
    )


def _use(rows: Estate, target: Row, arn: str | None, *user: Any) -> tuple[Any, ...]:
    account, name, listed = target["account"], None, False
    for image in rows["images"]:
        if arn is not None and image["arn"] == arn and image["region"] == target["region"]:
            if _same(image, target):
                listed, name = True, name or image["name"]
            if image["account"] == owner_of(arn):
                account, name = image["account"], image["name"]
    return (account, target["region"], arn, name, *user, listed)


def expected_usage(rows: Estate) -> list[tuple[Any, ...]]:
    """Return account, region, ARN, the counts of each kind, verdict and whether it can be deleted, a row per private image."""
    users, found = expected_users(rows), []
    for image in rows["images"]:
        if image["visibility"] == "PUBLIC":
            continue
        kinds = [user[4] for user in users if user[2] == image["arn"]]
        counts = [kinds.count(kind) for kind in ("fleet", "image_builder", "account", "image")]
        owner = {"account": owner_of(image["arn"]), "region": image["region"]}
        owns = [each for each in rows["images"] if each["arn"] == image["arn"] and each["account"] == owner["account"]]
        needed = ["DescribeImages", "DescribeFleets", "DescribeImageBuilders"]
        if owns and owns[0]["image_shared_with_others"] is not False:
            needed.append("DescribeImagePermissions")
        whole = bool(owns) and all(_status(rows, owner, operation) == "complete" for operation in needed)
        for other in [each for each in rows["coverage"] if each["region"] == image["region"]]:
            whole = whole and all(_status(rows, other, operation) == "complete" for operation in needed[:3])
        verdict = "in_use" if kinds else "unused" if whole else "unknown"
        shared = bool(owns and owns[0]["image_shared_with_others"])
        deletable = verdict == "unused" and image["account"] == owner["account"] and not shared
        found.append((image["account"], image["region"], image["arn"], *counts, verdict, deletable))
    return found


# what the package says


def seen_users(frames: asf.Frames) -> list[tuple[Any, ...]]:
    table = asf.used_by(frames)
    found = table.drop(columns=["user_region", "state", "reason"]).astype(object)
    stacks = [None if value is None else tuple(value) for value in found["stacks"].where(found["stacks"].notna(), None)]
    found = found.where(found.notna(), None).assign(listed=table["reason"].isna().to_numpy(), stacks=stacks)
    return sorted(found.itertuples(index=False, name=None), key=repr)


def seen_usage(frames: asf.Frames) -> list[tuple[Any, ...]]:
    table = asf.usage(frames).drop(columns=["name", "reason"])
    return list(table.astype(object).itertuples(index=False, name=None))


def differences(rows: Estate) -> list[str]:
    """Return where the package and the oracle disagree."""
    frames = frames_of(rows)
    pairs = [(seen_users(frames), expected_users(rows)), (seen_usage(frames), expected_usage(rows))]
    return [
        f"{'seen' if each in seen else 'expected'} only: {each}"
        for seen, expected in pairs
        for each in [*seen, *expected]
        if (each in seen) != (each in expected) or seen.count(each) != expected.count(each)
    ]
