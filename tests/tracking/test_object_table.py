from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vostrack.errors import InputError
from vostrack.masks import VOID
from vostrack.tracking.object_table import ObjectTable

id_lists = st.lists(st.integers(1, 254), min_size=1, max_size=20, unique=True)


@settings(deadline=None)
@given(ids=id_lists, data=st.data())
def test_translation_is_its_own_inverse(ids: list[int], data: st.DataObject) -> None:
    table = ObjectTable(tuple(ids))
    values = data.draw(st.lists(st.sampled_from([0, VOID, *ids]), min_size=6, max_size=6))
    labels = np.array(values, dtype=np.uint8).reshape(2, 3)
    slots = table.to_slots(labels)
    assert slots.dtype == np.uint8
    np.testing.assert_array_equal(table.to_ids(slots), labels)
    # The meaning of each pixel, spelt out.
    for slot, number in zip(slots.ravel().tolist(), values, strict=True):
        assert slot == (number if number in (0, VOID) else ids.index(number) + 1)


@settings(deadline=None)
@given(ids=id_lists, data=st.data())
def test_adding_moves_nobody(ids: list[int], data: st.DataObject) -> None:
    split = data.draw(st.integers(0, len(ids)))
    table = ObjectTable(tuple(ids[:split]))
    grown = table.add(ids[split:])
    assert [grown.slot(n) for n in ids[:split]] == [table.slot(n) for n in ids[:split]]
    assert grown.ids == tuple(ids)
    assert len(table) == split


@settings(deadline=None)
@given(ids=id_lists, data=st.data())
def test_removing_keeps_the_others(ids: list[int], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(ids)))
    names = [f"object {n}" for n in ids]
    table = ObjectTable(tuple(ids), tuple(names)).remove(gone)
    kept = [n for n in ids if n not in gone]
    assert table.ids == tuple(kept)
    assert table.names == tuple(f"object {n}" for n in kept)
    assert [table.slot(n) for n in kept] == list(range(1, len(kept) + 1))
    # Back again: at the end, under their own ids.
    again = table.add(sorted(gone))
    assert set(again.ids) == set(ids)


def test_names_are_the_numbers_unless_given() -> None:
    assert ObjectTable((4, 2)).names == ("4", "2")
    assert ObjectTable((4, 2)).add([9], ["dog"]).names == ("4", "2", "dog")


def test_membership_and_equality() -> None:
    table = ObjectTable((4, 2))
    assert 4 in table
    assert 1 not in table
    assert table == ObjectTable((4, 2))
    assert table != ObjectTable((2, 4))


@pytest.mark.parametrize("ids", [(0,), (255,), (3, 3), (-1,)])
def test_ids_are_checked(ids: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"distinct ids in 1\.\.254"):
        ObjectTable(ids)


def test_names_are_counted() -> None:
    with pytest.raises(InputError, match="one for each of 2 ids"):
        ObjectTable((1, 2), ("a",))


def test_unknown_objects_are_refused() -> None:
    table = ObjectTable((4, 2))
    with pytest.raises(InputError, match=r"\[1\] belong to no object.*add the objects first"):
        table.to_slots(np.array([[0, 1, 4]], np.uint8))
    with pytest.raises(InputError, match=r"\[3\] belong to no object"):
        table.to_ids(np.array([[0, 3]], np.uint8))
    with pytest.raises(InputError, match="object 7: unknown"):
        table.remove([7])
    with pytest.raises(InputError, match="distinct"):
        table.add([2])
    with pytest.raises(InputError, match="expected uint8"):
        table.to_slots(np.array([[0, 4]]))
