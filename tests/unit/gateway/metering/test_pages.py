"""A meter's pages: what is taken out, changed or put in is named."""

import msgspec
import pytest

from gateway.metering.pages import decode_page, find_broken
from tests.support.metering import METER, SESSION, make_pages, make_record, sign_page
from tests.support.transactions import Person

PAGES = [sign_page(record) for record in SESSION]


def test_pages_that_follow_each_other_hold():
    assert find_broken(PAGES) is None
    assert find_broken(PAGES[1:]) is None, "from any page on"
    assert find_broken([]) is None
    assert [decode_page(raw)[0].record for raw in PAGES] == SESSION


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ([PAGES[0], PAGES[2]], "page 3: it does not follow page 1"),
        ([PAGES[0], PAGES[0]], "page 1: it does not follow page 1"),
        ([PAGES[1], PAGES[0]], "page 1: "),
        ([sign_page(SESSION[0], Person("another"))], "page 1: not signed by the key"),
        ([PAGES[0], sign_page(make_record(page=2))], "page 2: it names another page 1"),
        ([sign_page(make_record(previous=b"x" * 32))], "page 1: the first page names"),
        ([PAGES[0], b"nonsense"], "entry 1: "),
    ],
)
def test_the_first_page_that_breaks_is_named(pages, words):
    problem = find_broken(pages)
    assert problem is not None
    assert words in problem


def test_a_page_of_another_meter_does_not_belong():
    other = msgspec.structs.replace(METER, device_id=b"e" * 32)
    mixed = make_pages({}, {"meter": other})
    assert find_broken([sign_page(record) for record in mixed]) == "page 2: of another meter"


def test_no_changed_byte_holds():
    raw = PAGES[0]
    for at in range(len(raw)):
        assert find_broken([raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]]) is not None
