"""The sandbox's other operations over real sockets: fleets, image builders, stacks, shares and the Elastic side."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.asking import ONCE, error_code, post
from support.catalogue import images_of, rows_of
from support.sources_of import DEV, LAB, PROD

import appstream_frames as asf
from appstream_frames.emulator.catalogue import read_catalogue
from appstream_frames.tables.schema import load_model

WEEKS = range(13)
OPERATIONS = {
    "describe_fleets": "Fleets",
    "describe_image_builders": "ImageBuilders",
    "describe_stacks": "Stacks",
    "list_associated_fleets": "Names",
    "describe_image_permissions": "SharedImagePermissionsList",
    "describe_applications": "Applications",
    "describe_app_blocks": "AppBlocks",
    "describe_app_block_builders": "AppBlockBuilders",
    "describe_application_fleet_associations": "ApplicationFleetAssociations",
    "describe_usage_report_subscriptions": "UsageReportSubscriptions",
}
NEEDED = {
    "list_associated_fleets": {"StackName": "workbench"},
    "describe_image_permissions": {"Name": "golden-win2022-20260905"},
    "describe_application_fleet_associations": {"FleetName": "elastic-trial"},
}
#: Fleets that stand on an image which their account does not see, and the weeks in which that is so.
DANGLING = {
    "plm-connector": {6, 7},  # the vendor deleted the version
    "kiosk-entrance": set(range(6, 13)),  # AWS retired the image
    "cad-trial": set(range(9, 13)),  # the trial is over
    "teaching-golden": set(range(7, 13)),  # the share was withdrawn
    "cad-guests": {9},  # the share was withdrawn, the fleet deleted a week later
}


def everything(client: Any, operation: str, **request: Any) -> list[Any]:
    """Return every row by following the tokens."""
    rows, more = [], {}
    while True:
        page = getattr(client, operation)(**request, **more)
        rows += page[OPERATIONS[operation]]
        if "NextToken" not in page:
            return rows
        more = {"NextToken": page["NextToken"]}


def keys(rows: list[Any]) -> list[str]:
    """Return what tells rows apart, however botocore parsed their members."""
    return [json.dumps(row, default=str) for row in rows]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_row_comes_once_in_pages_of_any_size(operation):
    """Pages of one row and of 25 give the same rows."""
    with asf.sandbox() as running:
        client, request = running.client(DEV, "us-east-1" if "usage" in operation else None), NEEDED.get(operation, {})
        whole = everything(client, operation, **request)
        running.page_size(1)
        assert keys(everything(client, operation, **request)) == keys(whole)
        assert whole


@pytest.mark.parametrize("operation", ["describe_fleets", "describe_image_builders", "describe_stacks"])
def test_names_select_and_missing_ones_are_an_error(client, operation):
    """Names gives the named rows; a name that leads nowhere is ResourceNotFoundException."""
    call, rows = getattr(client, operation), everything(client, operation)
    assert [row["Name"] for row in call(Names=[rows[1]["Name"]])[OPERATIONS[operation]]] == [rows[1]["Name"]]
    assert error_code(call, Names=["nothing"]) == "ResourceNotFoundException"


def test_associations_are_of_their_stack(client):
    """Each stack shows its own fleets, some fleets have two stacks, and a new stack has none."""
    edges = {
        stack["Name"]: set(client.list_associated_fleets(StackName=stack["Name"])["Names"])
        for stack in everything(client, "describe_stacks")
    }
    assert edges["office"] == {"finance-prod", "hr-desktop", "procurement", "legal"}
    assert "finance-prod" in edges["finance"]
    assert edges["pilot-2027"] == set()


def test_permissions_are_of_the_owner_s_image(box):
    """The owner sees with whom it shares, a stranger among them; whoever does not own the image finds nothing."""
    owner = box.client(LAB, "us-east-1", config=ONCE)
    shared = owner.describe_image_permissions(Name="medical-imaging-2026Q1")
    assert shared["Name"] == "medical-imaging-2026Q1"
    assert [each["sharedAccountId"] for each in shared["SharedImagePermissionsList"]] == [DEV, "888899990000"]
    assert owner.describe_image_permissions(Name="summer-school-2026-10")["SharedImagePermissionsList"] == []
    consumer = box.client(DEV, "us-east-1", config=ONCE)
    assert error_code(consumer.describe_image_permissions, Name="medical-imaging-2026Q1") == "ResourceNotFoundException"


def test_permissions_of_chosen_accounts(box):
    """SharedAwsAccountIds selects; an account with which nothing is shared is no error."""
    found = box.client(LAB, "us-east-1").describe_image_permissions(
        Name="medical-imaging-2026Q1", SharedAwsAccountIds=[DEV, PROD]
    )
    assert [each["sharedAccountId"] for each in found["SharedImagePermissionsList"]] == [DEV]


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if "app" in name.split("_")[1]])
def test_elastic_operations_are_not_permitted_everywhere(box, operation):
    """In Sydney the sandbox offers no Elastic fleets."""
    sydney = box.client(region="ap-southeast-2", config=ONCE)
    assert error_code(getattr(sydney, operation), **NEEDED.get(operation, {})) == "OperationNotPermittedException"


def test_an_association_needs_a_fleet_or_an_application(client):
    """Neither is an error of the model's."""
    assert error_code(client.describe_application_fleet_associations) == "InvalidParameterCombinationException"


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("DescribeFleets", {"Names": "a"}),
        ("DescribeFleets", {"NextToken": "x"}),
        ("ListAssociatedFleets", {}),
        ("DescribeImagePermissions", {"Name": "a", "MaxResults": 501}),
        ("DescribeImagePermissions", {"Name": "-"}),
        ("DescribeImagePermissions", {"Name": "a", "SharedAwsAccountIds": ["1"] * 6}),
        ("DescribeUserStackAssociations", {"UserName": "a b", "AuthenticationType": "USERPOOL"}),
        ("DescribeUserStackAssociations", {"UserName": "a" * 129, "AuthenticationType": "USERPOOL"}),
        ("DescribeApplicationFleetAssociations", {"ApplicationArn": "not an arn"}),
    ],
)
def test_what_the_model_forbids_is_refused(box, operation, request_):
    """Each operation has its own model's types, ranges and patterns."""
    reply = post(box, json.dumps(request_), target=f"PhotonAdminProxyService.{operation}")[2]
    assert reply["__type"] == "ValidationException"


def test_a_pattern_of_letters_in_any_script_is_kept(client):
    """The model's own classes of letters are none of Python's."""
    reply = client.describe_user_stack_associations(UserName="müller@例.jp", AuthenticationType="USERPOOL")
    assert reply["UserStackAssociations"] == []


def test_a_token_is_of_its_operation(box):
    """A token of one operation does not continue another."""
    with asf.sandbox() as running:
        running.page_size(1)
        client = running.client(config=ONCE)
        token = client.describe_fleets()["NextToken"]
        assert error_code(client.describe_stacks, NextToken=token) == "ValidationException"


# controls


def test_a_fault_can_be_of_one_operation():
    """A denied DescribeFleets leaves images alone, names what is denied, and counts before a fault of the target."""
    with asf.sandbox() as running:
        client = running.client(config=ONCE)
        running.fault(kind="throttled", operation="DescribeStacks")
        running.fault(kind="denied", operation="DescribeFleets")
        running.fault(PROD, "eu-west-1", "server_error", times=1)
        with pytest.raises(client.exceptions.ClientError, match=r"AccessDenied.*appstream:DescribeFleets"):
            client.describe_fleets()
        assert error_code(client.describe_stacks) == "ThrottlingException"
        assert error_code(client.describe_images) == "InternalFailure"
        assert client.describe_images()["Images"]


def test_requests_are_counted_by_operation():
    """Every service's operations are counted, AppStream's with those that failed."""
    with asf.sandbox() as running:
        running.fail_next()
        client = running.client(config=ONCE)
        error_code(client.describe_fleets)
        client.describe_fleets()
        client.describe_stacks()
        running.client(service="sts").get_caller_identity()
        assert running.requests == {"DescribeFleets": 2, "DescribeStacks": 1, "GetCallerIdentity": 1}
        assert running.calls == 3


def test_rows_can_be_set_for_one_target():
    """Rows that were set are served to their target, filtered and paged; others get the catalogue's."""
    with asf.sandbox() as running:
        rows = [{"Name": f"fleet-{number}", "Arn": f"arn:aws:appstream:x:1:fleet/{number}"} for number in range(30)]
        running.set_rows("DescribeFleets", rows, account=DEV)
        own = everything(running.client(DEV), "describe_fleets")
        assert [row["Name"] for row in own] == [row["Name"] for row in rows]
        assert len(running.client(DEV).describe_fleets(Names=["fleet-7"])["Fleets"]) == 1
        assert everything(running.client(LAB), "describe_fleets")[0]["Name"] == "erasmus"
        assert running.rows("DescribeFleets", DEV) == rows


@pytest.mark.parametrize("call", ["set_rows", "rows"])
def test_an_operation_that_lists_nothing_is_refused(box, call):
    """The error names one that does."""
    with pytest.raises(asf.RequestError, match="such as 'DescribeFleets'"):
        getattr(box, call)("CreateFleet", [])
    with pytest.raises(asf.RequestError, match="such as 'DescribeFleets'"):
        box.fault(kind="denied", operation="DescribeFleet")


def test_a_function_can_answer():
    """It sees operation, target and request, and leaves what it does not answer to the sandbox."""
    with asf.sandbox() as running:
        seen = []
        running.respond_with(lambda *asked: seen.append(asked))
        assert running.client().describe_stacks(Names=["office"])["Stacks"]
        assert seen == [("DescribeStacks", PROD, "eu-west-1", {"Names": ["office"]})]


def test_revoked_keys_are_refused_until_they_are_not():
    """AppStream and STS refuse them, each in its own words."""
    with asf.sandbox() as running:
        running.revoke(PROD)
        assert error_code(running.client(config=ONCE).describe_images) == "UnrecognizedClientException"
        assert error_code(running.client(service="sts").get_caller_identity) == "InvalidClientTokenId"
        running.revoke(PROD, False)
        assert running.client().describe_images()["Images"]


# the catalogue


def targets() -> list[tuple[str, str]]:
    return [(account, region) for account in read_catalogue()["accounts"] for region in read_catalogue()["regions"]]


def test_fleets_stand_on_images_that_their_account_sees():
    """But for those that are meant to dangle, and for Elastic ones, which have no image."""
    dangling: dict[str, set[int]] = {}
    for week in WEEKS:
        for target in targets():
            seen = {image["Name"] for image in images_of(*target, week) if image["State"] != "PENDING"}
            for fleet in rows_of("DescribeFleets", *target, week):
                if fleet["FleetType"] != "ELASTIC" and fleet["ImageName"] not in seen:
                    dangling.setdefault(fleet["Name"], set()).add(week)
    assert dangling == DANGLING


def test_edges_lead_to_fleets_and_stacks():
    """Every association is between a stack and a fleet of that week."""
    for week in WEEKS:
        for account, region in targets():
            names = {row["Name"] for row in rows_of("DescribeFleets", account, region, week)}
            assert names >= set(rows_of("ListAssociatedFleets", account, region, week))
    rows = rows_of("DescribeApplicationFleetAssociations", PROD, "eu-west-1", 12)
    assert {row["FleetName"] for row in rows} == {"elastic-tools"}


def test_every_kind_of_fleet_and_state_occurs():
    """Always-on, on-demand and Elastic fleets, running and stopped, with errors and without."""
    fleets = [fleet for target in targets() for fleet in rows_of("DescribeFleets", *target, 12)]
    assert {fleet["FleetType"] for fleet in fleets} == {"ALWAYS_ON", "ON_DEMAND", "ELASTIC"}
    assert {fleet["State"] for fleet in fleets} == {"RUNNING", "STOPPED"}
    assert [fleet["Name"] for fleet in fleets if fleet["FleetErrors"]] == ["quality-lims", "autocad-teaching"]


def test_fleets_move_and_an_image_falls_out_of_use():
    """finance-prod takes each new image a week later; nobody stands on the travel image after its fleet has gone."""

    def images(week: int, name: str) -> set[str]:
        return {
            fleet.get("ImageName")
            for fleet in rows_of("DescribeFleets", PROD, "eu-west-1", week)
            if fleet["Name"] == name
        }

    months = [min(images(week, "finance-prod"))[-2:] for week in (0, 4, 9)]
    assert months == ["08", "09", "10"]
    assert [images(week, "travel-expense") for week in (6, 7)] == [{"travel-expense-2023"}, set()]


def test_rows_fit_the_model():
    """Every row of every operation validates as botocore parses it: members, enums, nesting."""
    for operation, records in read_catalogue()["operations"].items():
        output = load_model().operation_model(operation).output_shape
        shape = next(member.member for member in output.members.values() if member.type_name == "list")
        for record in records:
            rows = [record["row"], *record.get("changes", {}).values()]
            found = [each for row in rows for each in unknown(row, shape)]
            assert operation == "DescribeImages" or found == []


def test_rows_may_hold_half_of_a_surrogate_pair(box: asf.sandbox) -> None:
    """JSON can escape it, so AWS may send it; the sandbox sends it so."""
    box.set_rows("DescribeImages", [{"Name": "a\ud800"}])
    frames = asf.drain(box.client())
    assert frames.images["unmodeled"].to_list() == ['{"Name":"a\\ud800"}']


def unknown(value: Any, shape: Any) -> list[str]:
    """Return the members and values that the model does not have."""
    if isinstance(value, dict) and shape.type_name == "structure":
        extra = [name for name in value if name not in shape.members]
        return extra + [
            each for name in value if name in shape.members for each in unknown(value[name], shape.members[name])
        ]
    if isinstance(value, list):
        return [each for part in value for each in unknown(part, shape.member)]
    return [str(value)] if value is not None and getattr(shape, "enum", None) and value not in shape.enum else []
