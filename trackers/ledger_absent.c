/* The ledger in builds without SQLite. */
#include <tallybus/ledger.h>

int tbus_ledger_open(const tbus_ledger_options_t *options, char *why, size_t why_bytes, tbus_ledger_t **ret_ledger)
{
    (void)options;
    (void)ret_ledger;
    if (why && why_bytes > 0)
        *why = '\0';
    return UV_ENOTSUP;
}

int tbus_ledger_append(tbus_ledger_t *ledger, const tbus_usage_record_t *record)
{
    (void)ledger;
    (void)record;
    return UV_ENOTSUP;
}

int tbus_ledger_commit(tbus_ledger_t *ledger)
{
    (void)ledger;
    return UV_ENOTSUP;
}

int tbus_ledger_prune(tbus_ledger_t *ledger, int64_t now_ns, uint64_t *ret_deleted)
{
    (void)ledger;
    (void)now_ns;
    (void)ret_deleted;
    return UV_ENOTSUP;
}

int tbus_ledger_stats(tbus_ledger_t *ledger, tbus_ledger_stats_t *ret_stats)
{
    (void)ledger;
    (void)ret_stats;
    return UV_ENOTSUP;
}

int tbus_ledger_close(tbus_ledger_t *ledger, tbus_ledger_stats_t *ret_stats)
{
    (void)ledger;
    (void)ret_stats;
    return UV_ENOTSUP;
}

const char *tbus_ledger_kind_name(tbus_ledger_kind_t kind)
{
    (void)kind;
    return NULL;
}

int tbus_ledger_totals(tbus_ledger_t *ledger, tbus_ledger_each each, void *user)
{
    (void)ledger;
    (void)each;
    (void)user;
    return UV_ENOTSUP;
}

int tbus_ledger_hours(tbus_ledger_t *ledger, int64_t since_ns, tbus_ledger_each each, void *user)
{
    (void)ledger;
    (void)since_ns;
    (void)each;
    (void)user;
    return UV_ENOTSUP;
}

int tbus_ledger_since(tbus_ledger_t *ledger, tbus_ledger_kind_t kind, int64_t since_ns, tbus_ledger_each each,
                      void *user)
{
    (void)ledger;
    (void)kind;
    (void)since_ns;
    (void)each;
    (void)user;
    return UV_ENOTSUP;
}
