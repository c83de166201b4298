/* Each sample of the trackers' pages, against the tables: none is another member's, none is missing, none is more. */
#include <stdlib.h>

#include "tests/exporters/tracker_snapshots.h"

/* Of a family with one sample for a row. */
static void expect_sample(struct expected_list *expected, const struct part *part, const char *family, size_t row,
                          const char *quantile, double number)
{
    char name[NAME_BYTES], labels[96] = "";
    if (quantile)
        snprintf(labels, sizeof labels, "quantile=\"%s\"%s", quantile, part->label ? "," : "");
    if (part->label)
        snprintf(labels + strlen(labels), sizeof labels - strlen(labels), "%s=\"%s\"", part->label, name_of_row(row));
    snprintf(name, sizeof name, labels[0] ? "%s{%s}" : "%s%s", family, labels);
    expect(expected, name, number, NULL);
}

static void expect_spread(struct expected_list *expected, const struct part *part, const struct figure *figure,
                          size_t row, tbus_distribution_t ms)
{
    const double unit = figure->kind == A_SPREAD_OF_3_AS_IS ? 1 : 1e3;
    expect_sample(expected, part, figure->family, row, "0.5", ms.p50 / unit);
    if (figure->kind == A_SPREAD)
        expect_sample(expected, part, figure->family, row, "0.9", ms.p90 / unit);
    expect_sample(expected, part, figure->family, row, "0.95", ms.p95 / unit);
    expect_sample(expected, part, figure->family, row, "0.99", ms.p99 / unit);
    if (figure->average)
        expect_sample(expected, part, figure->average, row, NULL, ms.avg / unit);
    if (figure->least)
        expect_sample(expected, part, figure->least, row, NULL, ms.min / unit);
    if (figure->most)
        expect_sample(expected, part, figure->most, row, NULL, ms.max / unit);
}

/* Under OpenTelemetry's names, which have labels of their own. */
static void expect_histogram(struct expected_list *expected, const struct figure *figure, size_t row, unsigned number)
{
    const struct {
        const char *suffix, *bound;
        double number;
    } samples[] = {{"_bucket", ",le=\"1\"", number},
                   {"_bucket", ",le=\"+Inf\"", number + 1},
                   {"_sum", "", number + 0.25},
                   {"_count", "", number + 2}};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char name[NAME_BYTES], type[32] = "";
        if (figure->label)
            snprintf(type, sizeof type, ",gen_ai_token_type=\"%s\"", figure->label);
        snprintf(name, sizeof name,
                 "%s%s{gen_ai_operation_name=\"%s\",gen_ai_provider_name=\"%s\",gen_ai_request_model=\"%s\"%s%s}",
                 figure->family, samples[i].suffix, "the operation", "the provider", name_of_row(row), type,
                 samples[i].bound);
        expect(expected, name, samples[i].number, NULL);
    }
}

static void expect_figure(struct expected_list *expected, const struct part *part, const struct figure *figure,
                          size_t row, unsigned number)
{
    const double as_shown[] = {
        [A_COUNT] = number,         [A_LEVEL] = number,
        [A_MOMENT] = number + 0.5,  [A_FLAG] = number % 2,
        [A_NUMBER] = number + 0.25, [A_TIME] = (number + 0.25) / 1e3,
        [MONEY] = number / 1e3,     [A_PER_CENT] = (number + 0.25) / 100,
    };
    if (!figure->family)
        return;
    if (is_spread(figure))
        expect_spread(expected, part, figure, row, spread_of(number));
    else if (figure->kind == A_HISTOGRAM)
        expect_histogram(expected, figure, row, number);
    else
        expect_sample(expected, part, figure->family, row, NULL, as_shown[figure->kind]);
}

static void expect_page(struct expected_list *expected, const struct tracker *tracker, unsigned shift)
{
    expected->count = 0;
    for (size_t i = 0; i < PARTS_MAX && tracker->parts[i].figures; i++) {
        const struct part *part = &tracker->parts[i];
        for (size_t figure = 0; figure < part->count; figure++)
            for (size_t row = 0; row < (part->label ? ROWS : 1); row++) {
                const size_t nth = part->label ? row + 1 : 0;
                expect_figure(expected, part, &part->figures[figure], nth, number_of(figure, nth, shift));
            }
    }
}

Test(tracker_pages, each_sample_is_of_the_member_that_its_name_says_and_each_member_has_its_own)
{
    static struct filled filled;
    static struct expected_list expected;
    for (int tracker = 0; tracker < TRACKERS; tracker++)
        for (unsigned shift = 0; shift < 2; shift++) {
            char *page, *rest;
            fill_all(&trackers[tracker], shift, &filled);
            expect_page(&expected, &trackers[tracker], shift);
            cr_assert_eq(trackers[tracker].write_page(filled.snapshot, &page), 0);
            for (char *line = strtok_r(page, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                char *number = strrchr(line, ' ');
                if (line[0] == '#')
                    continue;
                *number++ = '\0';
                check_told(&expected, line, strtod(number, NULL), NULL);
            }
            check_all_told(&expected);
            tbus_mem_free(page);
        }
}

static size_t aligned(size_t at, size_t alignment)
{
    return (at + alignment - 1) / alignment * alignment;
}

Test(tracker_pages, the_tables_leave_no_member_out)
{
    for (int tracker = 0; tracker < TRACKERS; tracker++)
        for (size_t i = 0; i < PARTS_MAX && trackers[tracker].parts[i].figures; i++) {
            const struct part *part = &trackers[tracker].parts[i];
            size_t at = 0;
            for (size_t figure = 0; figure < part->count; figure++) {
                const struct figure *one = &part->figures[figure];
                cr_assert_eq(one->offset, aligned(at, one->alignment), "%s: a member stands before %s, %s",
                             trackers[tracker].name, one->key, one->family);
                at = one->offset + one->bytes;
            }
            cr_assert_eq(part->bytes, aligned(at, part->alignment), "%s: a member stands at the end",
                         trackers[tracker].name);
        }
}

Test(tracker_pages, a_model_of_which_only_a_cost_is_known_was_never_used)
{
    const tbus_model_t model = {.traffic.name = "m"};
    char *page;
    cr_assert_eq(tbus_prometheus_models(&(tbus_models_snapshot_t){.models = &model, .models_count = 1}, &page), 0);
    cr_assert_not_null(strstr(page, "\nmodel_first_use_timestamp_seconds{model=\"m\"} NaN\n"));
    cr_assert_not_null(strstr(page, "\nmodel_last_use_timestamp_seconds{model=\"m\"} NaN\n"));
    tbus_mem_free(page);
}
