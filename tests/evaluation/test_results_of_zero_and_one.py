"""Results of 0 and 1 only, where the truth has several objects."""

from __future__ import annotations

from vostrack.eval.result_values import ExpectedIds, Survey, choose_rule


def test_zero_and_one_for_several_objects() -> None:
    two = ExpectedIds((1, 2))
    one_bit = Survey({0, 1}, white=1)
    rule = choose_rule("ids", one_bit, two)
    assert rule.labels is None
    assert "black and white masks (0 and 1), but the truth has 2 objects" in rule.note
    gray = choose_rule("gray", Survey({0, 1}, white=255), two)
    assert gray.labels is not None
    assert "gray masks of 0 and 1 are read as id 1, and no mask has 2; if" in gray.note
    assert not choose_rule("gray", Survey({0, 1, 2}, white=255), two).note
    for other in (ExpectedIds((1,)), ExpectedIds((1, 2), proposals=True)):
        assert choose_rule("ids", one_bit, other).labels is not None
