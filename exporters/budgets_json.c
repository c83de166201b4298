#include "exporters/documents.h"

static const struct json_field budgets[] = {
    JSON_FIELD(tbus_budgets_snapshot_t, time_ns),
    JSON_FIELD(tbus_budgets_snapshot_t, since_ns),
    JSON_FIELD(tbus_budgets_snapshot_t, reservations),
    JSON_FIELD_AS(tbus_budgets_snapshot_t, "settled_usd", settled),
    JSON_FIELD(tbus_budgets_snapshot_t, admitted),
    JSON_FIELD(tbus_budgets_snapshot_t, denied),
    JSON_FIELD(tbus_budgets_snapshot_t, refused),
    JSON_FIELD(tbus_budgets_snapshot_t, settles),
    JSON_FIELD(tbus_budgets_snapshot_t, settled_without_reservation),
    JSON_FIELD(tbus_budgets_snapshot_t, settled_again),
    JSON_FIELD(tbus_budgets_snapshot_t, released),
    JSON_FIELD(tbus_budgets_snapshot_t, expired),
    JSON_FIELD(tbus_budgets_snapshot_t, retracted),
    JSON_FIELD(tbus_budgets_snapshot_t, unpriced),
    JSON_FIELD(tbus_budgets_snapshot_t, late),
    JSON_FIELD(tbus_budgets_snapshot_t, ahead),
    JSON_FIELD(tbus_budgets_snapshot_t, set_back),
    JSON_FIELD(tbus_budgets_snapshot_t, shared_requests),
    JSON_FIELD(tbus_budgets_snapshot_t, merged_findings),
};

static const struct json_field row[] = {
    JSON_FIELD(tbus_budget_row_t, subject),
    JSON_FIELD(tbus_budget_row_t, defaulted),
    JSON_FIELD(tbus_budget_row_t, shared),
    JSON_FIELD(tbus_budget_row_t, rolling),
    JSON_FIELD_AS(tbus_budget_row_t, "limit_usd", status.limit),
    JSON_FIELD_AS(tbus_budget_row_t, "used_usd", status.used),
    JSON_FIELD_AS(tbus_budget_row_t, "reserved_usd", status.reserved),
    JSON_FIELD_AS(tbus_budget_row_t, "remaining_usd", status.remaining),
    JSON_FIELD_AS(tbus_budget_row_t, "lifetime_usd", status.lifetime),
    JSON_FIELD_AS(tbus_budget_row_t, "previous_used_usd", previous_used),
    JSON_FIELD_AS(tbus_budget_row_t, "over", status.over),
};

static const char *period_name(tbus_budget_period_t period)
{
    static const char *const names[] = {"never", "duration", "daily", "weekly", "monthly"};
    return (unsigned)period < sizeof names / sizeof *names ? names[period] : NULL;
}

/* A moment, or null where it is none. */
static void put_moment(struct json *json, const char *key, int64_t time_ns)
{
    if (time_ns == INT64_MIN || time_ns == INT64_MAX)
        json_put_null(json, key);
    else
        json_put_int(json, key, time_ns);
}

static void put_terms(struct json *json, const void *element, const struct json_filter *filter)
{
    const tbus_budget_row_t *budget = element;
    (void)filter;
    json_put_text(json, "scope", tbus_budget_scope_name(budget->scope));
    json_put_text(json, "kind", budget->status.kind == TBUS_BUDGET_HARD ? "hard" : "soft");
    json_put_text(json, "period", period_name(budget->period));
    put_moment(json, "period_start_ns", budget->status.period_start_ns);
    put_moment(json, "period_end_ns", budget->status.period_end_ns);
}

/* The rows of a scope stand together. */
static size_t rows_of_scope(const tbus_budgets_snapshot_t *snapshot, int scope, const tbus_budget_row_t **ret)
{
    size_t begin = 0, end = snapshot->rows_count;
    *ret = snapshot->rows;
    if (scope == 0)
        return end;
    while (begin < end && (int)snapshot->rows[begin].scope + 1 != scope)
        begin++;
    while (end > begin && (int)snapshot->rows[end - 1].scope + 1 != scope)
        end--;
    *ret = snapshot->rows + begin;
    return end - begin;
}

void json_put_budgets(struct json *json, const char *key, const tbus_budgets_snapshot_t *snapshot,
                      const struct json_filter *filter)
{
    static const struct json_filter all;
    filter = filter ? filter : &all;
    const tbus_budget_row_t *rows;
    const size_t count = rows_of_scope(snapshot, filter->scope, &rows);
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, snapshot, budgets);
    json_put_list(json, "budgets",
                  &(struct json_list){JSON_ROWS(rows, count, row), .put_more = put_terms, .only = filter->subject,
                                      .limit = filter->limit});
    json_close_object(json);
}
