"""Who stands on the images of the sandbox: fleets, image builders, stacks, and the Elastic side; all of it invented.

The fleets are in ``sample_fleets.csv``, the image builders in ``sample_builders.csv``. Their column `image` is the name of an
image, or a line's name from ``sample_lines.csv``: the fleet then moves to each new build `lag` weeks after it is available. A
prefix such as ``development:`` says whose image it is when it is not the fleet's own account's; ``aws:`` is AWS's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from typing import Any

from catalogue_images import (
    ACCOUNTS,
    ASIA,
    EU,
    NEWEST_AGENT,
    OWNERS,
    REGIONS,
    WEEKS,
    Changes,
    Json,
    agent_of,
    created,
    elastic_applications,
    epoch,
    record,
    rng_of,
    table,
)

#: Regions whose accounts get OperationNotPermittedException from the operations of Elastic fleets.
NOT_ELASTIC = [ASIA]
_BLOCKS = {"vscode": "Visual Studio Code", "npp": "Notepad++", "qgis": "QGIS portable"}
_ERRORS: dict[str, tuple[int, list[Json]]] = {
    "quality-lims": (
        9,
        [
            {
                "ErrorCode": "SUBNET_HAS_INSUFFICIENT_IP_ADDRESSES",
                "ErrorMessage": "The subnet subnet-0a1b2c3d4e5f60718 has no free IP address.",
            },
            {
                "ErrorCode": "FLEET_INSTANCE_PROVISIONING_FAILURE",
                "ErrorMessage": "An instance of the fleet could not be provisioned.",
            },
        ],
    ),
    "autocad-teaching": (
        0,
        [
            {
                "ErrorCode": "FLEET_INSTANCE_PROVISIONING_FAILURE",
                "ErrorMessage": "Graphics Pro instances are no longer offered.",
            }
        ],
    ),
}
_BROKEN_BUILDER = {
    "ErrorCode": "FLEET_INSTANCE_PROVISIONING_FAILURE",
    "ErrorMessage": "The image builder failed to start: status check failed.",
}


def users(images: Sequence[Json]) -> dict[str, list[Json]]:
    """Return the records of every operation but DescribeImages, by the operation's name."""
    fleets, edges = [], []
    for row in table("sample_fleets.csv"):
        fleets.append(fleet(row, images))
        edges += [edge(row, stack) for stack in row["stacks"].split(";")]
    return {
        "DescribeFleets": fleets,
        "DescribeImageBuilders": [builder(row, images) for row in table("sample_builders.csv")],
        "DescribeStacks": list(stacks(edges)),
        "ListAssociatedFleets": edges,
        "DescribeImagePermissions": [share for entry in images for share in permissions(entry)],
        "DescribeApplications": [
            here(account, region, app) for account, region in elastic() for app in elastic_applications().values()
        ],
        "DescribeAppBlocks": [here(account, region, block) for account, region in elastic() for block in blocks()],
        "DescribeAppBlockBuilders": [here(OWNERS["development"], EU, packager())],
        "DescribeApplicationFleetAssociations": list(applications_of_fleets()),
        "DescribeUsageReportSubscriptions": [
            here(account, REGIONS[1], {"S3BucketName": "appstream-logs-us-east-1-{account}", "Schedule": "DAILY"})
            for account in ACCOUNTS
        ],
    }


def weeks_of(row: dict[str, str]) -> list[int | None]:
    """Return first and last week, exclusive, from text such as ``3-`` or ``0-7``."""
    first, _, until = row["weeks"].partition("-")
    return [int(first), int(until) if until else None]


def here(account: str, region: str, row: Json, weeks: Sequence[int | None] = (0, None)) -> Json:
    """Return the record of one row in one region."""
    return {"in": {region: list(weeks)}, "owner": account, "row": row}


def image_arns(images: Sequence[Json], row: dict[str, str]) -> list[tuple[int, str]]:
    """Return the weeks since which a fleet or image builder stands on an image, and the image's ARN; oldest first."""
    whose, _, name = row["image"].rpartition(":")
    if whose == "aws":
        return [(0, f"arn:aws:appstream:{{region}}::image/{name}")]
    owner = OWNERS[whose or row["owner"]]
    pattern = re.compile("(?:20[0-9]{2}|[0-9]{1,3})".join(map(re.escape, re.split(r"\{[ymdv]\}", name))) + "[1-4]?")
    found = []
    for entry in images:
        image, region = entry["row"], row["region"]
        if entry["owner"] == owner and region in entry["in"] and pattern.fullmatch(image["Name"]):
            since = available(entry, region)
            if since is not None:
                arn = image["Arn"].replace("{account}", owner) if whose else image["Arn"]
                found.append((image["CreatedTime"], since, arn))
    lag = int(row.get("lag", 0))
    found.sort()
    return [(0 if since == 0 else since + lag, arn) for _, since, arn in found]


def available(entry: Json, region: str) -> int | None:
    """Return the first week in which an image is AVAILABLE in a region."""
    first, until = entry["in"][region]
    state = entry["row"]["State"]
    for week in range(first, len(WEEKS) if until is None else until):
        state = entry.get("changes", {}).get(str(week), {}).get("State", state)
        if state == "AVAILABLE":
            return week
    return None


def fleet(row: dict[str, str], images: Sequence[Json]) -> Json:
    """Return the record of one fleet: what it is in its first week, and what changes in later ones."""
    rng = rng_of(f"fleet {row['owner']} {row['region']} {row['name']}")
    name, desired, weeks = row["name"], int(row["desired"]), weeks_of(row)
    found: Json = {
        "Arn": f"arn:aws:appstream:{{region}}:{{account}}:fleet/{name}",
        "Name": name,
        "DisplayName": row["text"] or None,
        "InstanceType": row["instance"],
        "FleetType": row["type"],
        "ComputeCapacityStatus": capacity(row["type"], row["state"], desired, 0),
        "MaxUserDurationInSeconds": rng.choice([28_800, 57_600]),
        "DisconnectTimeoutInSeconds": 900,
        "State": row["state"],
        "VpcConfig": {"SubnetIds": [f"subnet-{rng.getrandbits(68):017x}" for _ in range(2)], "SecurityGroupIds": []},
        "CreatedTime": created((WEEKS[weeks[0]] if weeks[0] else date(2025, 6, 2)) - timedelta(days=3), rng),
        "FleetErrors": [],
        "EnableDefaultInternetAccess": False,
        "IdleDisconnectTimeoutInSeconds": rng.choice([0, 900]),
        "IamRoleArn": f"arn:aws:iam::{{account}}:role/appstream-{name}" if rng.random() < 0.3 else None,
        "StreamView": rng.choice(["APP", "DESKTOP"]),
    }
    if row["type"] == "ELASTIC":
        more = {"Platform": "WINDOWS_SERVER_2022", "MaxConcurrentSessions": desired, "UsbDeviceFilterStrings": []}
        return here(OWNERS[row["owner"]], row["region"], found | more, weeks)
    return standing(row, found, image_arns(images, row)) | {"in": {row["region"]: weeks}}


def standing(row: dict[str, str], found: Json, moves: list[tuple[int, str]]) -> Json:
    """Return the record of a fleet that moves from image to image, with its errors and its users' number."""
    first, until = weeks_of(row)
    changes: Changes = {}
    state, desired = row["state"], int(row["desired"])
    for week in range(first or 0, len(WEEKS) if until is None else until):
        arn = [arn for since, arn in moves if since <= max(week, moves[0][0])][-1]
        names = {"ImageName": arn.rpartition("/")[2], "ImageArn": None if row["name"] == "support-desk" else arn}
        at = names | {"ComputeCapacityStatus": capacity(row["type"], state, desired, week)}
        since, errors = _ERRORS.get(row["name"], (len(WEEKS), []))
        if row["name"] == "teaching-golden" and week >= 7:  # the share was withdrawn
            at["ComputeCapacityStatus"] = {"Desired": 0, "Running": 0, "InUse": 0, "Available": 0}
        if week >= since:
            at["FleetErrors"] = errors
        changes[week] = at
    found |= changes.pop(first or 0)
    return record(OWNERS[row["owner"]], {}, found, only_news(found, changes))


def only_news(found: Json, changes: Changes) -> Changes:
    """Return what each week changes, without what stays."""
    state, news = dict(found), {}
    for week, members in changes.items():
        new = {name: value for name, value in members.items() if state.get(name) != value}
        state |= new
        if new:
            news[week] = new
    return news


def capacity(kind: str, state: str, desired: int, week: int) -> Json:
    """Return how many instances run, of which a few more are in use every fourth week."""
    if state == "STOPPED" or kind == "ELASTIC":
        return {"Desired": 0, "Running": 0, "InUse": 0, "Available": 0}
    in_use = min(desired, desired // 2 + (1 if week % 4 == 3 else 0))
    return {"Desired": desired, "Running": desired, "InUse": in_use, "Available": desired - in_use}


def edge(row: dict[str, str], stack: str) -> Json:
    """Return that a stack shows a fleet, as ListAssociatedFleets answers for the stack."""
    return here(OWNERS[row["owner"]], row["region"], row["name"], weeks_of(row)) | {"of": {"StackName": stack}}


def permissions(entry: Json) -> Iterator[Json]:
    """Yield with whom an image is shared, as DescribeImagePermissions answers its owner for the image."""
    for account, share in entry.get("shared", {}).items():
        (region,), name = entry["in"], entry["row"]["Name"]
        row = {"sharedAccountId": account, "imagePermissions": share["permissions"]}
        yield here(entry["owner"], region, row, share["weeks"]) | {"of": {"Name": name}}


def stacks(edges: list[Json]) -> Iterator[Json]:
    """Yield a stack for each name that a fleet has, in all weeks; and one that no fleet has yet."""
    named = dict.fromkeys((each["owner"], *each["in"], each["of"]["StackName"]) for each in edges)
    for owner, region, name in named:
        yield here(owner, region, stack(name, rng_of(f"stack {owner} {region} {name}")))
    yield here(OWNERS["production"], EU, stack("pilot-2027", rng_of("stack pilot-2027")), [10, None])


def stack(name: str, rng: Any) -> Json:
    """Return one stack."""
    home = {"ConnectorType": "HOMEFOLDERS", "ResourceIdentifier": "appstream2-36fb080bb8-{region}-{account}"}
    drive = {"ConnectorType": "ONE_DRIVE", "Domains": ["example.com"], "DomainsRequireAdminConsent": []}
    actions = ["CLIPBOARD_COPY_FROM_LOCAL_DEVICE", "CLIPBOARD_COPY_TO_LOCAL_DEVICE", "FILE_UPLOAD", "FILE_DOWNLOAD"]
    found: Json = {
        "Arn": f"arn:aws:appstream:{{region}}:{{account}}:stack/{name}",
        "Name": name,
        "DisplayName": name.replace("-", " ").title(),
        "Description": None,
        "CreatedTime": created(date(2025, 6, 2) + timedelta(days=rng.randint(0, 90)), rng),
        "StorageConnectors": [home, drive][: rng.randint(0, 2)],
        "RedirectURL": f"https://portal.example.com/{name}" if rng.random() < 0.4 else None,
        "StackErrors": [],
        "UserSettings": [
            {"Action": action, "Permission": rng.choice(["ENABLED", "ENABLED", "DISABLED"])} for action in actions
        ],
        "ApplicationSettings": {"Enabled": True, "SettingsGroup": name} if rng.random() < 0.5 else {"Enabled": False},
        "EmbedHostDomains": ["portal.example.com"] if rng.random() < 0.2 else [],
    }
    if name == "paie":
        found["StackErrors"] = [
            {"ErrorCode": "STORAGE_CONNECTOR_ERROR", "ErrorMessage": "The home folder's bucket cannot be reached."}
        ]
    if name == "trading":
        found["AccessEndpoints"] = [{"EndpointType": "STREAMING", "VpceId": "vpce-0f1e2d3c4b5a69788"}]
    return found


def builder(row: dict[str, str], images: Sequence[Json]) -> Json:
    """Return the record of one image builder."""
    rng = rng_of(f"builder {row['owner']} {row['region']} {row['name']}")
    day = date.fromisoformat(row["created"])
    agent = {"latest": "LATEST", "pinned": agent_of(day)}.get(row["agent"], row["agent"])
    found: Json = {
        "Name": row["name"],
        "Arn": f"arn:aws:appstream:{{region}}:{{account}}:image-builder/{row['name']}",
        "ImageArn": image_arns(images, row)[0][1],
        "Description": row["text"] or None,
        "DisplayName": row["name"],
        "VpcConfig": {"SubnetIds": [f"subnet-{rng.getrandbits(68):017x}"], "SecurityGroupIds": []},
        "InstanceType": "stream.standard.large",
        "Platform": "ROCKY_LINUX8" if "Rocky" in row["image"] else "WINDOWS_SERVER_2022",
        "IamRoleArn": None,
        "State": row["state"],
        "CreatedTime": created(day, rng),
        "EnableDefaultInternetAccess": False,
        "NetworkAccessConfiguration": {
            "EniPrivateIpAddress": f"10.20.{rng.randint(0, 255)}.{rng.randint(4, 250)}",
            "EniId": f"eni-{rng.getrandbits(68):017x}",
        },
        "ImageBuilderErrors": [],
        "AppstreamAgentVersion": agent,
        "LatestAppstreamAgentVersion": "TRUE" if agent in ("LATEST", NEWEST_AGENT) else "FALSE",
    }
    if row["state"] == "FAILED":
        error = _BROKEN_BUILDER | {"ErrorTimestamp": round(found["CreatedTime"] + 2711.5, 3)}
        reason = {"Code": "INTERNAL_ERROR", "Message": "The image builder could not be started."}
        found |= {"ImageBuilderErrors": [error], "StateChangeReason": reason}
    return here(OWNERS[row["owner"]], row["region"], found, weeks_of(row))


def elastic() -> list[tuple[str, str]]:
    """Return the accounts and regions that have applications of their own, outside of images."""
    rows = table("sample_fleets.csv")
    return list(dict.fromkeys((OWNERS[row["owner"]], row["region"]) for row in rows if row["type"] == "ELASTIC"))


def blocks() -> Iterator[Json]:
    """Yield the app blocks; one has an error."""
    for position, (name, label) in enumerate(_BLOCKS.items()):
        script = {"S3Bucket": "example-appblocks", "S3Key": f"{name}/setup.ps1"}
        errors = (
            [{"ErrorCode": "VALIDATION_ERROR", "ErrorMessage": "The VHD cannot be read."}] if name == "qgis" else []
        )
        yield {
            "Name": name,
            "Arn": f"arn:aws:appstream:{{region}}:{{account}}:app-block/{name}",
            "DisplayName": label,
            "SourceS3Location": {"S3Bucket": "example-appblocks", "S3Key": f"{name}/{name}.vhdx"},
            "SetupScriptDetails": {
                "ScriptS3Location": script,
                "ExecutablePath": "powershell.exe",
                "ExecutableParameters": "-File setup.ps1",
                "TimeoutInSeconds": 60,
            },
            "CreatedTime": epoch(date(2025, 10, 9), time(14, 5), 480 + position),
            "PackagingType": "CUSTOM",
            "State": "INACTIVE" if errors else "ACTIVE",
            "AppBlockErrors": errors,
        }


def packager() -> Json:
    """Return an app block builder."""
    return {
        "Arn": "arn:aws:appstream:{region}:{account}:app-block-builder/packager",
        "Name": "packager",
        "DisplayName": "Packager",
        "Platform": "WINDOWS_SERVER_2019",
        "InstanceType": "stream.standard.small",
        "EnableDefaultInternetAccess": True,
        "VpcConfig": {"SubnetIds": ["subnet-0c0ffee0c0ffee012"]},
        "State": "STOPPED",
        "CreatedTime": epoch(date(2025, 10, 8), time(8, 0), 300),
        "AppBlockBuilderErrors": [
            {
                "ErrorCode": "INTERNAL_SERVICE_ERROR",
                "ErrorMessage": "The app block builder was stopped.",
                "ErrorTimestamp": epoch(date(2025, 11, 3), time(17, 2), 41),
            }
        ],
    }


def applications_of_fleets() -> Iterator[Json]:
    """Yield which applications each Elastic fleet has."""
    for row in table("sample_fleets.csv"):
        if row["type"] == "ELASTIC":
            for name in list(elastic_applications())[: 2 if row["name"] == "elastic-dr" else 3]:
                arn = f"arn:aws:appstream:{{region}}:{{account}}:application/{name}"
                yield here(
                    OWNERS[row["owner"]],
                    row["region"],
                    {"FleetName": row["name"], "ApplicationArn": arn},
                    weeks_of(row),
                )
