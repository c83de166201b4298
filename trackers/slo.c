/* The arithmetic of an SLO. Counts may have all 64 bits, so products are taken in 128. */
#include <math.h>

#include <tallybus/errors.h>

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
        status.burn_rate = allowed > 0 ? (double)failed / (double)allowed : (double)INFINITY;
    return status;
}
