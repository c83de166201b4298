/* The report for people: one table below the other, numbers flush right. */
#include <math.h>
#include <string.h>

#include "tools/report.h"
#include "tools/tool.h"

#define LABEL_WIDTH 30 /* columns of a line's label */
#define MESSAGE_WIDTH 72
#define LIST_MAX 10 /* lines of a list */

/* --- Cells --- */

#define NUMBER_BYTES 48

/* 4185495 as "4,185,495". */
static const char *grouped(uint64_t value, char text[NUMBER_BYTES])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    char *to = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

static void put_count(FILE *out, int width, uint64_t value)
{
    char text[NUMBER_BYTES];
    fprintf(out, "%*s", width, grouped(value, text));
}

/* A figure with two digits behind the point; "-" where it is not known. */
static void put_figure(FILE *out, int width, double value)
{
    char text[NUMBER_BYTES] = "-", whole[NUMBER_BYTES];
    if (isinf(value)) {
        snprintf(text, sizeof text, "unlimited");
    } else if (!isnan(value) && fabs(value) < 1e15) {
        uint64_t hundredths = (uint64_t)llround(fabs(value) * 100);
        snprintf(text, sizeof text, "%s%.30s.%02u", value < 0 ? "-" : "", grouped(hundredths / 100, whole),
                 (unsigned)(hundredths % 100));
    } else if (!isnan(value)) {
        snprintf(text, sizeof text, "%.3g", value);
    }
    fprintf(out, "%*s", width, text);
}

/* A name, cut to `width` columns: a column for each code point, and nothing that steers a terminal. Returns the columns
 * that it took. */
static int put_text(FILE *out, int width, const char *name)
{
    char shown[512];
    snprintf(shown, sizeof shown, "%s", name && *name ? name : "(none)");
    tool_tame(shown);
    int columns = 0;
    char *end = shown;
    for (; *end; end++) {
        bool begins = ((unsigned char)*end & 0xC0) != 0x80;
        if (begins && columns == width)
            break;
        columns += begins;
    }
    *end = '\0';
    fputs(shown, out);
    return columns;
}

/* The same, filled to `width` columns. */
static void put_name(FILE *out, int width, const char *name)
{
    fprintf(out, "%*s", width - put_text(out, width, name), "");
}

static void put_label(FILE *out, const char *label)
{
    fprintf(out, "  %-*s", LABEL_WIDTH - 2, label);
}

static void put_line(FILE *out, const char *label, uint64_t value)
{
    put_label(out, label);
    put_count(out, 14, value);
    fputc('\n', out);
}

static void put_more(FILE *out, size_t count)
{
    if (count > LIST_MAX)
        fprintf(out, "  ... and %zu more\n", count - LIST_MAX);
}

static size_t shown_of(size_t count)
{
    return count < LIST_MAX ? count : LIST_MAX;
}

/* --- Tables --- */

static void write_events(const struct report *report, FILE *out)
{
    fprintf(out, "\nEvents\n");
    put_line(out, "published", report->stats->published);
    put_line(out, "delivered", report->stats->delivered);
    if (report->lost > 0)
        put_line(out, "refused", report->lost);
    put_label(out, "per second");
    put_count(out, 14, (uint64_t)llround(report->per_second));
    fprintf(out, "   in %.3f s\n", report->elapsed_s);
}

static void write_streams(const tbus_streaming_snapshot_t *streaming, FILE *out)
{
    fprintf(out, "\nStreams\n");
    put_line(out, "started", streaming->total_streams);
    put_label(out, "completed");
    put_count(out, 14, streaming->completed_streams);
    if (!isnan(streaming->success_rate))
        fprintf(out, "   %.2f %%", streaming->success_rate * 100);
    fputc('\n', out);
    put_line(out, "failed", streaming->failed_streams);
    put_line(out, "cancelled", streaming->cancelled_streams);
    if (streaming->active_streams > 0)
        put_line(out, "without an end", streaming->active_streams);
    put_line(out, "tokens", streaming->total_tokens);
    if (streaming->shed_tokens > 0)
        put_line(out, "of these not seen singly", streaming->shed_tokens);
    if (streaming->orphan_events > 0)
        put_line(out, "events of unknown streams", streaming->orphan_events);
}

static void write_distribution(const char *label, const tbus_distribution_t *figures, FILE *out)
{
    put_label(out, label);
    put_figure(out, 14, figures->avg);
    put_figure(out, 12, figures->p50);
    put_figure(out, 12, figures->p95);
    put_figure(out, 12, figures->p99);
    put_figure(out, 12, figures->min);
    put_figure(out, 12, figures->max);
    fputc('\n', out);
}

static void write_latencies(const tbus_streaming_snapshot_t *streaming, FILE *out)
{
    fprintf(out, "\n%-*s%14s%12s%12s%12s%12s%12s\n", LABEL_WIDTH, "Latency", "average", "p50", "p95", "p99", "min",
            "max");
    write_distribution("time to first token, ms", &streaming->ttft_ms, out);
    write_distribution("between tokens, ms", &streaming->itl_ms, out);
    write_distribution("per output token, ms", &streaming->tpot_ms, out);
    write_distribution("duration, ms", &streaming->duration_ms, out);
    write_distribution("tokens per second", &streaming->tokens_per_second, out);
}

/* Those that are on at the end. */
static void write_alerts(const tbus_slo_t *slo, FILE *out)
{
    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        const tbus_alert_rule_t rule = tbus_alert_rule(i, 0);
        if (!slo->alerts[i].active)
            continue;
        put_label(out, "alert");
        fprintf(out, "%14s   over %s and %s more than %.2f\n", rule.severity, tbus_burn_window_name(rule.long_window),
                tbus_burn_window_name(rule.short_window), slo->alerts[i].factor);
    }
}

static void write_slo(const tbus_slo_t *all, FILE *out)
{
    const tbus_slo_status_t *slo = &all->status;
    fprintf(out, "\nRequests\n");
    put_line(out, "requests", slo->total_requests);
    put_label(out, "errors");
    put_count(out, 14, slo->errors);
    fprintf(out, "   %.4f %%\n", slo->error_rate * 100);
    put_label(out, "SLO");
    char target[32];
    snprintf(target, sizeof target, "%u.%04u %%", slo->target_ppm / 10000, slo->target_ppm % 10000);
    fprintf(out, "%14s   %s\n", target, slo->violated ? "VIOLATED" : "kept");
    put_label(out, "error budget left");
    put_count(out, 14, slo->budget_remaining);
    char total[NUMBER_BYTES];
    fprintf(out, "   of %s, %.2f %%\n", grouped(slo->budget_total, total), slo->budget_percentage);
    put_label(out, "burn rate");
    put_figure(out, 14, slo->burn_rate);
    fputc('\n', out);
    write_alerts(all, out);
}

static void write_errors(const tbus_errors_snapshot_t *errors, FILE *out)
{
    if (errors->by_type_count > 0)
        fprintf(out, "\n%-*s%14s\n", LABEL_WIDTH, "Errors by type", "errors");
    for (size_t i = 0; i < shown_of(errors->by_type_count); i++) {
        fputs("  ", out);
        put_name(out, LABEL_WIDTH - 2, errors->by_type[i].name);
        put_count(out, 14, errors->by_type[i].errors);
        fputc('\n', out);
    }
    put_more(out, errors->by_type_count);
    if (errors->patterns_count > 0)
        fprintf(out, "\n%-*s%14s   message\n", LABEL_WIDTH, "Errors that are alike", "errors");
    for (size_t i = 0; i < shown_of(errors->patterns_count); i++) {
        const tbus_error_pattern_t *pattern = &errors->patterns[i];
        fprintf(out, "  %s  ", pattern->fingerprint);
        put_name(out, LABEL_WIDTH - 12, pattern->type);
        put_count(out, 14, pattern->count);
        fputs("   ", out);
        put_text(out, MESSAGE_WIDTH, pattern->normalized);
        fputc('\n', out);
    }
    put_more(out, errors->patterns_count);
}

static void write_sum(const char *name, const tbus_cost_sum_t *sum, FILE *out)
{
    char usd[TBUS_MONEY_TEXT_MAX];
    fputs("  ", out);
    put_name(out, LABEL_WIDTH - 2, name);
    put_count(out, 14, sum->requests);
    put_count(out, 16, sum->prompt_tokens);
    put_count(out, 16, sum->completion_tokens);
    put_count(out, 16, sum->cached_tokens);
    fprintf(out, "%18s\n", tbus_money_format(sum->usd, 6, usd));
}

static void write_sums(const char *title, const tbus_cost_sum_t *sums, size_t count, FILE *out)
{
    fprintf(out, "\n%-*s%14s%16s%16s%16s%18s\n", LABEL_WIDTH, title, "requests", "prompt", "completion", "cached",
            "USD");
    for (size_t i = 0; i < shown_of(count); i++)
        write_sum(sums[i].name, &sums[i], out);
    put_more(out, count);
}

static void write_cost(const tbus_cost_snapshot_t *cost, FILE *out)
{
    write_sums("Cost by model", cost->by_model, cost->by_model_count, out);
    write_sum("total", &cost->total, out);
    if (cost->total.unpriced_requests > 0) {
        char text[NUMBER_BYTES];
        fprintf(out, "  %s of these requests are for models without a price of their own\n",
                grouped(cost->total.unpriced_requests, text));
    }
    bool has_keys = cost->by_key_count > 1 || (cost->by_key_count == 1 && cost->by_key[0].name[0] != '\0');
    if (has_keys)
        write_sums("Cost by key", cost->by_key, cost->by_key_count, out);
}

static void write_models(const tbus_streaming_snapshot_t *streaming, FILE *out)
{
    if (streaming->models_count < 2)
        return;
    fprintf(out, "\n%-*s%14s%16s\n", LABEL_WIDTH, "Streams by model", "streams", "tokens");
    for (size_t i = 0; i < shown_of(streaming->models_count); i++) {
        fputs("  ", out);
        put_name(out, LABEL_WIDTH - 2, streaming->models[i].model);
        put_count(out, 14, streaming->models[i].streams);
        put_count(out, 16, streaming->models[i].tokens);
        fputc('\n', out);
    }
    put_more(out, streaming->models_count);
}

static void write_input(const struct report_input *input, FILE *out)
{
    char rows[NUMBER_BYTES], broken[NUMBER_BYTES];
    fprintf(out, "tallybus: ");
    put_text(out, 200, input->file);
    fprintf(out, ", %s %s", grouped(input->rows, rows), strcmp(input->format, "events") == 0 ? "events" : "requests");
    if (input->broken_lines > 0)
        fprintf(out, ", %s broken lines left out", grouped(input->broken_lines, broken));
    fputc('\n', out);
}

int report_write_text(const struct report *report, FILE *out)
{
    write_input(&report->input, out);
    write_events(report, out);
    write_streams(report->streaming, out);
    write_models(report->streaming, out);
    write_latencies(report->streaming, out);
    write_slo(&report->errors->slo_of_all, out);
    write_errors(report->errors, out);
    write_cost(report->cost, out);
    return 0;
}
