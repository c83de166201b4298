/* The arithmetic of an SLO. Counts may have all 64 bits, so products are taken in 128. */
#include "trackers/slo.h"

#include <assert.h>
#include <math.h>

#include "trackers/int128.h"

#define PPM UINT64_C(1000000)

tbus_slo_status_t tbus_slo_status(uint64_t total, uint64_t errors, uint32_t target_ppm)
{
    if (errors > total)
        errors = total;
    if (target_ppm > PPM)
        target_ppm = PPM;

    uint128_t allowed = (uint128_t)total * (PPM - target_ppm); /* errors * 1e6 up to which the SLO holds */
    uint128_t failed = (uint128_t)errors * PPM;
    tbus_slo_status_t status = {.target_ppm = target_ppm,
                                .total_requests = total,
                                .errors = errors,
                                .budget_total = (uint64_t)(allowed / PPM),
                                .budget_consumed = errors,
                                .budget_percentage = 100,
                                .violated = failed > allowed,
                                .success_rate = 1};

    if (status.budget_total > errors)
        status.budget_remaining = status.budget_total - errors;
    if (status.budget_total > 0)
        status.budget_percentage = (double)status.budget_remaining / (double)status.budget_total * 100;
    if (total > 0) {
        status.error_rate = (double)errors / (double)total;
        status.success_rate = (double)(total - errors) / (double)total;
    }
    /* one division of whole numbers: at the threshold that is 1 and not nearly 1 */
    if (errors > 0)
        status.burn_rate = allowed > 0 ? uint128_double(failed) / uint128_double(allowed) : (double)INFINITY;
    return status;
}

static const char *const window_names[] = {"5m", "30m", "1h", "2h", "6h", "1d", "3d"};
static_assert(sizeof window_names / sizeof *window_names == TBUS_BURN_WINDOWS, "a name for each");

const char *tbus_burn_window_name(tbus_burn_window_t window)
{
    return (unsigned)window < TBUS_BURN_WINDOWS ? window_names[window] : NULL;
}

/* Factors for 30 days, in tenths, so that all comparing is done in whole numbers. */
static const struct {
    const char *severity;
    tbus_burn_window_t long_window, short_window;
    uint32_t tenths;
} rules[] = {[TBUS_ALERT_PAGE_1H] = {"page", TBUS_BURN_1H, TBUS_BURN_5M, 144},
             [TBUS_ALERT_PAGE_6H] = {"page", TBUS_BURN_6H, TBUS_BURN_30M, 60},
             [TBUS_ALERT_TICKET_1D] = {"ticket", TBUS_BURN_1D, TBUS_BURN_2H, 30},
             [TBUS_ALERT_TICKET_3D] = {"ticket", TBUS_BURN_3D, TBUS_BURN_6H, 10}};
static_assert(sizeof rules / sizeof *rules == TBUS_ALERTS, "a rule for each");

tbus_alert_rule_t tbus_alert_rule(tbus_alert_t alert, uint32_t compliance_s)
{
    if ((unsigned)alert >= TBUS_ALERTS)
        return (tbus_alert_rule_t){.severity = NULL};
    uint64_t period = compliance_s ? compliance_s : TBUS_COMPLIANCE_S;
    return (tbus_alert_rule_t){
        .severity = rules[alert].severity,
        .long_window = rules[alert].long_window,
        .short_window = rules[alert].short_window,
        .factor = (double)(rules[alert].tenths * period) / (10.0 * TBUS_COMPLIANCE_S),
    };
}

/* errors / requests / ((1e6 - target) / 1e6) > tenths / 10 * compliance / 30 days, multiplied out. At most 64 + 46 bits
 * on the left, 64 + 20 + 8 + 32 on the right. */
bool slo_exceeds(struct tally tally, uint32_t target_ppm, tbus_alert_t alert, uint32_t compliance_s)
{
    if (target_ppm > PPM)
        target_ppm = PPM;
    uint64_t period = compliance_s ? compliance_s : TBUS_COMPLIANCE_S;
    uint128_t burnt = (uint128_t)tally.errors * (PPM * 10 * TBUS_COMPLIANCE_S);
    return burnt > (uint128_t)tally.requests * (PPM - target_ppm) * (rules[alert].tenths * period);
}

bool tbus_alert_reachable(tbus_alert_t alert, uint32_t target_ppm, uint32_t compliance_s)
{
    return (unsigned)alert < TBUS_ALERTS && slo_exceeds((struct tally){1, 1}, target_ppm, alert, compliance_s);
}
