"""Charts are attribute-only SVG with a name, and a gap is a gap."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from poolsite.ui.charts import Part, bar, columns, series_tone, sparkline, stacked_bar


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def test_a_sparkline_spans_its_box() -> None:
    svg = sparkline([0, 5, 10], "Requests rose", width=100, height=20)
    line = parse(svg).find("path[@class='line']")
    assert line is not None
    assert line.get("d") == "M2 18L50 10L98 2"


def test_a_missing_value_breaks_the_line() -> None:
    svg = sparkline([1, 2, None, 2, 1], "x")
    line = parse(svg).find("path[@class='line']")
    assert line is not None
    assert (line.get("d") or "").count("M") == 2


def test_a_lonely_value_is_a_dot() -> None:
    assert "<circle" in sparkline([None, 3, None], "x")


def test_nothing_draws_nothing_but_keeps_its_name() -> None:
    root = parse(sparkline([], "No requests"))
    assert root.get("aria-label") == "No requests"
    assert root.find("path") is None


def test_labels_are_escaped() -> None:
    assert "<b>" not in sparkline([1, 2], "<b>")


def test_shares_of_a_stacked_bar_add_up_to_the_whole() -> None:
    parts = [Part("a", 1), Part("b", 3), Part("none", 0)]
    rects = parse(stacked_bar(parts, "Share")).findall("rect")[1:]
    assert [rect.get("width") for rect in rects] == ["25%", "75%"]
    assert [rect.get("x") for rect in rects] == ["0%", "25%"]


def test_a_bar_without_a_largest_row_is_empty() -> None:
    assert 'width="0%"' in bar(0, 0)


def test_columns_stack_from_the_floor_and_fit_the_height() -> None:
    stacks = [[Part("a", 2, "1"), Part("b", 2, "2")], [Part("a", 1, "1")]]
    svg = parse(columns(stacks, ["00", "01"], "Spend", ticks=[(4, "$4")], height=122))
    rects = svg.findall("rect")
    assert [rect.get("y") for rect in rects] == ["57", "14", "78.5"]
    assert all("style" not in element.attrib for element in svg.iter())


def test_series_from_the_eighth_on_share_one_colour() -> None:
    assert [series_tone(index) for index in (0, 6, 7, 30)] == ["1", "7", "8", "8"]
