#include <math.h>

#include <tallybus/slo.h>

#include "tests/check.h"
#include "tests/oracle.h"
#include "trackers/slo.h"

/* semantics: errors.violated */
Test(slo, of_1000_requests_at_99_9_percent_one_may_fail)
{
    tbus_slo_status_t status = tbus_slo_status(1000, 1, 999000);

    cr_assert_eq(status.target_ppm, 999000);
    cr_assert_eq(status.total_requests, 1000);
    cr_assert_eq(status.errors, 1);
    cr_assert_eq(status.budget_total, 1);
    cr_assert_eq(status.budget_consumed, 1);
    cr_assert_eq(status.budget_remaining, 0);
    cr_assert_eq(status.budget_percentage, 0);
    cr_assert_eq(status.error_rate, 0.001);
    cr_assert_eq(status.success_rate, 0.999);
    cr_assert_eq(status.burn_rate, 1);
    cr_assert_not(status.violated, "exactly at the threshold");

    status = tbus_slo_status(1000, 2, 999000);
    cr_assert(status.violated);
    cr_assert_eq(status.budget_remaining, 0);
    cr_assert_eq(status.burn_rate, 2);

    status = tbus_slo_status(1000, 0, 999000);
    cr_assert_not(status.violated);
    cr_assert_eq(status.budget_remaining, 1);
    cr_assert_eq(status.budget_percentage, 100);
    cr_assert_eq(status.burn_rate, 0);
}

/* semantics: errors.budget */
Test(slo, the_budget_is_rounded_down)
{
    cr_assert_eq(tbus_slo_status(999, 0, 999000).budget_total, 0);
    cr_assert(tbus_slo_status(999, 1, 999000).violated);
    cr_assert_eq(tbus_slo_status(1999, 0, 999000).budget_total, 1);
    cr_assert_not(tbus_slo_status(1999, 1, 999000).violated);
    cr_assert_eq(tbus_slo_status(2000, 1, 999000).budget_percentage, 50);
}

Test(slo, without_requests_all_is_well)
{
    tbus_slo_status_t status = tbus_slo_status(0, 0, 999000);

    cr_assert_not(status.violated);
    cr_assert_eq(status.success_rate, 1);
    cr_assert_eq(status.error_rate, 0);
    cr_assert_eq(status.burn_rate, 0);
    cr_assert_eq(status.budget_percentage, 100);
}

/* semantics: errors.burn */
Test(slo, a_target_of_all_allows_no_error)
{
    cr_assert_not(tbus_slo_status(1000, 0, 1000000).violated);
    cr_assert_eq(tbus_slo_status(1000, 0, 1000000).burn_rate, 0);
    cr_assert(tbus_slo_status(UINT64_MAX, 1, 1000000).violated);
    cr_assert(isinf(tbus_slo_status(1000, 1, 1000000).burn_rate));
}

Test(slo, numbers_out_of_range_are_cut)
{
    tbus_slo_status_t status = tbus_slo_status(10, 11, UINT32_MAX);

    cr_assert_eq(status.errors, 10);
    cr_assert_eq(status.budget_consumed, 10);
    cr_assert_eq(status.target_ppm, 1000000);
    cr_assert_eq(status.success_rate, 0);
    status = tbus_slo_status(0, UINT64_MAX, 0);
    cr_assert_eq(status.errors, 0);
    cr_assert_not(status.violated);
}

Test(slo, counts_of_64_bits_do_not_overflow)
{
    uint64_t allowed = UINT64_MAX / 1000; /* 18446744073709551.615 */

    cr_assert_eq(tbus_slo_status(UINT64_MAX, 0, 999000).budget_total, allowed);
    cr_assert_not(tbus_slo_status(UINT64_MAX, allowed, 999000).violated);
    cr_assert(tbus_slo_status(UINT64_MAX, allowed + 1, 999000).violated);
    cr_assert_not(tbus_slo_status(UINT64_MAX, UINT64_MAX, 0).violated);
}

/* Numbers of every size, and as often as not right at the threshold. */
/* semantics: errors.budget errors.violated errors.burn */
Test(slo, random_numbers_against_fractions)
{
    uint64_t random = oracle_seed("slo");
    struct oracle oracle;

    oracle_open(&oracle);
    for (int i = 0; i < 20000; i++) {
        uint64_t total = oracle_random(&random) >> oracle_random(&random) % 64;
        uint64_t errors = oracle_random(&random) >> oracle_random(&random) % 64;
        uint32_t target = i % 3 ? (uint32_t)(oracle_random(&random) % 1000003) : 1000000 - (uint32_t)i % 1000;
        if (i % 2)
            errors = tbus_slo_status(total, 0, target).budget_total + oracle_random(&random) % 3 - 1;
        tbus_slo_status_t status = tbus_slo_status(total, errors, target);
        fprintf(oracle.cases, "%llu %llu %u %llu %llu %llu %d %a %a %a %a\n", (unsigned long long)total,
                (unsigned long long)errors, target, (unsigned long long)status.budget_total,
                (unsigned long long)status.budget_consumed, (unsigned long long)status.budget_remaining,
                status.violated, status.budget_percentage, status.error_rate, status.success_rate, status.burn_rate);
        oracle.lines++;
    }
    oracle_check(&oracle, "tests/trackers/slo_oracle.py", "");
}

/* --- Alerts --- */

/* semantics: errors.alerts */
Test(slo, alerts_are_those_of_the_table)
{
    static const struct {
        const char *severity, *longer, *brief;
        double factor;
    } table[] = {
        {"page", "1h", "5m", 14.4}, {"page", "6h", "30m", 6}, {"ticket", "1d", "2h", 3}, {"ticket", "3d", "6h", 1}};

    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        tbus_alert_rule_t rule = tbus_alert_rule(i, 0);
        cr_assert_str_eq(rule.severity, table[i].severity);
        cr_assert_str_eq(tbus_burn_window_name(rule.long_window), table[i].longer);
        cr_assert_str_eq(tbus_burn_window_name(rule.short_window), table[i].brief);
        cr_assert_eq(rule.factor, table[i].factor);
        cr_assert_float_eq(tbus_alert_rule(i, 7 * 86400).factor, table[i].factor * 7 / 30, 1e-12);
        cr_assert_float_eq(tbus_alert_rule(i, 90 * 86400).factor, table[i].factor * 3, 1e-12);
    }
    cr_assert_null(tbus_alert_rule(TBUS_ALERTS, 0).severity);
    cr_assert_null(tbus_burn_window_name(TBUS_BURN_WINDOWS));
}

/* A full outage burns 1 / (1 - target), which has to be more than the factor. */
Test(slo, a_loose_target_makes_alerts_unreachable)
{
    static const double factors[] = {14.4, 6, 3, 1};

    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        for (uint32_t target = 0; target <= 1000000; target += 50) {
            double most = 1e6 / (1e6 - target), near = fabs(most - factors[i]) / factors[i];
            if (near > 1e-9)
                cr_assert_eq(tbus_alert_reachable(i, target, 0), most > factors[i], "%u of %u", i, target);
            else
                cr_assert_not(tbus_alert_reachable(i, target, 0), "exactly the factor is not more");
        }
    }
    cr_assert(tbus_alert_reachable(TBUS_ALERT_PAGE_1H, 900000, 2592000 / 2));
    cr_assert_not(tbus_alert_reachable(TBUS_ALERT_PAGE_1H, 900000, 0), "10 is below 14.4");
    cr_assert(tbus_alert_reachable(TBUS_ALERT_PAGE_1H, UINT32_MAX, 0), "as 1,000,000");
    cr_assert_not(tbus_alert_reachable(TBUS_ALERTS, 999000, 0));
}

Test(slo, an_alert_wants_more_than_its_factor)
{
    /* 14.4 * 0.1 % of 10,000 = 144 */
    cr_assert_not(slo_exceeds((struct tally){10000, 144}, 999000, TBUS_ALERT_PAGE_1H, 0));
    cr_assert(slo_exceeds((struct tally){10000, 145}, 999000, TBUS_ALERT_PAGE_1H, 0));
    cr_assert_not(slo_exceeds((struct tally){1000, 1}, 999000, TBUS_ALERT_TICKET_3D, 0));
    cr_assert(slo_exceeds((struct tally){999, 1}, 999000, TBUS_ALERT_TICKET_3D, 0));
    cr_assert_not(slo_exceeds((struct tally){0, 0}, 1000000, TBUS_ALERT_TICKET_3D, 0));
    cr_assert(slo_exceeds((struct tally){UINT64_MAX, 1}, 1000000, TBUS_ALERT_PAGE_1H, UINT32_MAX));
    cr_assert_not(slo_exceeds((struct tally){UINT64_MAX, UINT64_MAX}, 0, TBUS_ALERT_TICKET_3D, UINT32_MAX));
    cr_assert(slo_exceeds((struct tally){UINT64_MAX, UINT64_MAX}, 999999, TBUS_ALERT_TICKET_3D, UINT32_MAX));
}
