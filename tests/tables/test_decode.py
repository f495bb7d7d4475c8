"""Flattening: nothing lost, types that never depend on content."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from functools import partial
from random import Random
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rebuild import canonical, rebuilt
from support.strangers import row

from appstream_frames.tables.decode import Group, Key, decode, decode_groups
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.tables.schema import list_tables

KEY = Key(dt.datetime(2026, 11, 23, 10, 15, tzinfo=dt.UTC), "012345678901", "eu-west-1")
ARN = "arn:aws:appstream:eu-west-1:012345678901:image/a"


def made(*sent: dict[str, Any] | bytes) -> dict[str, pa.Table]:
    return decode([image if isinstance(image, bytes) else json.dumps(image).encode() for image in sent], KEY)


def value(column: str, *sent: dict[str, Any] | bytes, table: str = "images") -> Any:
    return made(*sent)[table].column(column).to_pylist()[0]


@pytest.mark.slow
@given(st.integers(0, 2**63), st.sampled_from([name for name in OPERATIONS if name != "ListAssociatedFleets"]))
def test_columns_and_unmodeled_give_the_reply_back(seed: int, operation: str) -> None:
    """Whatever AWS sends, typed columns and `unmodeled` hold all of it, of every operation."""
    random = Random(seed)
    sent = [
        json.dumps(row(random, operation), ensure_ascii=random.random() < 0.5).encode("utf-8", "backslashreplace")
        for _ in range(25)
    ]
    for text, tables in zip(sent, decode_groups([Group([text], KEY) for text in sent], operation), strict=True):
        assert canonical(rebuilt(tables), operation) == canonical(json.loads(text), operation)


@given(st.integers(0, 2**63))
def test_types_never_depend_on_content(seed: int) -> None:
    """Any batch has the schemas of the model."""
    random = Random(seed)
    for name, table in made(*(row(random) for _ in range(random.randrange(5)))).items():
        assert table.schema == list_tables()[name].schema


@pytest.mark.parametrize("name", ["images", "applications", "errors"])
def test_an_empty_batch_has_all_columns(name: str) -> None:
    """No images make tables without rows and with every column."""
    assert made()[name].schema == list_tables()[name].schema


def test_an_ordinary_image_leaves_unmodeled_null() -> None:
    """What the model knows never shows up in `unmodeled`, explicit nulls and empty lists included."""
    assert value("unmodeled", {"Name": "a", "Description": None, "Applications": [], "StateChangeReason": {}}) is None


def test_a_structure_spreads_into_its_parent() -> None:
    """`StateChangeReason.Code` is the column `state_change_reason_code`."""
    assert value("state_change_reason_code", {"StateChangeReason": {"Code": "INTERNAL_ERROR"}}) == "INTERNAL_ERROR"


def test_an_unknown_member_is_kept_verbatim() -> None:
    """Numbers in unknown members keep their spelling."""
    sent = b'{"Name": "a", "New": {"Price": 1.10, "Big": 12345678901234567890123, "Huge": 1e999}}'
    assert value("unmodeled", sent) == '{"New":{"Price":1.10,"Big":12345678901234567890123,"Huge":1e999}}'


def test_an_unknown_member_of_an_application_is_kept_in_its_row() -> None:
    """Each application has an `unmodeled` of its own."""
    assert value("unmodeled", {"Applications": [{"Name": "x", "New": [1]}]}, table="applications") == '{"New":[1]}'


def test_an_unknown_null_is_kept() -> None:
    """A member the model does not know is reported even when it is null."""
    assert value("unmodeled", {"New": None}) == '{"New":null}'


@pytest.mark.parametrize("sent", ["red", None, {}])
def test_a_member_called_like_our_own_column_is_unknown(sent: object) -> None:
    """What AWS sent cannot pass for what we keep."""
    kept = value("unmodeled", {"Name": "a", "_unmodeled": sent})
    assert json.loads(kept) == {"_unmodeled": sent}


def test_a_value_of_the_wrong_type_leaves_its_column_null() -> None:
    """A number where a name belongs is no name."""
    assert value("name", {"Name": 5}) is None


def test_a_value_of_the_wrong_type_is_kept() -> None:
    """A number where a name belongs is in `unmodeled`."""
    assert value("unmodeled", {"StateChangeReason": {"Code": 5}}) == '{"StateChangeReason":{"Code":5}}'


def test_a_map_with_a_null_value_comes_through_whole() -> None:
    """The map that breaks Go tools is a map here."""
    sent = {"Applications": [{"Name": "x", "Metadata": {"WORKING_DIRECTORY": None}}]}
    assert value("metadata", sent, table="applications") == [("WORKING_DIRECTORY", None)]


def test_a_year_60000_is_kept_beside_a_null_column() -> None:
    """A time that no calendar type can show is kept as AWS wrote it."""
    assert value("unmodeled", {"CreatedTime": 1831334400000}) == '{"CreatedTime":1831334400000}'


def test_a_time_finer_than_microseconds_is_rounded_and_kept() -> None:
    """The column has the microsecond, `unmodeled` has the rest."""
    tables = made(b'{"CreatedTime": 1617300000.1234567}', b'{"CreatedTime": 1617300000.5}')
    assert tables["images"].column("unmodeled").to_pylist() == ['{"CreatedTime":1617300000.1234567}', None]


def test_a_lone_surrogate_does_not_cost_the_image() -> None:
    """The name is shown with a replacement character."""
    assert value("name", b'{"Name": "a\\ud800b"}') == "a\ufffdb"


def test_a_lone_surrogate_is_kept_as_an_escape() -> None:
    """What the column cannot hold is in `unmodeled`, to the letter."""
    assert value("unmodeled", b'{"Name": "a\\ud800b"}') == '{"Name":"a\\ud800b"}'


@pytest.mark.parametrize("name", ["a\x00b", "n" * 20_000, "\u202etxet", "\U0001f4a9"])
def test_odd_names_come_through(name: str) -> None:
    """NUL, 20,000 characters, bidi marks and emoji are text like any other."""
    assert value("name", {"Name": name}) == name


def test_the_neighbours_of_an_odd_image_are_unharmed() -> None:
    """An image that fits nothing does not touch the others of its page."""
    tables = made({"Name": "a"}, b'{"Name": "\\ud800", "Arn": 5, "Applications": [null]}', {"Name": "c"})
    assert tables["images"].column("name").to_pylist() == ["a", "\ufffd", "c"]


def test_an_element_that_is_no_object_leaves_the_list_in_unmodeled() -> None:
    """The list is kept as it came, beside the rows of its objects."""
    assert value("unmodeled", {"Applications": [None, {"Name": "x"}]}) == '{"Applications":[null,{"Name":"x"}]}'


def test_positions_count_what_aws_sent() -> None:
    """An element that is no object still takes its place in the count."""
    assert value("position", {"Applications": [None, {"Name": "x"}]}, table="applications") == 1


@pytest.mark.parametrize("deep", [200, 900])
def test_a_deep_unknown_member_does_not_raise(deep: int) -> None:
    """Nesting up to what the reply's validation allows is kept."""
    sent = b'{"Name": "a", "New": ' + b"[" * deep + b"]" * deep + b"}"
    assert json.loads(value("unmodeled", sent))["New"][0] is not None


@pytest.mark.parametrize(
    "sent",
    [
        {"Applications": [{"IconURL": "https://i.example/a.png?X-Amz-Signature=CANARY"}]},
        {"Applications": [{"IconURL": "https://i.example/a.png?X-Amz-Signature=CANARY", "New": 1}]},
        {"Applications": [None, {"IconURL": "https://i.example/a.png?X-Amz-Signature=CANARY"}]},
        {"Applications": [{"IconURL": ["https://i.example/a.png?X-Amz-Signature=CANARY"]}]},
        {"New": {"IconURL": "https://i.example/a.png?X-Amz-Signature=CANARY"}},
        {"IconURL": "https://i.example/a.png?X-Amz-Signature=CANARY"},
    ],
)
def test_a_signature_of_an_icon_reaches_no_column(sent: dict[str, Any]) -> None:
    """The query string of an icon's URL is dropped wherever the URL stands, and the URL stays."""
    text = json.dumps([table.to_pylist() for table in made(sent).values()], default=str)
    assert ("CANARY" in text, "https://i.example/a.png" in text) == (False, True)


def test_a_signature_in_an_image_too_deep_to_parse_is_dropped() -> None:
    """The last resort, keeping the text whole, drops it too, however its characters are written."""
    deep = b"[" * 990 + b"]" * 990
    for link in (b"a.png?X-Amz-Signature=CANARY", rb"?b=1\u0026X-Amz-Signature\u003dCANARY"):
        sent = (
            b'{"New":'
            + deep
            + b',"Applications":[{"IconURL":"'
            + link
            + b'"},{"Link":"https://i.example/'
            + link
            + b'"}]}'
        )
        assert "CANARY" not in str(made(sent)["images"].column("unmodeled"))


@pytest.mark.parametrize(
    ("arn", "owner"), [(ARN, "012345678901"), ("arn:aws:appstream:eu-west-1::image/x", None), ("nonsense", None)]
)
def test_the_owner_is_the_account_in_the_arn(arn: str, owner: str | None) -> None:
    """AWS's own images have none."""
    assert value("owner", {"Arn": arn}) == owner


def test_of_an_image_sent_twice_the_first_is_kept() -> None:
    """The same ARN and name twice make one row, with the applications that came first."""
    tables = made(
        {"Arn": ARN, "Name": "a", "Applications": [{"Name": "x"}]}, {"Arn": ARN, "Name": "a", "Description": "late"}
    )
    assert (tables["images"].column("description").to_pylist(), tables["applications"].num_rows) == ([None], 1)


@pytest.mark.parametrize("odd", [{"Color": "red"}, {"Applications": [{"Name": "x", "Color": "red"}]}])
def test_what_a_second_copy_leaves_over_is_in_no_other_row(odd: dict[str, Any]) -> None:
    """A copy that is left out takes with it what its columns could not hold."""
    others = [{"Arn": f"{ARN}{n}", "Applications": [{"Name": "x"}]} for n in range(9)]
    tables = made({"Arn": ARN, "Name": "a"}, {"Arn": ARN, "Name": "a", **odd}, *others)
    assert {text for table in tables.values() for text in table.column("unmodeled").to_pylist()} == {None}


@pytest.mark.parametrize("arn", [None, "", "x"])
def test_two_names_under_a_broken_arn_are_two_images(arn: str | None) -> None:
    """An ARN that says nothing does not make one image of two."""
    assert made({"Arn": arn, "Name": "a"}, {"Arn": arn, "Name": "b"})["images"].num_rows == 2


def test_an_image_seen_in_an_earlier_page_is_left_out() -> None:
    """What one call of `decode_groups` saw, the next one knows; another target's images are not touched."""
    seen: set[int] = set()
    sent = [json.dumps({"Arn": ARN, "Name": "a", "Applications": [{"Name": "x"}]}).encode()]
    counts = [
        [tables[name].num_rows for name in ("images", "applications")]
        for _ in range(2)
        for tables in decode_groups([Group(sent, KEY, seen), Group(sent, KEY)])
    ]
    assert counts == [[1, 1], [1, 1], [0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b'{"Name": "a", "State": "x", "Name": "b"}', '{"Name":"a","Name":"b"}'),
        (b'{"Name": "b", "State": null, "State" :"x", "State" :"x"}', '{"State":null,"State":"x","State":"x"}'),
        (b'{"Name": "b", "Name": null, "Description": "\\":"}', '{"Name":"b","Name":null}'),
        (
            b'{"Name": "b", "StateChangeReason": {"Code": "x", "Code": "y"}}',
            '{"StateChangeReason":{"Code":"x","Code":"y"}}',
        ),
        (b'{"Name": "b", "New": {"a": 1, "a": 2}}', '{"New":{"a":1,"a":2}}'),
        (b'{"Applications": [], "Name": "b", "Applications": null}', '{"Applications":[],"Applications":null}'),
    ],
)
def test_a_member_that_stands_twice_is_kept_twice(sent: bytes, kept: str) -> None:
    """The column has what JSON parsers take, the last value, and `unmodeled` has them all."""
    assert made({"Name": "other"}, sent)["images"].column("unmodeled").to_pylist() == [None, kept]


def test_a_map_with_a_key_twice_is_kept_beside_its_column() -> None:
    """No value of a map is lost to another one of the same name."""
    sent = b'{"Applications": [{"Name": "x", "Metadata": {"a": "1", "a": "2"}}]}'
    assert value("unmodeled", sent, table="applications") == '{"Metadata":{"a":"1","a":"2"}}'


@given(st.integers(0, 2**63))
def test_no_value_of_a_repeated_member_is_lost(seed: int) -> None:
    """Whatever else an image holds, a member sent twice leaves both values: one in its column or both in `unmodeled`."""
    random = Random(seed)
    texts = [json.dumps(row(random)).encode() for _ in range(5)]
    texts[0] = (  # the first, as of two rows of one identity the later is left out
        b'{"Name": "first-value", ' + texts[0][1:-1] + (b", " if len(texts[0]) > 2 else b"") + b'"Name": "last-value"}'
    )
    tables = made(*texts)
    kept = tables["images"].slice(0, 1).to_pylist()[0]
    assert ("first-value" in kept["unmodeled"], kept["name"]) == (True, "last-value")


def test_an_empty_map_is_no_value() -> None:
    """An application without metadata has none, whether AWS sends an empty map or nothing."""
    assert value("metadata", {"Applications": [{"Name": "x", "Metadata": {}}]}, table="applications") is None


SIGNED = "https://b.s3.amazonaws.com/a%20b?size=2&X-Amz-Signature=CANARY&x-amz-security-token=CANARY"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (SIGNED, "https://b.s3.amazonaws.com/a%20b?size=2"),
        (
            f"see {SIGNED} and {SIGNED}.",
            "see https://b.s3.amazonaws.com/a%20b?size=2 and https://b.s3.amazonaws.com/a%20b?size=2",
        ),
        ("https://d.cloudfront.net/x?Policy=CANARY&Signature=CANARY&Key-Pair-Id=CANARY", "https://d.cloudfront.net/x"),
        ("https://i.example/x?X%2DAmz%2DSignature=CANARY&b=1#part", "https://i.example/x?b=1#part"),
        (
            "https://i.example/x?to=https%3A%2F%2Fb%2Fa%3FSignature%3DCANARY%26c%3D1",
            "https://i.example/x?to=https%3A%2F%2Fb%2Fa%3Fc%3D1",
        ),
        ("https://i.example/x?signatures=2&policy_id=3", "https://i.example/x?signatures=2&policy_id=3"),
        ("https://i.example/x?to=%3FSignature%3DCANARY%22%3A", "https://i.example/x?to=%22%3A"),
    ],
)
@pytest.mark.parametrize("escaped", [False, True])
def test_a_signature_in_an_unknown_url_is_dropped(url: str, kept: str, escaped: bool) -> None:
    """What signs a URL reaches no column; the rest of the URL stays, however its characters are written in JSON."""
    text = json.dumps({"New": [{"Link": url}]})
    for char in "?&=" if escaped else "":
        text = text.replace(char, f"\\u{ord(char):04x}")
    assert json.loads(value("unmodeled", text.encode())) == {"New": [{"Link": kept}]}


@pytest.mark.parametrize("text", ["? " * 100_000, "?a=" * 10_000, "?a=%3F" * 10_000, '?":' * 10_000])
def test_question_marks_of_a_stranger_cost_little_time(text: str) -> None:
    """Text that no URL is in is kept, however many question marks it has; time does not grow with their square."""
    started = time.process_time()
    assert json.loads(value("unmodeled", {"New": text}))["New"] == text
    assert time.process_time() - started < 5


def test_urls_within_urls_do_not_raise(request: pytest.FixtureRequest) -> None:
    """What nests deeper than Python follows loses its query."""
    url = "https://i.example/?X-Amz-Signature=CANARY"
    for _ in range(100):
        url = f"https://i.example/?to={quote(url, safe='')}"
    request.addfinalizer(partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    sys.setrecursionlimit(300)
    assert "CANARY" not in value("unmodeled", {"New": url})
