"""PostgreSQL's own means: functions as column defaults, guards that make a table append-only, a limit of time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, models, transaction
from django.db.models import Func, Lookup

QUERY_CANCELED = "57014"


class ClockTimestamp(Func):
    """The database's wall clock at the moment the row is written (not at the start of the statement)."""

    function = "clock_timestamp"
    output_field = models.DateTimeField()


class CurrentTransaction(Func):
    """The 64-bit number of the writing transaction; never wraps, so it can be kept for ever."""

    function = "pg_current_xact_id"


class TransactionIdField(models.Field):  # type: ignore[type-arg]
    """`xid8`: which transaction wrote the row; compare it with a kept snapshot to tell whether a reader saw it."""

    def db_type(self, connection: object) -> str:
        return "xid8"


class AnyOf(Lookup):  # type: ignore[type-arg]
    """`field__any_of=[...]`: as `__in`, with all values in one parameter, so that thousands cost nothing to write."""

    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        left, params = self.process_lhs(compiler, connection)
        return f"{left} = ANY(%s)", [*params, list(self.rhs)]


for kind in (models.CharField, models.IntegerField, models.ForeignKey):
    kind.register_lookup(AnyOf)


FORBID_FUNCTION = """
CREATE OR REPLACE FUNCTION core_forbid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is not allowed: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""


def append_only(table: str, reason: str) -> str:
    """SQL that lets rows of `table` be inserted and nothing else, TRUNCATE included.

    The trigger against TRUNCATE is named `<table>_no_truncate`.
    """
    return f"""
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION core_forbid('{reason}');
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('{reason}');
"""


def revoke_changes(table: str) -> str:
    """SQL that takes from the application's own role the privilege to change or remove rows of `table`.

    The role owns the table and could grant it to itself again, but not by mistake; and a trigger that somebody has
    switched off is then not all there is. Not for tables that foreign keys point to, or whose own could be violated by
    a deletion: PostgreSQL checks those by locking rows as the owner, for which it needs UPDATE.
    """
    return f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM CURRENT_USER;"


ONLY_CHANGE_FUNCTION = """
CREATE OR REPLACE FUNCTION core_only_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := to_jsonb(OLD) - TG_ARGV;
    after jsonb := to_jsonb(NEW) - TG_ARGV;
BEGIN
    IF before IS DISTINCT FROM after THEN
        RAISE EXCEPTION '% of %: only % may change', TG_OP, TG_TABLE_NAME, array_to_string(TG_ARGV, ', ')
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def only_change(table: str, *columns: str, when: str = "") -> str:
    """SQL that lets an UPDATE of `table` change the given columns only (where `when` holds)."""
    condition = f"WHEN ({when})" if when else ""
    arguments = ", ".join(f"'{column}'" for column in columns)
    return f"""
CREATE TRIGGER {table}_frozen BEFORE UPDATE ON {table}
    FOR EACH ROW {condition} EXECUTE FUNCTION core_only_change({arguments});
"""


# Who keeps in memory what it has read listens here; the payload is the table.
CHANGES_CHANNEL = "countinghouse_changes"
NOTIFY_FUNCTION = f"""
CREATE OR REPLACE FUNCTION core_notify_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('{CHANGES_CHANNEL}', TG_TABLE_NAME);
    RETURN NULL;
END $$;
"""


def notify_change(table: str, *, when: str = "OLD.* IS DISTINCT FROM NEW.*", on_insert: bool = False) -> str:
    """SQL that tells, when it is committed, of each row of `table` that is deleted, changed so that `when` holds, or
    (if asked) inserted."""
    others = "INSERT OR DELETE" if on_insert else "DELETE"
    return f"""
CREATE TRIGGER {table}_notify_update AFTER UPDATE ON {table}
    FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION core_notify_change();
CREATE TRIGGER {table}_notify_other AFTER {others} ON {table}
    FOR EACH ROW EXECUTE FUNCTION core_notify_change();
"""


class TookTooLong(Exception):
    """A question was given up; nothing is known of its answer."""


@contextmanager
def time_limit(milliseconds: int) -> Iterator[None]:
    """Give up each statement inside that takes longer. Raises TookTooLong."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
            yield
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != QUERY_CANCELED:
            raise
        raise TookTooLong from error
