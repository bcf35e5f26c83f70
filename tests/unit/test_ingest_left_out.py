"""What a load leaves out: counted, held to a limit, and looked for before anything is encoded."""

import pytest

from hybrid_search.errors import EmptyTextError, RecordError, SourceError
from hybrid_search.ingest.left_out import LeftOut, Look
from hybrid_search.ingest.maintain.remove import EVERYTHING, Limit
from hybrid_search.ingest.report import IngestReport

ONE_PERCENT = Limit(share=0.01)
EMPTY = EmptyTextError("the text is empty", where="f:7", remedy="Set documents.text")
BAD = RecordError("broken JSON", where="f:9", remedy="Mend it")


def looked(good, bad, *, skips=False, most=ONE_PERCENT, limit=None):
    """A look at a source that begins with some bad records."""

    def documents(on_bad):
        for error in bad:
            on_bad(error, b"")
        if not good:
            raise SourceError("holds no document")
        yield from range(good)

    Look(skips=skips, most=most).through(documents, limit)


def test_a_bad_record_ends_it_with_the_way_out():
    """Unless such are skipped."""
    with pytest.raises(RecordError) as caught:
        looked(10, [BAD])
    assert str(caught.value) == "f:9: broken JSON. Mend it. To leave bad records out: --skip-bad FILE"
    looked(10, [BAD], skips=True)


def test_some_records_without_text_are_no_fault_of_the_settings():
    """A tenth of them at most: 1 of 10 and 100 of 1,000, but not 2 of 10, unless so many may be left out."""
    looked(9, [EMPTY])
    looked(900, [EMPTY] * 100)
    with pytest.raises(EmptyTextError, match=r"2 of the first 10 records are left out: .* --max-bad 20%, or more"):
        looked(8, [EMPTY] * 2)
    looked(8, [EMPTY] * 2, most=EVERYTHING)


@pytest.mark.parametrize("skips", [False, True])
def test_a_source_without_any_document_says_why(skips):
    """By its first record, not by the sum."""
    with pytest.raises(EmptyTextError, match="f:7: none of the first 3 records can be loaded: the text is empty"):
        looked(0, [EMPTY] * 3, skips=skips)
    with pytest.raises(SourceError, match="holds no document"):
        looked(0, [])


def test_endless_bad_records_are_not_waited_for():
    """The look is given up after a thousand."""
    with pytest.raises(EmptyTextError):
        looked(1, (EMPTY for _ in iter(int, 1)), skips=True)


def test_many_bad_records_that_may_be_left_out_are_no_fault():
    """A thousand of them end the look, not the load; without a good one among them, only where all may be bad."""

    def by_turns(on_bad):
        for number in range(2_000):
            on_bad(BAD, b"")
            yield number

    Look(skips=True, most=ONE_PERCENT).through(by_turns, None)
    looked(1, [BAD] * 1_000, skips=True, most=EVERYTHING)
    with pytest.raises(RecordError, match="none of the first 1,000 records can be loaded"):
        looked(1, [BAD] * 1_000, skips=True)


def test_what_is_left_out_is_counted_and_held_to_its_limit():
    """3 without text and 2 bad of 100 + 5 records are 4.8 %."""
    left_out = LeftOut()
    for _ in range(3):
        left_out.refuse(EMPTY, b"")
    left_out.note("said")
    left_out.note("said")
    assert left_out.notes() == ["said", "3 records without text were left out, the first: f:7"]
    report = IngestReport("i", documents=60, resumed=40)
    assert left_out.counted(report, 2, Limit(share=0.05)).excess is None
    counted = left_out.counted(report, 2, Limit(share=0.045))
    assert (counted.skipped, counted.excess) == (5, "5 of 105 records were left out, more than 4.5%")
    left_out.begin_again()
    assert left_out.counted(report, 0, ONE_PERCENT).excess is None
    with pytest.raises(RecordError, match="--skip-bad FILE"):
        left_out.refuse(BAD, b"")


def test_a_document_that_turned_out_bad_is_counted_once():
    """As with an image that cannot be decoded: of 10 documents 6 were bad, and 2 records never became one, of 12."""
    report = IngestReport("i", documents=10, skipped=6)
    counted = LeftOut().counted(report, 6 + 2, Limit(share=0.6))
    assert (counted.skipped, counted.excess) == (8, "8 of 12 records were left out, more than 60%")
    assert LeftOut().counted(report, 6, Limit(share=0.6)).excess is None
    assert LeftOut().counted(report, 6, Limit(share=0.6), read=2).skipped == 8
