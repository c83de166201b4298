/* Budgets go on where a ledger says that they were.
 *
 * Totals come first: they make the budgets that defaults stand for, and then each budget's period is known. What was
 * used in it is read for all budgets with one beginning at once. A rolling budget is told its window in parts. */
#include <tallybus/subscribers.h>

#include <stdio.h>
#include <string.h>

#include "trackers/digest.h"
#include "trackers/money.h"
#include "trackers/table.h"

enum {
    PARTS = 60, /* of a rolling window: each leaves it as one, when its last moment does */
    SUBJECTS_MAX = 1 << 23,
    DIGITS = 2 * TBUS_KEY_DIGEST_BYTES,
    IDENTITY_BYTES = 2 + DIGITS + TBUS_LEDGER_TEXT_MAX
};

/* A subject that has a budget. A ledger may have a key under several names: they are added up. */
struct subject {
    tbus_money_t total;           /* ever */
    tbus_money_t read;            /* in the part that is being read */
    tbus_money_t used;            /* restored so far */
    const tbus_budget_row_t *row; /* NULL = it shares one */
    unsigned char key_digest[TBUS_KEY_DIGEST_BYTES];
};

struct resume {
    tbus_budgets_t *budgets;
    int64_t now_ns;
    struct table subjects; /* of struct subject */
    /* What is being read: a part of the period of these budgets. */
    const tbus_budget_row_t *like;
    int64_t at_ns;
};

/* --- Who is who --- */

static bool scope_of(tbus_ledger_kind_t kind, tbus_budget_scope_t *ret)
{
    switch (kind) {
    case TBUS_LEDGER_ALL:
        *ret = TBUS_BUDGET_ALL;
        return true;
    case TBUS_LEDGER_KEY:
        *ret = TBUS_BUDGET_KEY;
        return true;
    case TBUS_LEDGER_USER:
        *ret = TBUS_BUDGET_USER;
        return true;
    case TBUS_LEDGER_PROJECT:
        *ret = TBUS_BUDGET_PROJECT;
        return true;
    default:
        return false;
    }
}

static tbus_ledger_kind_t kind_of(tbus_budget_scope_t scope)
{
    static const tbus_ledger_kind_t kinds[TBUS_BUDGET_SCOPES] = {[TBUS_BUDGET_ALL] = TBUS_LEDGER_ALL,
                                                                 [TBUS_BUDGET_KEY] = TBUS_LEDGER_KEY,
                                                                 [TBUS_BUDGET_USER] = TBUS_LEDGER_USER,
                                                                 [TBUS_BUDGET_PROJECT] = TBUS_LEDGER_PROJECT};
    return kinds[scope];
}

static bool is_someone(const tbus_ledger_sum_t *sum)
{
    static const unsigned char none[TBUS_KEY_DIGEST_BYTES];
    if (sum->kind == TBUS_LEDGER_KEY)
        return memcmp(sum->key_digest, none, sizeof none) != 0;
    return sum->kind == TBUS_LEDGER_ALL || *sum->name;
}

/* A key goes by its digest, everybody else by his name. */
static void identify(tbus_budget_scope_t scope, const char *name, const unsigned char *digest, char to[IDENTITY_BYTES])
{
    to[0] = (char)('0' + scope);
    if (scope != TBUS_BUDGET_KEY) {
        snprintf(to + 1, IDENTITY_BYTES - 1, "%s", name);
        return;
    }
    for (int i = 0; i < TBUS_KEY_DIGEST_BYTES; i++)
        snprintf(to + 1 + 2 * i, 3, "%02x", digest[i]);
}

static struct subject *find(struct resume *resume, const tbus_ledger_sum_t *sum)
{
    char identity[IDENTITY_BYTES];
    tbus_budget_scope_t scope;
    if (!scope_of(sum->kind, &scope) || !is_someone(sum))
        return NULL;
    identify(scope, sum->name, sum->key_digest, identity);
    return table_find(&resume->subjects, identity);
}

/* --- Restoring --- */

static void add_to(tbus_money_t *sum, tbus_money_t amount)
{
    *sum = money_of(money_value(*sum) + money_value(amount));
}

static int restore(struct resume *resume, const struct subject *subject, tbus_money_t used, tbus_money_t lifetime)
{
    const char *identity = table_key(&resume->subjects, subject, NULL);
    tbus_budget_past_t past = {.time_ns = resume->at_ns, .used = used, .lifetime = lifetime};
    past.name.scope = (tbus_budget_scope_t)(identity[0] - '0');
    if (past.name.scope == TBUS_BUDGET_KEY)
        past.name.key_digest = subject->key_digest;
    else if (past.name.scope != TBUS_BUDGET_ALL)
        past.name.subject = identity + 1;
    return tbus_budget_restore(resume->budgets, &past);
}

/* Has the budget made that its scope's default stands for, under the name that it is shown by. UV_ENOENT: it has none. */
static int make_budget(struct resume *resume, tbus_budget_scope_t scope, const tbus_ledger_sum_t *sum)
{
    tbus_budget_past_t past = {.time_ns = resume->at_ns, .name = {.scope = scope}};
    past.name.subject = scope == TBUS_BUDGET_ALL ? NULL : sum->name;
    past.name.key_digest = scope == TBUS_BUDGET_KEY ? sum->key_digest : NULL;
    return tbus_budget_restore(resume->budgets, &past);
}

/* Notes a total whose subject has a budget, or gets one by its scope's default. */
static int note_total(const tbus_ledger_sum_t *sum, void *user)
{
    struct resume *resume = user;
    char identity[IDENTITY_BYTES];
    tbus_budget_scope_t scope;
    int error = 0;
    if (!scope_of(sum->kind, &scope) || !is_someone(sum) || money_value(sum->cost) <= 0)
        return 0;
    error = make_budget(resume, scope, sum);
    if (error)
        return error == UV_ENOENT ? 0 : error;
    identify(scope, sum->name, sum->key_digest, identity);
    struct subject *subject = table_add(&resume->subjects, identity, NULL, &error);
    if (!subject)
        return error;
    add_to(&subject->total, sum->cost);
    memcpy(subject->key_digest, sum->key_digest, sizeof subject->key_digest);
    return 0;
}

/* Whether the periods of two budgets began at the same time. */
static bool is_like(const tbus_budget_row_t *a, const tbus_budget_row_t *b)
{
    return a->scope == b->scope && a->rolling == b->rolling && a->status.period_start_ns == b->status.period_start_ns;
}

static int note_used(const tbus_ledger_sum_t *sum, void *user)
{
    struct resume *resume = user;
    struct subject *subject = find(resume, sum);
    if (subject && subject->row && is_like(subject->row, resume->like))
        add_to(&subject->read, sum->cost);
    return 0;
}

/* Restores what was read, as far as that has not been done. */
static int restore_read(struct resume *resume)
{
    int error = 0;
    for (uint32_t cell = 0; !error && cell < resume->subjects.used; cell++) {
        struct subject *subject = table_at(&resume->subjects, cell);
        tbus_money_t more = money_of(money_value(subject->read) - money_value(subject->used));
        bool is_more = money_value(subject->read) > 0 && money_value(more) > 0;
        if (is_more) {
            subject->used = subject->read;
            error = restore(resume, subject, more, more);
        }
        subject->read = money_of(0);
    }
    return error;
}

/* What is left of the total was used before; of a budget without periods, all of it is what it has used. */
static int restore_rest(struct resume *resume)
{
    int error = 0;
    for (uint32_t cell = 0; !error && cell < resume->subjects.used; cell++) {
        const struct subject *subject = table_at(&resume->subjects, cell);
        tbus_money_t rest = money_of(money_value(subject->total) - money_value(subject->used));
        bool for_ever = subject->row && subject->row->period == TBUS_BUDGET_NEVER;
        if (money_value(rest) > 0)
            error = restore(resume, subject, for_ever ? rest : money_of(0), rest);
    }
    return error;
}

/* --- Periods --- */

static int index_rows(const tbus_budgets_snapshot_t *snapshot, struct table *ret)
{
    int error = 0;
    for (size_t i = 0; !error && i < snapshot->rows_count; i++) {
        const tbus_budget_row_t *row = &snapshot->rows[i];
        char identity[IDENTITY_BYTES];
        if (row->shared)
            continue;
        identify(row->scope, row->subject, row->key_digest, identity);
        const tbus_budget_row_t **at = table_add(ret, identity, NULL, &error);
        if (at)
            *at = row;
    }
    return error;
}

/* Finds the row of each subject that has one. */
static int find_rows(struct resume *resume, const tbus_budgets_snapshot_t *snapshot)
{
    struct table rows; /* of const tbus_budget_row_t * */
    table_init(&rows, sizeof(const tbus_budget_row_t *), IDENTITY_BYTES - 1, SUBJECTS_MAX);
    int error = index_rows(snapshot, &rows);
    for (uint32_t cell = 0; !error && cell < resume->subjects.used; cell++) {
        struct subject *subject = table_at(&resume->subjects, cell);
        char identity[IDENTITY_BYTES];
        snprintf(identity, sizeof identity, "%s", table_key(&resume->subjects, subject, NULL));
        digest_fit(table_key(&resume->subjects, subject, NULL) + 1, identity + 1, TBUS_BUDGET_SUBJECT_BYTES);
        const tbus_budget_row_t *const *at = table_find(&rows, identity);
        subject->row = at ? *at : NULL;
    }
    table_clear(&rows);
    return error;
}

/* Reads the period of a row, and with it that of all rows like it; from its last part to its first. */
static int resume_period(struct resume *resume, tbus_ledger_t *ledger, const tbus_budget_row_t *row)
{
    int64_t start_ns = row->status.period_start_ns, parts = row->rolling ? PARTS : 1;
    int64_t part_ns = (resume->now_ns - start_ns) / parts + 1;
    resume->like = row;
    for (int64_t part = parts - 1; part >= 0; part--) {
        int64_t from_ns = start_ns + part * part_ns, last_ns = from_ns + part_ns - 1;
        resume->at_ns = last_ns < resume->now_ns ? last_ns : resume->now_ns;
        int error = tbus_ledger_since(ledger, kind_of(row->scope), from_ns, note_used, resume);
        if (!error)
            error = restore_read(resume);
        if (error)
            return error;
    }
    resume->at_ns = resume->now_ns;
    return 0;
}

static int resume_periods(struct resume *resume, tbus_ledger_t *ledger, const tbus_budgets_snapshot_t *snapshot)
{
    int error = 0;
    for (size_t i = 0; !error && i < snapshot->rows_count; i++) {
        const tbus_budget_row_t *row = &snapshot->rows[i];
        bool is_new = row->period != TBUS_BUDGET_NEVER && row->status.period_start_ns > INT64_MIN;
        for (size_t before = 0; is_new && before < i; before++)
            is_new = snapshot->rows[before].period == TBUS_BUDGET_NEVER || !is_like(&snapshot->rows[before], row);
        if (is_new)
            error = resume_period(resume, ledger, row);
    }
    return error;
}

int tbus_budgets_resume(tbus_budgets_t *budgets, tbus_ledger_t *ledger, int64_t now_ns)
{
    struct resume resume = {.budgets = budgets, .now_ns = now_ns, .at_ns = now_ns};
    tbus_budgets_snapshot_t *snapshot = NULL;
    if (!budgets)
        return UV_EINVAL;
    table_init(&resume.subjects, sizeof(struct subject), IDENTITY_BYTES - 1, SUBJECTS_MAX);
    int error = tbus_ledger_totals(ledger, note_total, &resume);
    if (!error)
        error = tbus_budgets_snapshot(budgets, now_ns, &snapshot);
    if (!error)
        error = find_rows(&resume, snapshot);
    if (!error)
        error = resume_periods(&resume, ledger, snapshot);
    if (!error)
        error = restore_rest(&resume);
    tbus_budgets_snapshot_free(snapshot);
    table_clear(&resume.subjects);
    return error;
}
