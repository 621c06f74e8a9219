from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.formats.jsonspans import (
    REMOVE,
    DuplicateKeyError,
    patch,
    read_members,
)

scalars = st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=6), values, max_size=6)
styles = st.sampled_from(
    [
        {},
        {"indent": 2},
        {"separators": (",", ":")},
        {"separators": (" ,\t", "\n: ")},
        {"ensure_ascii": False},
    ]
)


@given(objects, styles, st.data())
def test_a_patch_does_what_a_dictionary_would(value, style, data):
    body = b" " + json.dumps(value, **style).encode("utf-8", "surrogatepass") + b"\n"
    keys = st.sampled_from(list(value) or ["k"]) | st.text(max_size=6)
    changes = data.draw(st.dictionaries(keys, values | st.just(...), max_size=4))
    expected = dict(value)
    for key, new in changes.items():
        if new is ...:
            expected.pop(key, None)
        else:
            expected[key] = new
    raw = {
        key: REMOVE if new is ... else json.dumps(new).encode()
        for key, new in changes.items()
    }
    patched = json.loads(patch(read_members(body), raw))
    assert patched == expected
    assert [key for key in patched if key in value] == [
        key for key in value if key in expected
    ]


@given(objects, styles)
def test_members_are_found_where_they_are(value, style):
    body = json.dumps(value, **style).encode()
    members = read_members(body)
    for key, (key_start, start, end) in members.spans.items():
        assert json.loads(body[start:end]) == value[key]
        assert body[key_start : key_start + 1] == b'"'
    assert list(members.spans) == list(value)


def test_every_other_byte_stays():
    body = b'{ "b" : 1.0e2 ,\n\t"a":"\\u00e9\\/" , "z" : [ 1 , 2 ] }'
    assert patch(read_members(body), {"a": b"7"}) == body.replace(b'"\\u00e9\\/"', b"7")
    assert patch(read_members(body), {}) is body


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"a": REMOVE}, b'{"b":2,"c":3}'),
        ({"b": REMOVE}, b'{"a":1,"c":3}'),
        ({"c": REMOVE}, b'{"a":1,"b":2}'),
        ({"b": REMOVE, "c": REMOVE}, b'{"a":1}'),
        ({"a": REMOVE, "c": REMOVE}, b'{"b":2}'),
        ({"a": REMOVE, "b": REMOVE, "c": REMOVE}, b"{}"),
        ({"a": REMOVE, "b": REMOVE, "c": REMOVE, "d": b"4"}, b'{"d":4}'),
        ({"c": REMOVE, "d": b"4", "a": b"0"}, b'{"a":0,"b":2,"d":4}'),
        ({"x": REMOVE}, b'{"a":1,"b":2,"c":3}'),
        ({"d": b"4", "e": b"5"}, b'{"a":1,"b":2,"c":3,"d":4,"e":5}'),
    ],
)
def test_members_leave_and_enter_with_their_commas(changes, expected):
    assert patch(read_members(b'{"a":1,"b":2,"c":3}'), changes) == expected


def test_an_empty_object_can_be_filled():
    assert patch(read_members(b" { } "), {"a": b"1"}) == b' {"a":1 } '


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":1,"b":2,"a":3}',
        b'{"a":"x","b":2,"a":"y"}',
        b'{"a":1,"\\u0061":1}',
        b'{"model":"a","messages":[],"model":"b"}',
        b'{"a":{"b":1},"a":{"b":1}}',
    ],
)
def test_a_member_named_twice_is_refused(body):
    with pytest.raises(DuplicateKeyError):
        read_members(body)


def test_members_of_nested_objects_are_nobodys_business():
    body = b'{"a":{"b":1,"b":2},"c":[{"d":1,"d":2}]}'
    assert patch(read_members(body), {"c": b"0"}) == b'{"a":{"b":1,"b":2},"c":0}'


def test_escaped_keys_are_found():
    body = b'{"\\u006dodel":"x","a\\"b":1}'
    assert patch(read_members(body), {"model": b'"y"'}) == body.replace(b'"x"', b'"y"')
    assert json.loads(patch(read_members(body), {'a"b': REMOVE})) == {"model": "x"}


@pytest.mark.parametrize("body", [b"", b"{", b"nope", b'{"a":1}x', b"\xff", b'{"a"}'])
def test_what_is_no_json_is_refused(body):
    with pytest.raises(msgspec.DecodeError):
        read_members(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"7"])
def test_what_is_no_object_is_refused(body):
    with pytest.raises(msgspec.ValidationError):
        read_members(body)


def test_a_bomb_of_brackets_is_refused():
    with pytest.raises(RecursionError):
        read_members(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_a_large_body_is_patched_whole():
    text = b"x" * 3_000_000
    body = b'{"model":"a","messages":["' + text + b'"],"n":1}'
    patched = patch(read_members(body), {"model": b'"long-name"', "n": REMOVE})
    assert patched == b'{"model":"long-name","messages":["' + text + b'"]}'


def test_a_repr_shows_no_content():
    assert "secret" not in repr(read_members(b'{"a":"secret"}'))
