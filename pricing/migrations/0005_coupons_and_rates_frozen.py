from django.db import migrations

from core.sql import append_only, only_change

TAX_BEHAVIOR_STAYS = """
CREATE TRIGGER pricing_price_tax_behavior_stays BEFORE UPDATE OF tax_behavior ON pricing_price
    FOR EACH ROW WHEN (OLD.tax_behavior <> 'unspecified' AND NEW.tax_behavior <> OLD.tax_behavior)
    EXECUTE FUNCTION core_forbid('the tax behavior of a price is set once');
"""


class Migration(migrations.Migration):
    dependencies = [("pricing", "0004_coupons_and_tax_rates"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(sql, migrations.RunSQL.noop)
        for sql in (
            only_change("pricing_coupon", "name", "metadata", "currency_options", "times_redeemed", "deleted_at"),
            only_change("pricing_promotioncode", "active", "metadata", "minimum_amount_options", "times_redeemed"),
            only_change(
                "pricing_taxrate",
                *("active", "country", "description", "display_name"),
                *("jurisdiction", "metadata", "state", "tax_type"),
            ),
            # `owner` is generated: until the row is written it is null in NEW.
            only_change("pricing_discount", "owner", "position", "used_at", "removed_at"),
            append_only("pricing_pricecurrencyoption", "the terms of a price never change"),
            append_only("pricing_optiontier", "the terms of a price never change"),
            TAX_BEHAVIOR_STAYS,
        )
    ]
