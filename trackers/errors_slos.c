#include "trackers/errors_slos.h"

#include <assert.h>
#include <string.h>

#include "trackers/moment.h"

/* Memory for a watch: what a reset has left over, so that it takes none anew, or a new one. */
static struct watch *take_memory(struct slos *slos)
{
    struct watch *watch = slos->spare;

    if (!watch)
        return tbus_mem_alloc(sizeof *watch + series_places(slos->rolling) * sizeof(struct tally));
    slos->spare = watch->next_spare;
    return watch;
}

static struct watch *watch_open(struct slos *slos)
{
    static_assert(sizeof(struct watch) % _Alignof(struct tally) == 0, "what follows it is aligned");
    struct watch *watch = take_memory(slos);

    if (!watch)
        return NULL;
    *watch = (struct watch){.target_ppm = slos->target_ppm, .last_error = INT64_MIN};
    series_init(&watch->series, (struct tally *)(void *)(watch + 1), slos->rolling, slos->compliance_s);
    return watch;
}

/* The watch of an endpoint, or of "other" where there is no room or, which is UV_ENOMEM, no memory for it. */
static struct watch *find_or_add(struct slos *slos, struct name *endpoint, int *ret_error)
{
    struct watch **watch = name_add_or_other(&slos->endpoints, endpoint, ret_error);

    if (!watch || *watch)
        return watch ? *watch : NULL; /* NULL only at open, before "other" is there */
    *watch = watch_open(slos);
    if (*watch)
        return *watch;
    table_remove(&slos->endpoints, watch);
    *ret_error = UV_ENOMEM;
    watch = table_find(&slos->endpoints, TABLE_OTHER);
    return watch ? *watch : NULL;
}

static int reserve(struct slos *slos, const tbus_endpoint_slo_t *given)
{
    struct name endpoint;
    int error;

    name_fit(&endpoint, given->endpoint, &slos->endpoints);
    struct watch *watch = find_or_add(slos, &endpoint, &error);
    if (error)
        return error;
    watch->target_ppm = given->target_ppm;
    watch->is_reserved = true;
    return 0;
}

int slos_open(struct slos *slos, const tbus_errors_options_t *options, const struct table_secret *secret)
{
    struct name other;
    int error;

    slos->target_ppm = options->slo_target_ppm;
    slos->compliance_s = options->compliance_s;
    slos->requests_min = options->alert_requests_min;
    slos->rolling = options->rolling;
    slos->looked_at = INT64_MIN;
    names_init(&slos->endpoints, sizeof(struct watch *), options->endpoints_max, secret);
    slos->all = watch_open(slos);
    if (!slos->all)
        return UV_ENOMEM;
    name_fit(&other, TABLE_OTHER, &slos->endpoints);
    (void)find_or_add(slos, &other, &error);
    for (uint32_t i = 0; !error && i < options->endpoint_slos_count; i++)
        error = reserve(slos, &options->endpoint_slos[i]);
    return error;
}

void slos_close(struct slos *slos)
{
    for (uint32_t cell = 0; cell < slos->endpoints.used; cell++) {
        struct watch **watch = table_at(&slos->endpoints, cell);
        if (watch)
            tbus_mem_free(*watch);
    }
    table_clear(&slos->endpoints);
    while (slos->spare) {
        struct watch *spare = slos->spare;
        slos->spare = spare->next_spare;
        tbus_mem_free(spare);
    }
    tbus_mem_free(slos->all);
}

int slos_add_slowly(struct slos *slos, struct name *endpoint, int64_t moment, bool failed)
{
    int error;
    struct watch *watch = find_or_add(slos, endpoint, &error);

    assert(watch);
    series_add(&watch->series, moment, failed);
    if (failed && moment > watch->last_error)
        watch->last_error = moment;
    return error;
}

static void go_back(struct watch *watch, int64_t now_ns, int64_t span_ns)
{
    series_go_back(&watch->series, now_ns, span_ns);
    if (watch->last_error > now_ns)
        watch->last_error = moment_before(watch->last_error, span_ns);
}

void slos_go_back(struct slos *slos, int64_t now_ns, int64_t span_ns)
{
    go_back(slos->all, now_ns, span_ns);
    for (uint32_t cell = 0; cell < slos->endpoints.used; cell++) {
        struct watch **watch = table_at(&slos->endpoints, cell);
        if (watch)
            go_back(*watch, now_ns, span_ns);
    }
    if (slos->looked_at > now_ns)
        slos->looked_at = now_ns;
}

/* --- Alerts --- */

static double burn_rate_of(const struct watch *watch, struct tally tally)
{
    return tbus_slo_status(tally.requests, tally.errors, watch->target_ppm).burn_rate;
}

/* `endpoint` NULL = all. */
static void tell(const struct slos *slos, struct watch *watch, tbus_alert_t which, const char *endpoint, int64_t moment,
                 struct findings *findings)
{
    struct alert *alert = &watch->alerts[which];
    tbus_finding_t *finding = findings_add(findings);

    if (!finding)
        return;
    alert->told = alert->active;
    tbus_alert_rule_t rule = tbus_alert_rule(which, slos->compliance_s);
    finding->kind = alert->active ? TBUS_FINDING_ALERT_ENTERED : TBUS_FINDING_ALERT_LEFT;
    finding->time_ns = moment;
    finding->alert = which;
    finding->factor = rule.factor;
    finding->burn_rate = burn_rate_of(watch, series_burn(&watch->series, rule.long_window, moment));
    finding->all_endpoints = !endpoint;
    if (endpoint)
        memcpy(finding->endpoint, endpoint, strlen(endpoint) + 1);
}

static bool is_on(const struct slos *slos, struct watch *watch, tbus_alert_t which, int64_t moment)
{
    tbus_alert_rule_t rule = tbus_alert_rule(which, slos->compliance_s);
    struct tally brief = series_burn(&watch->series, rule.short_window, moment);

    if (!slo_exceeds(brief, watch->target_ppm, which, slos->compliance_s))
        return false;
    struct tally longer = series_burn(&watch->series, rule.long_window, moment);
    return longer.requests >= slos->requests_min && slo_exceeds(longer, watch->target_ppm, which, slos->compliance_s);
}

static bool has_active(const struct watch *watch)
{
    bool active = false;

    for (unsigned i = 0; i < TBUS_ALERTS; i++)
        active |= watch->alerts[i].active;
    return active;
}

static void look_at(const struct slos *slos, struct watch *watch, const char *endpoint, int64_t moment,
                    struct findings *findings)
{
    /* Without an error in the longest of the short windows, which with its last slice is 6 h 15 m long, none can be on:
     * most endpoints need no more than this. */
    const int64_t quiet_ns = INT64_C(7) * 3600 * 1000000000;
    bool is_quiet = watch->last_error == INT64_MIN || moment - watch->last_error > quiet_ns;

    if (is_quiet && !has_active(watch))
        return;
    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        struct alert *alert = &watch->alerts[i];
        bool on = is_on(slos, watch, i, moment);
        if (on == alert->active)
            continue;
        alert->active = on;
        alert->since_ns = moment;
        alert->entered += on;
        if (alert->told != on)
            tell(slos, watch, i, endpoint, moment, findings);
    }
}

void slos_look(struct slos *slos, int64_t moment, struct findings *findings)
{
    if (moment < slos->looked_at)
        moment = slos->looked_at;
    slos->looked_at = moment;
    look_at(slos, slos->all, NULL, moment, findings);
    for (uint32_t cell = 0; cell < slos->endpoints.used; cell++) {
        struct watch **watch = table_at(&slos->endpoints, cell);
        if (watch)
            look_at(slos, *watch, table_key(&slos->endpoints, watch, NULL), moment, findings);
    }
}

static void tell_all_of(const struct slos *slos, struct watch *watch, const char *endpoint, struct findings *findings)
{
    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        if (watch->alerts[i].told != watch->alerts[i].active)
            tell(slos, watch, i, endpoint, watch->alerts[i].since_ns, findings);
    }
}

void slos_tell(struct slos *slos, struct findings *findings)
{
    tell_all_of(slos, slos->all, NULL, findings);
    for (uint32_t cell = 0; cell < slos->endpoints.used; cell++) {
        struct watch **watch = table_at(&slos->endpoints, cell);
        if (watch)
            tell_all_of(slos, *watch, table_key(&slos->endpoints, watch, NULL), findings);
    }
}

void slos_untell(struct slos *slos, const tbus_finding_t *finding)
{
    struct watch **watch = finding->all_endpoints ? &slos->all : table_find(&slos->endpoints, finding->endpoint);

    if (watch)
        (*watch)->alerts[finding->alert].told = finding->kind == TBUS_FINDING_ALERT_LEFT;
}

static void reset(struct watch *watch)
{
    series_reset(&watch->series);
    watch->last_error = INT64_MIN;
}

static bool has_to_tell(const struct watch *watch)
{
    bool has = false;

    for (unsigned i = 0; i < TBUS_ALERTS; i++)
        has |= watch->alerts[i].told != watch->alerts[i].active;
    return has;
}

/* Nothing is active any more; what has not been told yet still has to be. */
static void reset_alerts(struct watch *watch)
{
    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        struct alert *alert = &watch->alerts[i];
        *alert = (struct alert){.told = alert->told, .since_ns = alert->told ? alert->since_ns : 0};
    }
}

void slos_reset(struct slos *slos, struct findings *findings)
{
    reset(slos->all);
    for (uint32_t cell = 0; cell < slos->endpoints.used; cell++) {
        struct watch **watch = table_at(&slos->endpoints, cell);
        if (watch)
            reset(*watch);
    }
    slos_look(slos, slos->looked_at, findings);
    slos->looked_at = INT64_MIN;
    reset_alerts(slos->all);

    const void *other = table_find(&slos->endpoints, TABLE_OTHER);
    for (uint32_t cell = 0; cell < slos->endpoints.used; cell++) {
        struct watch **watch = table_at(&slos->endpoints, cell);
        if (!watch)
            continue;
        reset_alerts(*watch);
        if (watch != other && !(*watch)->is_reserved && !has_to_tell(*watch)) {
            (*watch)->next_spare = slos->spare;
            slos->spare = *watch;
            table_remove(&slos->endpoints, watch);
        }
    }
}

/* --- Reading --- */

void slos_show(const struct slos *slos, struct watch *watch, int64_t now, tbus_slo_t *ret_slo)
{
    struct tally basis = series_period(&watch->series, now);

    ret_slo->status = tbus_slo_status(basis.requests, basis.errors, watch->target_ppm);
    for (unsigned i = 0; i < TBUS_BURN_WINDOWS; i++) {
        struct tally burn = series_burn(&watch->series, i, now);
        ret_slo->burn[i] = (tbus_burn_t){burn.requests, burn.errors, burn_rate_of(watch, burn)};
    }
    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        const struct alert *alert = &watch->alerts[i];
        ret_slo->alerts[i] =
            (tbus_alert_status_t){.active = alert->active,
                                  .unreachable = !tbus_alert_reachable(i, watch->target_ppm, slos->compliance_s),
                                  .factor = tbus_alert_rule(i, slos->compliance_s).factor,
                                  .since_ns = alert->since_ns,
                                  .entered = alert->entered};
    }
}
