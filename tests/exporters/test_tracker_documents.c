/* Each value of the trackers' documents, against the tables: none is another member's, none is missing, none is more. */
#include <stdlib.h>

#include <jansson.h>

#include "tests/exporters/tracker_snapshots.h"

static void expect_spread(struct expected_list *expected, const char *name, tbus_distribution_t ms)
{
    const struct {
        const char *key;
        double number;
    } own[] = {{"count", (double)ms.count},
               {"avg", ms.avg},
               {"min", ms.min},
               {"max", ms.max},
               {"p50", ms.p50},
               {"p90", ms.p90},
               {"p95", ms.p95},
               {"p99", ms.p99}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        char key[NAME_BYTES];
        snprintf(key, sizeof key, "%s/%s", name, own[i].key);
        expect(expected, key, own[i].number, NULL);
    }
}

static void expect_figure(struct expected_list *expected, const char *name, const struct figure *figure, size_t row,
                          unsigned number)
{
    const double as_shown[] = {
        [A_COUNT] = number,           [A_LEVEL] = number,         [A_MOMENT] = (double)moment_of(number),
        [A_FLAG] = number % 2,        [A_NUMBER] = number + 0.25, [A_TIME] = number + 0.25,
        [A_PER_CENT] = number + 0.25, [MONEY] = number / 1e3,
    };
    if (is_spread(figure))
        expect_spread(expected, name, spread_of(number));
    else if (figure->kind == A_NAME)
        expect(expected, name, 0, name_of_row(row));
    else
        expect(expected, name, as_shown[figure->kind], NULL);
}

static void expect_document(struct expected_list *expected, const struct tracker *tracker, unsigned shift)
{
    expected->count = 0;
    for (size_t i = 0; i < PARTS_MAX && tracker->parts[i].figures; i++) {
        const struct part *part = &tracker->parts[i];
        for (size_t figure = 0; figure < part->count; figure++)
            for (size_t row = 0; row < (part->label ? ROWS : 1) && part->figures[figure].key; row++) {
                const size_t nth = part->label ? row + 1 : 0;
                char name[128] = "";
                if (part->label)
                    snprintf(name, sizeof name, "%s/%zu/", part->key, row);
                snprintf(name + strlen(name), sizeof name - strlen(name), "%s", part->figures[figure].key);
                expect_figure(expected, name, &part->figures[figure], nth, number_of(figure, nth, shift));
            }
    }
}

static bool is_money(const char *name)
{
    const size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, "_usd") == 0;
}

static void check_value(struct expected_list *expected, const char *name, const json_t *value)
{
    char inner[NAME_BYTES];
    const char *key;
    const json_t *element;
    size_t i;
    json_object_foreach((json_t *)value, key, element)
    {
        snprintf(inner, sizeof inner, "%s%s%s", name, name[0] ? "/" : "", key);
        check_value(expected, inner, element);
    }
    json_array_foreach(value, i, element)
    {
        snprintf(inner, sizeof inner, "%s/%zu", name, i);
        check_value(expected, inner, element);
    }
    if (json_is_string(value) && is_money(name))
        check_told(expected, name, strtod(json_string_value(value), NULL), NULL);
    else if (json_is_string(value))
        check_told(expected, name, 0, json_string_value(value));
    else if (json_is_boolean(value))
        check_told(expected, name, json_is_true(value), NULL);
    else if (!json_is_object(value) && !json_is_array(value))
        check_told(expected, name, json_is_number(value) ? json_number_value(value) : -1, NULL);
}

Test(tracker_documents, each_value_is_of_the_member_that_its_key_says_and_each_member_has_its_own)
{
    static struct filled filled;
    static struct expected_list expected;
    for (int tracker = 0; tracker < TRACKERS; tracker++)
        for (unsigned shift = 0; shift < 2; shift++) {
            char *text;
            fill_all(&trackers[tracker], shift, &filled);
            expect_document(&expected, &trackers[tracker], shift);
            cr_assert_eq(trackers[tracker].write_document(filled.snapshot, &text), 0);
            json_t *document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
            cr_assert_not_null(document, "%s", text);
            check_value(&expected, "", document);
            check_all_told(&expected);
            json_decref(document);
            tbus_mem_free(text);
        }
}
