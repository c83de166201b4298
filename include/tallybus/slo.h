/* The arithmetic of a service level objective (SLO): error budget, burn rates, and when to alert. Needs no tracker. */
#ifndef TALLYBUS_SLO_H
#define TALLYBUS_SLO_H

#include <tallybus/base.h>

TBUS_BEGIN_DECLS

/* Integers throughout: total requests, of which `errors` failed. */
typedef struct tbus_slo_status {
    uint32_t target_ppm;
    uint64_t total_requests, errors;
    uint64_t budget_total;     /* floor(total * (1e6 - target_ppm) / 1e6): errors that are allowed */
    uint64_t budget_consumed;  /* = errors */
    uint64_t budget_remaining; /* max(0, budget_total - consumed) */
    double budget_percentage;  /* remaining / budget_total * 100; 100 when budget_total is 0 */
    bool violated;             /* errors * 1e6 > total * (1e6 - target_ppm): exactly at the threshold is not violated */
    double error_rate;         /* errors / total; 0 without requests */
    double success_rate;       /* 1 - error rate; 1 without requests */
    double burn_rate; /* error rate / (1 - target); 0 without errors; infinite where the target is 1 and there are */
} tbus_slo_status_t;

/* The status that these numbers have; `errors` above `total` counts as `total`. Never fails. [any thread] */
TBUS_API tbus_slo_status_t tbus_slo_status(uint64_t total, uint64_t errors, uint32_t target_ppm);

/* The windows that burn rates are over. */
typedef enum tbus_burn_window {
    TBUS_BURN_5M = 0,
    TBUS_BURN_30M,
    TBUS_BURN_1H,
    TBUS_BURN_2H,
    TBUS_BURN_6H,
    TBUS_BURN_1D,
    TBUS_BURN_3D,
    TBUS_BURN_WINDOWS
} tbus_burn_window_t;

/* "5m", "30m", "1h", "2h", "6h", "1d", "3d"; static memory; NULL for a number that is none. [any thread] */
TBUS_API const char *tbus_burn_window_name(tbus_burn_window_t window);

/* Alerts by several windows and burn rates. One is on while the burn rates over its long and over its short window both
 * exceed its factor. They are named by their long window. */
typedef enum tbus_alert {
    TBUS_ALERT_PAGE_1H = 0, /* and 5 m; factor 14.4: 2 % of 30 days' budget in an hour */
    TBUS_ALERT_PAGE_6H,     /* and 30 m; 6: 5 % in 6 hours */
    TBUS_ALERT_TICKET_1D,   /* and 2 h; 3: 10 % in a day */
    TBUS_ALERT_TICKET_3D,   /* and 6 h; 1: 10 % in 3 days */
    TBUS_ALERTS
} tbus_alert_t;

#define TBUS_COMPLIANCE_S 2592000 /* 30 days, in seconds: what the factors above are for */

typedef struct tbus_alert_rule {
    const char *severity; /* "page" or "ticket"; static memory */
    tbus_burn_window_t long_window, short_window;
    double factor; /* share of the budget * compliance period / long window */
} tbus_alert_rule_t;

/* What makes an alert, for an SLO whose budget is for `compliance_s` seconds (0 = 30 days). Without a severity for a
 * number that is none. [any thread] */
TBUS_API tbus_alert_rule_t tbus_alert_rule(tbus_alert_t alert, uint32_t compliance_s);

/* Whether an alert can ever come on: with a loose target even a full outage, which burns 1 / (1 - target), may not
 * exceed the factor. Ask before opening a tracker; its snapshot says the same. [any thread] */
TBUS_API bool tbus_alert_reachable(tbus_alert_t alert, uint32_t target_ppm, uint32_t compliance_s);

TBUS_END_DECLS

#endif
