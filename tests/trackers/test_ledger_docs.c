/* Each query in docs/ledger.md runs, and gives what it is said to give. */
#include <stdlib.h>

#include "tests/trackers/ledger_fixture.h"

static char *document(void)
{
    char *text = calloc(1, 1 << 20);
    FILE *file = fopen(TBUS_SOURCE_DIR "/docs/ledger.md", "rb");
    cr_assert(text && file);
    cr_assert_gt(fread(text, 1, (1 << 20) - 1, file), 0);
    fclose(file);
    return text;
}

/* Two keys, two users, three models of which one has no price, two days, an estimate that was taken back. */
static void fill(void)
{
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    for (uint64_t number = 1; number <= 6; number++) {
        tbus_usage_record_t record = ledger_record(number);
        record.request_id = number == 2 ? "req-2" : "req-1";
        record.time_ns += number > 4 ? 24 * HOUR_NS : 0;
        if (number % 2 == 0) {
            record.api_key = "sk-q..00000002";
            record.key_digest[0] = 2;
            record.user_id = "bob";
            record.model = "gpt-4o-mini";
            record.cost = tbus_money_units(2000001);
        }
        if (number == 3) {
            record.model = "house-model";
            record.cost = tbus_money_units(0);
            record.unpriced = true;
        }
        record.estimated = number == 5;
        cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
        if (number == 5) {
            record.retracted = true;
            cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
        }
    }
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger_docs, each_example_query_gives_what_it_says)
{
    static const char *const expected[] = {
        /* any size */
        "7006|3\n",
        /* by key and day */
        ("sk-p..88fd2d4d|2026-01-01|2|0.007\nsk-q..00000002|2026-01-01|2|4.0e-06\nsk-q..00000002|2026-01-02|1|2.0e-06\n"
         "sk-p..88fd2d4d|2026-01-02|0|0.0\n"),
        /* top models */
        "gpt-4o|1|1200|0.007\ngpt-4o-mini|3|3600|6.0e-06\nhouse-model|1|1200|0.0\n",
        /* unpriced */
        "house-model|1|800\n",
        /* one user's day */
        "2026-01-01 09:00:00|req-1|gpt-4o|1000|200|0.007\n2026-01-01 09:00:00|req-1|house-model|1000|200|0.0\n",
        /* savings */
        "2026-01|0.005\n",
    };
    size_t count = 0;
    ledger_prepare();
    fill();
    char *text = document();
    for (char *at = text; (at = strstr(at, "```sql\n")); count++) {
        char *query = at + 7, *end = strstr(query, "```");
        cr_assert_not_null(end);
        *end = '\0';
        at = end + 1;
        cr_assert_lt(count, sizeof expected / sizeof *expected, "a query nobody knows: %s", query);
        if (strstr(query, "unixepoch('") && sqlite3_libversion_number() < 3038000) {
            fprintf(stderr, "SQLite %s has no unixepoch(): not run: %s", sqlite3_libversion(), query);
            continue;
        }
        expect_rows(query, expected[count]);
    }
    free(text);
    cr_assert_eq(count, sizeof expected / sizeof *expected);
}

/* Every column that the file has is told, and no table is missing. */
Test(ledger_docs, each_table_and_column_is_told)
{
    ledger_prepare();
    fill();
    char *text = document(), *saved = NULL;
    sqlite3 *db = beside_opened();
    char *names =
        strdup(beside_rows(db, "SELECT DISTINCT name FROM sqlite_master WHERE type IN ('table', 'view') UNION"
                               " SELECT c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE"
                               " m.type = 'table' AND c.name NOT GLOB '*_micro' AND c.name NOT GLOB '*_rest'"));
    int count = 0;
    for (char *name = strtok_r(names, "\n", &saved); name; name = strtok_r(NULL, "\n", &saved), count++) {
        char quoted[80];
        snprintf(quoted, sizeof quoted, "`%s`", name);
        cr_assert(strstr(text, quoted) != NULL || (strcmp(name, "what") == 0 || strcmp(name, "before_ns") == 0),
                  "docs/ledger.md does not tell of %s", quoted);
    }
    cr_assert_gt(count, 30);
    sqlite3_close(db);
    free(names);
    free(text);
}
