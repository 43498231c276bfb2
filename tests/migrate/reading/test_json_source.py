"""JSON with positions, and what is reported about text that is not JSON."""

import gc
import json
import time

import pytest

from monai_auxops.migrate.diagnostics import Log, Where, did_you_mean
from monai_auxops.migrate.reading.json_source import parse


def read(text):
    log = Log()
    node = parse(text if isinstance(text, bytes) else text.encode(), "f.json", log)
    return node, [(item.code, item.where.line, item.where.column) for item in log.items]


VALID = [
    "{}",
    '{"a": [1, -2.5, 1e2, "x\\n", true, false, null, {"b": []}]}',
    '{"a": NaN, "b": Infinity}',
    ' \n{"é": "日本"} ',
]


@pytest.mark.parametrize("text", VALID)
def test_valid_json_is_read_as_the_standard_library_reads_it(text):
    node, problems = read(text)
    assert repr(node.plain()) == repr(json.loads(text))
    assert problems == []


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "value"),
    [
        ('{"a": ture}', "CT102", 1, 7, {"a": True}),
        ('{"a": True}', "CT102", 1, 7, {"a": True}),
        ('{"a": None}', "CT102", 1, 7, {"a": None}),
        ('{"a": infinity}', "CT102", 1, 7, {"a": float("inf")}),
        ('{"a": 1,\n}', "CT103", 1, 8, {"a": 1}),
        ('{"a": [1, 2,]}', "CT103", 1, 12, {"a": [1, 2]}),
        ('{// why\n"a": 1}', "CT104", 1, 2, {"a": 1}),
        ('{"a": 1 /* b */}', "CT104", 1, 9, {"a": 1}),
        ('{"a": 1, "a": 2}', "CT105", 1, 10, {"a": 2}),
        ("{'a': 'b'}", "CT107", 1, 2, {"a": "b"}),
        ('{"a": {"b": 1}\n "c": 2}', "CT101", 2, 2, {"a": {"b": 1}, "c": 2}),
        (b'\xef\xbb\xbf{"a": 1}', "CT108", 1, 1, {"a": 1}),
        ('{"a": 1} x', "CT101", 1, 10, {"a": 1}),
    ],
)
def test_mistakes_that_can_be_read_past(text, code, line, column, value):
    node, problems = read(text)
    assert node.plain() == value
    assert problems[0] == (code, line, column)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "CT106"),
        ("[1]", "CT106"),
        (b"\xff\xfe", "CT106"),
        ("[" * 200, "CT106"),
        ('{"a": 1', "CT101"),
        ('{"a" 1}', "CT101"),
        ('{"a": 1 2}', "CT101"),
        ('{"a": "b', "CT101"),
        ('{"a": "C:\\data"}', "CT101"),
        ("{'a", "CT101"),
        ("{a: 1}", "CT101"),
        ('{"a": bananas}', "CT101"),
        ('{"a": .5}', "CT101"),
        ('{"a": ' + "9" * 400 + "}", "CT101"),
    ],
)
def test_mistakes_that_end_the_file(text, code):
    node, problems = read(text)
    assert node is None
    assert problems[-1][0] == code


def test_every_value_knows_its_place():
    node, _ = read('{\n "train": {"aux_ops": [\n  {"args": {"tags": 1}}]}}')
    where = node.get("train").get("aux_ops").value[0].get("args").get("tags").where
    assert where == Where("f.json", 3, 21, "train.aux_ops[0].args.tags")
    assert str(where) == "f.json:3:21"
    assert str(Where("f.json")) == "f.json"


def test_nodes_of_other_kinds_have_no_members():
    node, _ = read('{"a": 1}')
    assert node.get("a").get("b") is None
    assert list(node.get("a").items()) == []
    assert node.get("a").elements() == [node.get("a")]


def test_a_file_ten_times_as_large_takes_ten_times_as_long():
    def seconds(number: int) -> float:
        text = json.dumps({"train": {"pre_transforms": [{"name": "A", "args": {"n": i}} for i in range(number)]}})
        gc.disable()  # it looks at all objects of the tests before
        start = time.process_time()
        read(text)
        end = time.process_time()
        gc.enable()
        return end - start

    assert seconds(20_000) < 20 * min(seconds(2_000) for _ in range(3))


def test_a_hint_names_the_nearest_word():
    assert did_you_mean("dicemaskedoutput", ["DiceMaskedOutput"]) == 'did you mean "DiceMaskedOutput"?'
    assert did_you_mean("zzz", ["DiceMaskedOutput"]) == ""
