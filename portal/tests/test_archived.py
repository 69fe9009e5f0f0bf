"""Pages about months whose events have moved into files."""

import pytest

from meters import archived_events
from meters.tests.archives import age, archived
from meters.tests.conftest import archive_dir as archive_dir  # fixtures
from meters.tests.conftest import real_epoch as real_epoch
from portal.tests.scenes import bill, enter, spread
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def billed(real_epoch, archive_dir) -> tuple:
    """A browser, and the pages of a line of January."""
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="2"))
    spread(customer, values={1: "5", 30.5: "7", 700: "11"})
    invoice = bill(customer, clock)
    line = f"/portal/invoices/{invoice.pk}/lines/{invoice.lines.get().pk}"
    return enter(customer), [line, f"{line}/events"]


def test_an_invoice_line_goes_on_to_show_its_events(billed, real_epoch):
    client, pages = billed
    before = [client.get(page).context for page in pages]
    age(real_epoch)
    archived(real_epoch)

    after = [client.get(page) for page in pages]

    assert [page.status_code for page in after] == [200, 200]
    assert after[1].context["page"] == before[1]["page"]
    assert len(after[1].context["page"].events) == 3
    assert b"3 days with usage add up to 23" in after[0].content


def test_what_is_too_much_is_said(billed, real_epoch, monkeypatch):
    client, pages = billed
    age(real_epoch)
    archived(real_epoch)
    monkeypatch.setattr(archived_events, "MOST", 2)

    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 503
        assert b"These events are archived" in answer.content
