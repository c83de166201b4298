/* The error tracker's options, its making and its end. */
#include <string.h>

#include "trackers/errors.h"
#include "trackers/options.h"

enum { LIMIT_MAX = 1 << 24, TARGET_MAX_PPM = 1000000, COMPLIANCE_MIN_S = 3600, COMPLIANCE_MAX_S = 366 * 86400 };

#define WINDOW_DEFAULT_NS INT64_C(300000000000)

static bool slos_are_good(const tbus_errors_options_t *options)
{
    if (options->endpoint_slos_count > options->endpoints_max ||
        (options->endpoint_slos_count > 0 && !options->endpoint_slos))
        return false;
    for (uint32_t i = 0; i < options->endpoint_slos_count; i++) {
        uint32_t target_ppm = options->endpoint_slos[i].target_ppm;
        if (target_ppm == 0 || target_ppm > TARGET_MAX_PPM)
            return false;
    }
    return true;
}

static bool are_good(const tbus_errors_options_t *options)
{
    return options->slo_target_ppm <= TARGET_MAX_PPM && options->names_max <= LIMIT_MAX &&
           options->patterns_max <= LIMIT_MAX && options->recent_max <= LIMIT_MAX &&
           options->endpoints_max <= LIMIT_MAX && options->compliance_s >= COMPLIANCE_MIN_S &&
           options->compliance_s <= COMPLIANCE_MAX_S && slos_are_good(options) &&
           are_zero(options->reserved, sizeof options->reserved);
}

/* The options with their defaults put in, and none of the magic values left. */
static tbus_errors_options_t complete(const tbus_errors_options_t *given)
{
    tbus_errors_options_t options = given ? *given : (tbus_errors_options_t){0};

    options.slo_target_ppm = or_default(options.slo_target_ppm, 999000);
    options.names_max = or_default(options.names_max, 500);
    options.patterns_max = or_default(options.patterns_max, 1000);
    options.recent_max = options.recent_max == UINT32_MAX ? 0 : or_default(options.recent_max, 500);
    options.pattern_threshold = or_default(options.pattern_threshold, 3);
    options.compliance_s = or_default(options.compliance_s, TBUS_COMPLIANCE_S);
    options.alert_requests_min = or_default(options.alert_requests_min, 100);
    options.endpoints_max = or_default(options.endpoints_max, 100);
    options.excluded_status = options.excluded_status ? options.excluded_status : 499;
    options.window_ns = options.window_ns ? options.window_ns : WINDOW_DEFAULT_NS;
    return options;
}

/* The tables of a zeroed tracker: what could not be opened stays so that clear() takes it. */
static int open_tables(tbus_errors_t *errors, const tbus_errors_options_t *options)
{
    int error = counts_open(&errors->by_endpoint, options->names_max, &errors->name_secret);

    if (!error)
        error = counts_open(&errors->by_type, options->names_max, &errors->name_secret);
    if (!error)
        error = counts_open(&errors->by_model, options->names_max, &errors->name_secret);
    if (!error)
        error = counts_open(&errors->by_status, STATUSES + 1, &errors->name_secret); /* and "none" */
    if (!error)
        error = recents_open(&errors->recents, options->recent_max);
    if (!error)
        error = slos_open(&errors->slos, options, &errors->name_secret);
    return error;
}

static void clear(tbus_errors_t *errors)
{
    table_clear(&errors->by_endpoint);
    table_clear(&errors->by_type);
    table_clear(&errors->by_model);
    table_clear(&errors->by_status);
    patterns_clear(&errors->patterns);
    recents_close(&errors->recents);
    slos_close(&errors->slos);
    tbus_mem_free(errors);
}

/* The latest time is given up (ahead.h). */
static void go_back_locked(void *tracker, int64_t now_ns, int64_t span_ns)
{
    tbus_errors_t *errors = tracker;
    window_go_back(&errors->window, now_ns, span_ns);
    slos_go_back(&errors->slos, now_ns, span_ns);
}

int tbus_errors_open(const tbus_errors_options_t *options, tbus_errors_t **ret)
{
    const tbus_errors_options_t completed = complete(options);

    if (!ret || !are_good(&completed))
        return UV_EINVAL;
    tbus_errors_t *errors = tbus_mem_alloc(sizeof *errors);
    if (!errors)
        return UV_ENOMEM;
    errors->client_errors_count = completed.client_errors_count;
    errors->finer_patterns = completed.finer_patterns;
    errors->excluded_status = completed.excluded_status;
    errors->name_secret = table_secret_open();
    errors->findings.off = completed.findings_off;
    ahead_init(&errors->ahead, completed.ahead_max_ns, completed.clock, completed.clock_user);
    ahead_on_going_back(&errors->ahead, go_back_locked, errors);
    window_init(&errors->window, completed.window_ns, COUNT_SLICES);
    patterns_init(&errors->patterns, completed.patterns_max, completed.pattern_threshold);
    int error = open_tables(errors, &completed);
    if (!error)
        error = uv_mutex_init(&errors->mu);
    if (error) {
        clear(errors);
        return error;
    }
    *ret = errors;
    return 0;
}

void tbus_errors_close(tbus_errors_t *errors)
{
    if (!errors)
        return;
    uv_mutex_destroy(&errors->mu);
    clear(errors);
}

void tbus_errors_reset(tbus_errors_t *errors)
{
    if (!errors)
        return;
    uv_mutex_lock(&errors->mu);
    errors->excluded = 0;
    ahead_reset(&errors->ahead);
    window_reset(&errors->window);
    memset(errors->within, 0, sizeof errors->within);
    table_empty_but_other(&errors->by_endpoint);
    table_empty_but_other(&errors->by_type);
    table_empty_but_other(&errors->by_model);
    table_empty_but_other(&errors->by_status);
    patterns_empty(&errors->patterns);
    recents_empty(&errors->recents);
    slos_reset(&errors->slos, &errors->findings);
    uv_mutex_unlock(&errors->mu);
}
