"""The images that the sandbox serves, over its thirteen weeks: AWS's public ones and those that the accounts build.

Real are the names and dates of AWS's public images and the agent versions, read from the tables beside this script;
every account, private image, icon and error is invented. What the accounts keep building is in ``sample_lines.csv``,
what they install in ``sample_applications.csv``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).resolve().parent
SEED = 20261123
WEEKS = [date(2026, 8, 31) + timedelta(weeks=week) for week in range(13)]
EU, US, WEST, ASIA = REGIONS = ["eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2"]
PROD, DEV, LAB = ACCOUNTS = ["012345678901", "111122223333", "444455556666"]
VENDOR = "777788889999"  # shares images with the others; nobody can sign in as it
STRANGER = "888899990000"  # an account outside of the organization, with which images are shared
OWNERS = {"production": PROD, "development": DEV, "university": LAB, "vendor": VENDOR}

Json = dict[str, Any]
Changes = dict[int, Json]

PLATFORMS = {
    "WinServer2012R2": "WINDOWS",
    "WinServer2016": "WINDOWS_SERVER_2016",
    "WinServer2019": "WINDOWS_SERVER_2019",
    "WinServer2022": "WINDOWS_SERVER_2022",
    "WinServer2025": "WINDOWS_SERVER_2025",
    "AmazonLinux2": "AMAZON_LINUX2",
    "RHEL8": "RHEL8",
    "RockyLinux8": "ROCKY_LINUX8",
}
# operating system -> its name in base_image_releases.csv, and the first and last day of its releases there;
# besides these there are those in latest_public_base_images.csv
LINES = {
    "WinServer2012R2": ("Windows", date(2017, 5, 1), date(2022, 10, 31)),
    "WinServer2016": ("Windows", date(2019, 6, 1), date(2025, 11, 10)),
    "WinServer2019": ("Windows", date(2019, 6, 1), date(2025, 11, 10)),
    "WinServer2022": ("Windows", date(2024, 6, 1), date(2025, 11, 10)),
    "WinServer2025": ("Windows", date(2025, 12, 18), date(2025, 12, 18)),
    "AmazonLinux2": ("Amazon Linux 2", date(2021, 11, 1), date(2023, 11, 13)),
    "RHEL8": ("RHEL", date(2024, 7, 1), date(2026, 12, 31)),
    "RockyLinux8": ("Rocky Linux", date(2024, 12, 1), date(2026, 12, 31)),
}
FAMILIES = {
    "": ["GENERAL_PURPOSE", "COMPUTE", "MEMORY"],
    "Graphics-Design": ["GRAPHICS_DESIGN"],
    "Graphics-Pro": ["GRAPHICS_PRO"],
    "Graphics-G4dn": ["GRAPHICS_G4"],
    "Graphics-G5": ["GRAPHICS_G5"],
    "Graphics-G6": ["GRAPHICS_G6"],
    "Graphics-G7": ["GRAPHICS_G7"],
    "Graphics-NV": ["GRAPHICS_G4", "GRAPHICS_G5", "GRAPHICS_G6"],
}
# day of a release -> the week in which it comes to each of the regions
ARRIVALS = {date(2026, 8, 31): [1, 0, 0, 2], date(2026, 9, 22): [5, 4, 4, 6]}

# name of a line -> members that it has besides the usual ones
MORE: dict[str, Json] = {
    "BI-Analyst-{y}Q": {"ManagedSoftwareIncluded": True},
    "poc-office-managed": {"ManagedSoftwareIncluded": True},
    "msix-dynamic-apps": {"DynamicAppProvidersEnabled": "ENABLED"},
}
# line's name -> account that sees it, its weeks, and what it may do there
SHARES: dict[str, list[tuple[str, int, int | None, bool, bool]]] = {
    "golden-win2022-{y}{m}{d}": [(PROD, 0, None, True, True), (LAB, 0, 7, True, False)],
    "golden-win2025-{y}{m}{d}": [(PROD, 2, None, False, True)],
    "golden-rocky8-{y}{m}{d}": [(LAB, 0, None, True, True)],
    "Finance-Desktop-RC-{y}-{m}": [(PROD, 0, None, True, False)],
    "cad-g5-v{v}": [(LAB, 5, 9, True, False)],
    "medical-imaging-{y}Q": [(DEV, 0, None, True, False), (STRANGER, 3, None, True, False)],
    "vendor-cad-trial-{y}{m}": [(LAB, 0, None, True, False)],
    "vendor-plm-connector-v{v}": [(PROD, 0, None, True, False), (DEV, 3, None, True, False)],
}
# code and message of the state, and the ImageErrors
FAILURES = [
    [
        "INTERNAL_ERROR",
        "Image creation failed due to an internal error. Try again.",
        "INTERNAL_SERVICE_ERROR: We encountered an internal error while creating your image.",
    ],
    [
        "IMAGE_BUILDER_NOT_AVAILABLE",
        "The image builder stopped before the image was created.",
        "FLEET_INSTANCE_PROVISIONING_FAILURE: The instance failed to provision: status check failed.",
        "NETWORK_INTERFACE_LIMIT_EXCEEDED: You have reached the limit of network interfaces in this VPC.",
    ],
    [
        "INTERNAL_ERROR",
        "Sysprep was not able to validate your Windows installation.",
        "VALIDATION_ERROR: Package Microsoft.BingSearch_1.1.43.0_x64 was installed for one user, but not for all.",
        "INTERNAL_SERVICE_ERROR: Image creation timed out.",
    ],
]
COPY_FAILURE = ["IMAGE_COPY_FAILURE", "Image copy failed.", "IMAGE_NOT_FOUND: The source image no longer exists."]
IMPORT_FAILURE = [
    "IMAGE_IMPORT_FAILURE",
    "The AMI cannot be imported.",
    "VALIDATION_ERROR: The boot mode of AMI ami-example is legacy-bios; uefi is needed.",
]
UPDATE_FAILURE = [
    "IMAGE_UPDATE_FAILURE",
    "The image could not be updated.",
    "INTERNAL_SERVICE_ERROR: Windows Update returned 0x800f0922.",
]


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the CSV files beside this script."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Line:
    """One product that an administrator keeps building: a name, a rhythm, a base, and what becomes of old versions.

    The columns of ``sample_lines.csv``. In `name`, `label` and `text`, ``{y} {m} {d}`` are the build's year, month and
    day, and ``{v}`` is its number, from `count` on; a name that ends in Q gets its quarter. `every` is in months, 0
    builds once; `keep` versions stay; `agent` is latest, a version, or pinned with the days for which the image
    builder has not been updated; the base is `stale` days older than it need be.
    """

    owner: str
    region: str
    name: str
    count: int
    os: str
    gpu: str
    sets: str
    first: date
    every: int
    keep: int
    agent: str
    stale: int
    label: str
    text: str


def lines() -> list[Line]:
    """Return everything that the three accounts and the vendor build by routine."""
    numbers = ("count", "every", "keep", "stale")
    found = []
    for row in table("sample_lines.csv"):
        typed: Json = dict(row) | {name: int(row[name]) for name in numbers}
        found.append(Line(**typed | {"owner": OWNERS[row["owner"]], "first": date.fromisoformat(row["first"])}))
    return found


AGENTS = {row["agent_version"]: date.fromisoformat(row["iso_date"]) for row in table("agent_versions.csv")}
NEWEST_AGENT = max(AGENTS, key=lambda version: AGENTS[version])
RELEASES = table("base_image_releases.csv")


def rng_of(name: str) -> Random:
    """Return the random numbers of one thing, so that a change to it leaves all others as they were."""
    return Random(f"{SEED} {name}")  # noqa: S311 - invented data, not a secret


def epoch(day: date, at: time = time(), milliseconds: int = 0) -> float:
    """Return the moment as AWS sends it: seconds since 1970, with a fraction."""
    moment = datetime.combine(day, at, UTC) + timedelta(milliseconds=milliseconds)
    return moment.timestamp()


def agent_of(day: date) -> str:
    """Return the newest agent that an image builder could have had on `day`."""
    return max((version for version, out in AGENTS.items() if out <= day), key=lambda version: AGENTS[version])


def base_day(os: str, gpu: str, day: date) -> date:
    """Return the release day of the newest base image for `os` and `gpu` on `day`."""
    label, first, last = LINES[os]
    kind = gpu.replace("-", " ") or "Base"
    days = [
        date.fromisoformat(row["release_date"])
        for row in RELEASES
        if row["platform"] == label and kind in row["image_types"].split(";")
    ]
    days = [out for out in days if first <= out <= last]
    days += [out for name in base_names() if name == base_name(os, gpu, out := release_day(name))]
    return max((out for out in days if out <= day), default=min(days))


def base_name(os: str, gpu: str, day: date) -> str:
    """Return a public image's name, as AWS composes it."""
    return "-".join(part for part in ("AppStream", gpu, os, f"{day:%m-%d-%Y}") if part)


def release_day(name: str) -> date:
    """Return the day in a public image's name."""
    month, day, year = map(int, name.split("-")[-3:])
    return date(year, month, day)


@cache
def base_names() -> list[str]:
    """Return the names of the public images that are, or were, the newest of their families."""
    names = [row["image_name"] for row in table("latest_public_base_images.csv")]
    return [name for name in names if release_day(name) <= WEEKS[-1]]


def driver(os: str, day: date) -> str:
    """Return a GRID driver version that fits the day."""
    branch = (
        538 if day < date(2025, 2, 1) else 553 if day < date(2025, 10, 1) else 573 if day < date(2026, 5, 1) else 582
    )
    return f"{branch}.{(day.month * 7) % 90 + 10}" + ("" if os.startswith("Win") else f".{day.day % 9 + 1:02}")


def applications() -> Json:
    """Return every application definition by key."""
    rows = enumerate(table("sample_applications.csv"))
    return {row["name"]: application(position, row) for position, row in rows} | elastic_applications()


def application(position: int, row: dict[str, str]) -> Json:
    """Return one application of an image, with nulls and absences as various as AWS's; SAPGUI@770 is another SAPGUI."""
    name, folder, parameters = row["name"], row["working_directory"], row["launch_parameters"]
    definition: Json = {"Name": name.partition("@")[0], "DisplayName": row["display_name"]}
    definition["LaunchPath"] = row["launch_path"]
    if parameters or position % 3 == 0:
        definition["LaunchParameters"] = parameters or None
    if folder:
        definition |= {"WorkingDirectory": folder, "Metadata": {"WORKING_DIRECTORY": folder}}
    elif position % 4 == 1:
        definition["Metadata"] = {"WORKING_DIRECTORY": None}
    elif position % 4 == 2:
        definition["Metadata"] = {}
    if name in {"SAPGUI", "Excel", "LinuxMATLAB"}:
        more = {"owner": "packaging", "ticket": f"PKG-{1200 + position}"}
        definition["Metadata"] = {"WORKING_DIRECTORY": folder or None} | more
    if position % 7 == 0:
        definition["Description"] = None
    return definition | {"Enabled": name not in {"Navision", "Kassenbuch", "Audacity"}}


def elastic_applications() -> Json:
    """Return applications that come from an app block, with what only those have."""
    path = r"C:\AppStream\AppBlocks\{}"
    kinds = [
        ("ElasticVSCode", "Visual Studio Code (elastic)", "vscode"),
        ("ElasticNotepad", "Notepad++ (elastic)", "npp"),
        ("ElasticPortableQGIS", "QGIS portable (elastic)", "qgis"),
    ]
    return {
        name: {
            "Name": name,
            "DisplayName": label,
            "LaunchPath": path.format(block) + r"\run.exe",
            "WorkingDirectory": path.format(block),
            "Description": f"From app block {block}",
            "Arn": f"arn:aws:appstream:{{region}}:{{account}}:application/{name}",
            "AppBlockArn": f"arn:aws:appstream:{{region}}:{{account}}:app-block/{block}",
            "IconS3Location": {"S3Bucket": "example-appblocks-icons", "S3Key": f"icons/{block}.png"},
            "Platforms": ["WINDOWS_SERVER_2019", "WINDOWS_SERVER_2022"],
            "InstanceFamilies": ["GENERAL_PURPOSE"],
            "Metadata": {},
            "Enabled": True,
            "CreatedTime": epoch(date(2025, 10, 10), time(9, 30), 125 + position),
        }
        for position, (name, label, block) in enumerate(kinds)
    }


def keys(sets: str) -> list[str]:
    """Return the application keys of the named sets, each once, set after set."""
    if sets == "elastic":
        return list(elastic_applications())
    rows = table("sample_applications.csv")
    return list(dict.fromkeys(row["name"] for name in sets.split() for row in rows if name in row["sets"].split()))


def record(
    owner: str | None, where: Json, image: Json, changes: Changes | None = None, shared: Json | None = None
) -> Json:
    """Return one line of the file."""
    found: Json = {"in": where, "owner": owner}
    if shared:
        found["shared"] = shared
    found["row"] = image
    if changes:
        found["changes"] = {str(week): changes[week] for week in sorted(changes)}
    return found


def public_images() -> Iterator[Json]:
    """Yield AWS's images: those that are or were the newest, then older ones that a region's list still has, or had."""
    for name in base_names():
        arrives = ARRIVALS.get(release_day(name), [0, 0, 0, 0])
        if "-G7-" in name:
            arrives = [1, 0, 1, 4]
        yield public(name, {region: [week, None] for region, week in zip(REGIONS, arrives, strict=True)})
    for os in ("WinServer2016", "WinServer2019", "WinServer2022"):
        for gpu in ("", "Graphics-G4dn", "Graphics-G5"):
            yield public(base_name(os, gpu, date(2025, 5, 30)), {EU: [0, 6], US: [0, 5], WEST: [0, 5], ASIA: [0, 8]})
    for os in ("RHEL8", "RockyLinux8"):
        for gpu in ("", "Graphics-G4dn", "Graphics-G5", "Graphics-G6"):
            yield public(base_name(os, gpu, date(2026, 2, 18)), {EU: [0, 3], US: [0, 2], WEST: [0, 2], ASIA: [0, 3]})
            yield public(
                base_name(os, gpu, date(2026, 4, 16)), {EU: [0, None], US: [0, 11], WEST: [0, None], ASIA: [0, None]}
            )


def public(name: str, where: Json) -> Json:
    """Return one of AWS's images; what it is follows from its name."""
    rng = rng_of(f"{name}")
    released = release_day(name)
    sample = "Sample" in name
    os = "WinServer2019" if sample else name.split("-")[-4]
    gpu = "-".join(name.split("-")[1:3]) if "Graphics" in name else ""
    agent = agent_of(released)
    image: Json = {
        "Name": name,
        "Arn": f"arn:aws:appstream:{{region}}::image/{name}",
        "DisplayName": name.replace("-", " ") if sample else name,
        "State": "AVAILABLE",
        "Visibility": "PUBLIC",
        "ImageBuilderSupported": True,
        "Platform": PLATFORMS[os],
        "Description": "Amazon AppStream 2.0 sample image with free applications" if sample else describe(os, gpu),
        "Applications": keys("sample") if sample else [],
        "CreatedTime": epoch(
            released - timedelta(days=rng.randint(2, 6)),
            time(rng.randint(15, 22), rng.randint(0, 59)),
            rng.randint(1, 59999),
        ),
        "PublicBaseImageReleasedDate": epoch(released),
        "AppstreamAgentVersion": agent,
        "ImagePermissions": {"allowFleet": True, "allowImageBuilder": True},
        "LatestAppstreamAgentVersion": "TRUE" if agent == NEWEST_AGENT else "FALSE",
        "SupportedInstanceFamilies": FAMILIES[gpu],
        "DynamicAppProvidersEnabled": "DISABLED",
        "ManagedSoftwareIncluded": False,
        "ImageType": "NATIVE",
    }
    if gpu:
        image["ImageSoftwareMetadata"] = {"nvidiaGridDriverVersion": driver(os, released)}
    return record(None, where, image)


def describe(os: str, gpu: str) -> str:
    """Return the description of a public base image."""
    label = {"RHEL8": "Red Hat Enterprise Linux 8", "RockyLinux8": "Rocky Linux 8"}.get(
        os, os.replace("WinServer", "Windows Server ")
    )
    return f"{label} base image" + (
        f" for {gpu.replace('-', ' ').lower().replace('g', 'G', 1)} instances" if gpu else ""
    )


def week_of(day: date) -> int:
    """Return the first week whose state knows what happened on `day`; 13 when none does."""
    return next((index for index, monday in enumerate(WEEKS) if day <= monday), len(WEEKS))


def builds(line: Line, rng: Random) -> list[date]:
    """Return the days on which the line was built, until the newest week."""
    if not line.every:
        return [line.first]
    days, month = [], line.first.year * 12 + line.first.month - 1
    while (start := date(month // 12, month % 12 + 1, min(line.first.day, 25))) <= WEEKS[-1]:
        days.append(start + timedelta(days=rng.randint(0, 3)))
        if rng.random() < 0.35:
            days[-1] -= timedelta(days=days[-1].weekday())  # on a Monday it is still being built when the week is read
        month += line.every
    return [day for day in days if line.first - timedelta(days=6) <= day <= WEEKS[-1]]


def private_images(line: Line) -> Iterator[Json]:
    """Yield a line's images that are listed in at least one of the weeks."""
    rng = rng_of(f"{line.owner} {line.region} {line.name}")
    days = builds(line, rng)
    for number, day in enumerate(days):
        successor = number + line.keep
        gone = days[successor] + timedelta(days=rng.randint(1, 9)) if line.every and successor < len(days) else None
        until = None if gone is None or week_of(gone) == len(WEEKS) else week_of(gone)
        if until != 0 and until != week_of(day):
            yield from built(line, number, day, until, rng)


def built(line: Line, number: int, day: date, until: int | None, rng: Random) -> Iterator[Json]:
    """Yield the record of one build; before it a failed attempt, now and then."""
    start = week_of(day)
    image = private(line, number, day, rng)
    if start and day.weekday() and rng.random() < 0.13 and (until is None or until > start + 1):
        yield record(line.owner, {line.region: [start, start + 1]}, failed(image, rng.choice(FAILURES)))
        day, start = day + timedelta(days=7), start + 1
        if start == len(WEEKS):
            return
        image = image | {"CreatedTime": created(day, rng)}
    changes: Changes = {}
    if day in WEEKS:
        changes[start + 1] = {name: image[name] for name in ("State", "Applications", "ImageBuilderSupported")}
        image = image | {"State": "PENDING", "Applications": [], "ImageBuilderSupported": False}
    if until and until - 1 > start + 1 and rng.random() < 0.3:
        changes[until - 1] = {"State": "DELETING"}
    changes = {week: change for week, change in changes.items() if week < len(WEEKS)}
    shared = shares(line, start, until)
    yield record(
        line.owner, {line.region: [start, until]}, image, changes | shared_flag(image, shared, start, changes), shared
    )


def shares(line: Line, start: int, until: int | None) -> Json:
    """Return who else sees the image, in which of its weeks."""
    last = len(WEEKS) if until is None else until
    found = {}
    for account, first, end, fleet, builder in SHARES.get(line.name, []):
        stop = min(last, len(WEEKS) if end is None else end)
        if max(start, first) < stop:
            weeks = [max(start, first), None if stop == len(WEEKS) else stop]
            found[account] = {"weeks": weeks, "permissions": {"allowFleet": fleet, "allowImageBuilder": builder}}
    return found


def shared_flag(image: Json, shared: Json, start: int, changes: Changes) -> Changes:
    """Return `changes` with the owner's flag that says the image is shared, from when to when."""
    if not shared:
        return changes
    first = min(share["weeks"][0] for share in shared.values())
    stops = [share["weeks"][1] for share in shared.values()]
    image["ImageSharedWithOthers"] = "TRUE" if first == start else "FALSE"
    changes = dict(changes)
    if first > start:
        changes[first] = {**changes.get(first, {}), "ImageSharedWithOthers": "TRUE"}
    if None not in stops and (stop := max(stops)) < len(WEEKS):
        changes[stop] = {**changes.get(stop, {}), "ImageSharedWithOthers": "FALSE"}
    return changes


def created(day: date, rng: Random) -> float:
    """Return a moment of that day's morning, to the millisecond."""
    return epoch(day, time(rng.randint(6, 11), rng.randint(0, 59), rng.randint(0, 59)), rng.randint(1, 999))


def private(line: Line, number: int, day: date, rng: Random) -> Json:
    """Return a private image as it is when its build has succeeded."""
    words = {"y": f"{day:%Y}", "m": f"{day:%m}", "d": f"{day:%d}", "v": line.count + number}
    name = line.name.format(**words) + (str((day.month + 2) // 3) if line.name.endswith("Q") else "")
    released = base_day(line.os, line.gpu, day - timedelta(days=10 + line.stale))
    policy, _, lag = line.agent.partition(" ")
    agent = agent_of(day - timedelta(days=int(lag))) if lag else {"latest": "LATEST"}.get(policy, policy)
    image: Json = {
        "Name": name,
        "Arn": f"arn:aws:appstream:{line.region}:{line.owner}:image/{name}",
        "BaseImageArn": f"arn:aws:appstream:{line.region}::image/{base_name(line.os, line.gpu, released)}",
        "DisplayName": line.label.format(**words) if line.label else None if rng.random() < 0.3 else name,
        "State": "AVAILABLE",
        "Visibility": "PRIVATE",
        "ImageBuilderSupported": True,
        "ImageBuilderName": f"ib-{name.lower().replace('_', '-')[:40]}",
        "Platform": PLATFORMS[line.os],
        "Description": line.text.format(**words) if line.text else None,
        "Applications": pick(line, rng),
        "CreatedTime": created(day, rng),
        "PublicBaseImageReleasedDate": epoch(released),
        "AppstreamAgentVersion": agent,
        "LatestAppstreamAgentVersion": "TRUE" if agent in ("LATEST", NEWEST_AGENT) else "FALSE",
        "SupportedInstanceFamilies": FAMILIES[line.gpu],
        "DynamicAppProvidersEnabled": "DISABLED",
        "ImageSharedWithOthers": "FALSE",
        "ManagedSoftwareIncluded": False,
        "ImageType": "NATIVE",
    }
    if line.gpu and day >= date(2025, 6, 1):
        image["ImageSoftwareMetadata"] = {"nvidiaGridDriverVersion": driver(line.os, released)}
    return vary(image | MORE.get(line.name, {}), rng)


def pick(line: Line, rng: Random) -> list[str]:
    """Return the applications of one build: nearly all of its sets, so that versions differ a little."""
    every = keys(line.sets)
    return [key for key in every if len(every) < 4 or rng.random() > 0.04]


def vary(image: Json, rng: Random) -> Json:
    """Return the image with members that are null, or not sent at all, here and there."""
    if image["Description"] is None and rng.random() < 0.4:
        del image["Description"]
    if image["DisplayName"] is None and rng.random() < 0.5:
        del image["DisplayName"]
    if rng.random() < 0.15:
        image["ImagePermissions"] = None
    if rng.random() < 0.1:
        image["StateChangeReason"] = None
    if rng.random() < 0.3:
        image["ImageErrors"] = []
    return image


def failed(image: Json, failure: list[str]) -> Json:
    """Return the image as a build that did not work out."""
    code, message, *errors = failure
    members = [error.split(": ", 1) for error in errors]
    return image | {
        "State": "FAILED",
        "ImageBuilderSupported": False,
        "Applications": [],
        "StateChangeReason": {"Code": code, "Message": message},
        "ImageErrors": [
            {
                "ErrorCode": code,
                "ErrorMessage": message,
                "ErrorTimestamp": round(image["CreatedTime"] + 1987.25 * number, 3),
            }
            for number, (code, message) in enumerate(members, 1)
        ],
    }


def specials(records: list[Json]) -> Iterator[Json]:
    """Yield the images that no routine makes."""
    for of_records in (copies, updates, children):
        yield from of_records(records)
    for made_up in (imports, unusual, contradictory, ancient, rebuilt):
        yield from made_up()


def find(records: list[Json], region: str, name: str) -> Json:
    """Return the image of that name, which must exist."""
    return next(row["row"] for row in records if row["row"]["Name"] == name and region in row["in"])


def copies(records: list[Json]) -> Iterator[Json]:
    """Yield production's copies in us-west-2, kept for disaster recovery; a new one is still being copied."""
    rng = rng_of("copies")
    for row in records:
        image = row["row"]
        if (
            row["owner"] == PROD
            and US in row["in"]
            and image["Name"].startswith(("Finance-Desktop-US-", "support-desk-v"))
        ):
            start, until = row["in"][US]
            copied_in = start + 1 if start else 0
            if image["State"] != "FAILED" and copied_in < (until or len(WEEKS)):
                yield record(PROD, {WEST: [copied_in, until]}, *copied(row, copied_in, rng))


def copied(row: Json, start: int, rng: Random) -> tuple[Json, Changes]:
    """Return the copy of a record's image, and that it becomes available if it was made in one of the weeks."""
    image = dict(row["row"])
    for change in row.get("changes", {}).values():
        image |= change
    image |= {
        "Arn": image["Arn"].replace(US, WEST),
        "BaseImageArn": image["BaseImageArn"].replace(US, WEST),
        "ImageBuilderName": None,
        "Description": f"DR copy from {US}",
        "CreatedTime": round(image["CreatedTime"] + 86400 * 2 + rng.random() * 9000, 3),
        "State": "COPYING" if start else "AVAILABLE",
    }
    return image, {start + 1: {"State": "AVAILABLE"}} if 0 < start < len(WEEKS) - 1 else {}


def plain(owner: str, region: str, name: str, day: date, **members: Any) -> Json:
    """Return a private image of which little is known but its name."""
    return {
        "Name": name,
        "Arn": f"arn:aws:appstream:{region}:{owner}:image/{name}",
        "DisplayName": name,
        "State": "AVAILABLE",
        "Visibility": "PRIVATE",
        "ImageBuilderSupported": True,
        "Platform": "WINDOWS_SERVER_2022",
        "Applications": [],
        "CreatedTime": created(day, rng_of(f"{owner} {region} {name}")),
        "AppstreamAgentVersion": "LATEST",
        "LatestAppstreamAgentVersion": "TRUE",
        "SupportedInstanceFamilies": FAMILIES[""],
        "DynamicAppProvidersEnabled": "DISABLED",
        "ImageSharedWithOthers": "FALSE",
        "ImageType": "NATIVE",
    } | members


def one(weeks: Sequence[int | None], image: Json, changes: Changes | None = None) -> Json:
    """Return the record of an image that is in one region only; owner and region are in its ARN."""
    _, _, _, region, owner, _ = image["Arn"].split(":")
    return record(owner, {region: list(weeks)}, image, changes)


def based(region: str, os: str, gpu: str, day: date) -> Json:
    """Return the members that name a public base image and what follows from it."""
    name = base_name(os, gpu, day)
    return {
        "BaseImageArn": f"arn:aws:appstream:{region}::image/{name}",
        "PublicBaseImageReleasedDate": epoch(day),
        "Platform": PLATFORMS[os],
        "SupportedInstanceFamilies": FAMILIES[gpu],
    }


def imports() -> Iterator[Json]:
    """Yield images imported from an AMI; they have no base image of AppStream's."""
    custom: Json = {"ImageType": "CUSTOM", "ImageBuilderName": None} | dict.fromkeys(
        ["BaseImageArn", "PublicBaseImageReleasedDate"]
    )
    custom["SupportedInstanceFamilies"] = ["GENERAL_PURPOSE", "COMPUTE", "MEMORY", "ACCELERATED"]
    early: Json = custom | {"State": "IMPORTING", "ImageBuilderSupported": False}
    byol: Json = early | {"ImageType": "BYOL", "Platform": "WINDOWS_11"}
    ready: Json = {"State": "AVAILABLE", "ImageBuilderSupported": True, "Applications": keys("browser admin")}
    day = date(2026, 10, 20)
    yield one([8, 10], failed(plain(DEV, EU, "win11-byol-import-01", day, **byol), IMPORT_FAILURE))
    second = plain(DEV, EU, "win11-byol-import-02", date(2026, 11, 2), **byol)
    yield one([9, None], second, {10: {"State": "VALIDATING"}, 11: ready})
    yield one([12, None], plain(PROD, EU, "win11-shopfloor-byol", date(2026, 11, 23), **byol))
    server = early | {"State": "VALIDATING", "Platform": "WINDOWS_SERVER_2025"}
    yield one([12, None], plain(PROD, US, "win2025-imported-golden", date(2026, 11, 20), **server))
    ubuntu = custom | {"Platform": "UBUNTU_PRO_2404", "Description": "ROS 2 Jazzy, imported AMI"}
    ubuntu["Applications"] = keys("linux linuxscience")
    yield one([4, None], plain(LAB, WEST, "ubuntu2404-robotics", date(2026, 9, 22), **ubuntu))


def updates(records: list[Json]) -> Iterator[Json]:
    """Yield what managed image updates made: at first a failure, then a new image whose base is the old one."""
    old = find(records, EU, "win2019-legacy-erp")
    updated = dict(old) | {
        "Name": f"{old['Name']}-updated-2026-10",
        "Arn": f"{old['Arn']}-updated-2026-10",
        "BaseImageArn": old["Arn"],
        "ImageBuilderName": None,
        "CreatedTime": epoch(date(2026, 10, 12), time(7, 41, 3), 552),
        "AppstreamAgentVersion": NEWEST_AGENT,
        "LatestAppstreamAgentVersion": "TRUE",
        "Description": "Created by managed image update",
    }
    yield one([5, 6], failed(updated | {"CreatedTime": epoch(date(2026, 10, 2), time(8, 3), 17)}, UPDATE_FAILURE))
    early: Json = {"State": "CREATING", "Applications": None}
    yield one([6, None], updated | early, {7: {name: old[name] for name in early}})


def children(records: list[Json]) -> Iterator[Json]:
    """Yield images that were built on a private image."""
    parent = find(records, EU, "msix-dynamic-apps")
    for number, start, day in ((1, 0, date(2026, 7, 20)), (2, 3, date(2026, 9, 18))):
        name = f"child-of-msix-{number}"
        child = {"Name": name, "Arn": parent["Arn"].replace(parent["Name"], name), "BaseImageArn": parent["Arn"]}
        yield one([start, None], dict(parent) | child | {"CreatedTime": created(day, rng_of(name))})


def unusual() -> Iterator[Json]:
    """Yield an image for each thing that an administrator meets once: stuck, failed, half deleted."""
    day = date(2026, 11, 23)
    preview = based(EU, "WinServer2022", "", date(2025, 11, 10)) | {"State": "CREATING", "ImageBuilderSupported": False}
    yield one([12, None], plain(PROD, EU, "Finance-Desktop-2026-12-preview", day, **preview, Description=None))
    robotics = based(WEST, "WinServer2025", "Graphics-G7", date(2026, 8, 31)) | {"ImageBuilderName": "ib-lab-robotics"}
    yield one(
        [12, None], failed(plain(LAB, WEST, "Lab_Robotics_20261120", date(2026, 11, 20), **robotics), FAILURES[1])
    )
    hotfix = based(EU, "WinServer2022", "", date(2025, 11, 10)) | {"ImageBuilderName": "ib-hr-hotfix"}
    yield one(
        [11, None], failed(plain(PROD, EU, "HR-Desktop-2026-11-hotfix", date(2026, 11, 13), **hotfix), FAILURES[2])
    )
    yield one([10, 12], failed(plain(PROD, US, "dr-drill-2026", date(2026, 11, 6)), COPY_FAILURE))
    yield one([11, None], failed(plain(PROD, ASIA, "brisbane-copy-of-finance", date(2026, 11, 13)), COPY_FAILURE))
    copy = based(WEST, "WinServer2025", "Graphics-G6", date(2025, 12, 18)) | {
        "State": "COPYING",
        "ImageBuilderName": None,
    }
    yield one(
        [12, None], plain(PROD, WEST, "engineering-g6-dr", date(2026, 11, 23), **copy, ImageBuilderSupported=False)
    )
    forgotten: Json = {"BaseImageArn": None, "Applications": keys("basic"), "Description": None}
    forgotten |= {"AppstreamAgentVersion": "05-21-2024", "LatestAppstreamAgentVersion": "FALSE"}
    yield one(
        [0, None], plain(DEV, US, "cleanup-me-please", date(2024, 6, 5), **forgotten), {12: {"State": "DELETING"}}
    )


def contradictory() -> Iterator[Json]:
    """Yield images whose agent's version and flag contradict each other, which AWS does send."""
    base = based(ASIA, "WinServer2022", "", date(2025, 2, 11)) | {"Applications": keys("basic")}
    yield one(
        [0, None],
        plain(PROD, ASIA, "says-latest-is-not", date(2025, 3, 11), **base, AppstreamAgentVersion="03-05-2025"),
    )
    base = based(US, "WinServer2022", "", date(2025, 11, 10)) | {"Applications": keys("browser")}
    yield one(
        [0, None],
        plain(LAB, US, "latest-but-flagged-old", date(2026, 5, 19), **base, LatestAppstreamAgentVersion="FALSE"),
    )


def ancient() -> Iterator[Json]:
    """Yield an image made before AWS sent agents, families and sharing: it lacks those members."""
    base = based(ASIA, "WinServer2012R2", "", date(2019, 9, 18)) | {"Applications": keys("browser")}
    image = plain(LAB, ASIA, "phd-defense-2019", date(2019, 9, 30), **base, AppstreamAgentVersion="09-23-2019")
    for name in ("LatestAppstreamAgentVersion", "SupportedInstanceFamilies", "DynamicAppProvidersEnabled"):
        del image[name]
    yield one(
        [0, 10], {name: value for name, value in image.items() if name not in ("ImageSharedWithOthers", "ImageType")}
    )


def rebuilt() -> Iterator[Json]:
    """Yield an image that was deleted and built anew under its old name, hence under the same ARN."""
    for weeks, day, base, sets in (
        ([0, 5], date(2025, 12, 3), date(2025, 5, 30), "browser"),
        ([5, None], date(2026, 10, 1), date(2025, 11, 10), "browser basic"),
    ):
        agent = agent_of(day)
        flag = "TRUE" if agent == NEWEST_AGENT else "FALSE"
        members = based(EU, "WinServer2022", "", base) | {
            "AppstreamAgentVersion": agent,
            "LatestAppstreamAgentVersion": flag,
        }
        yield one(weeks, plain(PROD, EU, "callcenter-training", day, **members, Applications=keys(sets)))


# (region, name) -> week -> members that changed in place
EDITS: dict[tuple[str, str], dict[int, Json]] = {
    (EU, "quality-lims-2024"): {
        4: {
            "AppstreamAgentVersion": "LATEST",
            "LatestAppstreamAgentVersion": "TRUE",
            "Description": "Agent set to LATEST on 2026-09-25, CHG-4471",
        }
    },
    (EU, "Payroll-FR-paie"): {
        7: {"AppstreamAgentVersion": NEWEST_AGENT, "LatestAppstreamAgentVersion": "TRUE"},
        9: {
            "AppstreamAgentVersion": "09-18-2024",
            "LatestAppstreamAgentVersion": "FALSE",
            "Description": "Rollback: l’imprimante de Châteauroux",
        },
    },
    (EU, "travel-expense-2023"): {10: {"State": "DELETING"}},
    (US, "acquired-co-golden"): {
        6: {"Description": "To be retired by 2026-12-31", "DisplayName": "Acquired Co (frozen)"}
    },
    (ASIA, "mine-planning-g4dn"): {5: {"AppstreamAgentVersion": "LATEST", "LatestAppstreamAgentVersion": "TRUE"}},
    (EU, "msix-dynamic-apps"): {
        8: {"DynamicAppProvidersEnabled": "DISABLED", "Applications": [*keys("elastic"), *keys("basic")]}
    },
    (WEST, "autocad-2024-teaching"): {3: {"ImageBuilderSupported": False}},
    (US, "poc-office-managed"): {2: {"ImageSoftwareMetadata": None, "Applications": keys("office basic extras")}},
    (WEST, "stats-101-2022"): {11: {"State": "DELETING"}},
}
ENDS = {(EU, "travel-expense-2023"): 11, (WEST, "stats-101-2022"): 12, (US, "old-solidworks-2024"): 6}


def edit(row: Json) -> Json:
    """Return the record with the edits made in place and the end that somebody chose for it."""
    for region, name in [(region, row["row"]["Name"]) for region in row["in"]]:
        for week, members in EDITS.get((region, name), {}).items():
            row.setdefault("changes", {})[str(week)] = members
        if (region, name) in ENDS:
            row["in"][region][1] = ENDS[region, name]
    return row


def images() -> list[Json]:
    """Return the records of all images, AWS's own last."""
    routine = [row for line in lines() for row in private_images(line)]
    own = [edit(row) for row in [*routine, *specials(routine)]]
    return [*map(anywhere, sorted(own, key=lambda row: rng_of(row["row"]["Arn"]).random())), *public_images()]


def anywhere(row: Json) -> Json:
    """Return a private image's record with ``{region}`` and ``{account}`` in place of its region and its owner."""
    (region,), owner = row["in"], row["owner"]
    written = json.dumps(row["row"]).replace(f":{region}:{owner}:", ":{region}:{account}:")
    return row | {"row": json.loads(written.replace(f":{region}::", ":{region}::"))}
