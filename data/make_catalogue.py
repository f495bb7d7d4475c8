"""Write ``catalogue.json``: what the sandbox serves. The same seed gives the same bytes, on any machine.

Run it with ``python data/make_catalogue.py``. The images come from ``catalogue_images.py``,
who uses them from ``catalogue_users.py``.

The file is one JSON object:

weeks
    Thirteen Mondays, ISO dates. Elsewhere a week is its index in this list: 0 is the oldest, 12 the newest state.
regions, accounts
    Lists of strings. The first of each is the sandbox's default: the target with the most private images.
not_elastic
    Regions where AppStream refuses the operations of Elastic fleets.
applications
    ``{key: Application}``, the applications of images, each as the API sends it, without `IconURL`: an icon's URL is made
    when it is served, unless the key is here.
operations
    ``{API operation: [record, …]}``, one record a line::

        {"in": {region: [from, until], …},      the weeks in which the row is listed; until is null or exclusive
         "owner": account or null,              null for AWS's own images, which every account sees
         "shared": {account: {"weeks": [from, until], "permissions": {…}}, …},      of images only
         "of": {parameter: value},              the request that the row answers, say {"StackName": "finance"}
         "row": {…},                            a row as the API sends it; an image's Applications are keys of `applications`
         "changes": {week: {…}, …}}             members with another value since that week; two changes add up

    A record with the same ARN as another one is a rebuild; their weeks never overlap.

``{region}`` and ``{account}`` in any text stand for those of the row.
"""

from __future__ import annotations

import json
from pathlib import Path

from catalogue_images import ACCOUNTS, REGIONS, WEEKS, Json, applications, images
from catalogue_users import NOT_ELASTIC, users

HERE = Path(__file__).resolve().parent


def catalogue() -> Json:
    """Return the whole catalogue."""
    found = images()
    return {
        "weeks": [str(week) for week in WEEKS],
        "regions": REGIONS,
        "accounts": ACCOUNTS,
        "not_elastic": NOT_ELASTIC,
        "applications": applications(),
        "operations": {"DescribeImages": found} | users(found),
    }


def text(content: Json) -> str:
    """Return the catalogue as JSON with one application or record a line, so that a change reads well in a diff."""
    short = ("weeks", "regions", "accounts", "not_elastic")
    parts = [f'"{name}": {json.dumps(content[name])}' for name in short]
    apps = (f" {json.dumps(key)}: {compact(value)}" for key, value in content["applications"].items())
    parts.append('"applications": {\n' + ",\n".join(apps) + "\n}")
    tables = (f'"{name}": [\n' + ",\n".join(map(compact, rows)) + "\n]" for name, rows in content["operations"].items())
    parts.append('"operations": {\n' + ",\n".join(tables) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def compact(value: Json) -> str:
    """Return one line of JSON, letters as they are."""
    return json.dumps(value, ensure_ascii=False)


def main(path: Path = HERE / "catalogue.json") -> None:
    """Write the file."""
    path.write_text(text(catalogue()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
