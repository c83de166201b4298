/* SLOs that are watched: the one of all requests, and one for each endpoint, with their alerts. Not locked: the
 * tracker's lock covers them. */
#ifndef TRACKERS_ERRORS_SLOS_H
#define TRACKERS_ERRORS_SLOS_H

#include "trackers/errors_findings.h"
#include "trackers/errors_name.h"
#include "trackers/errors_series.h"

struct alert {
    bool active;
    bool told; /* what the queue of findings was told last */
    int64_t since_ns;
    uint64_t entered;
};

struct watch {
    struct series series; /* first: recording needs its first line alone */
    int64_t last_error;   /* latest moment of one; INT64_MIN = none */
    uint32_t target_ppm;
    bool is_reserved; /* has a target of its own: stays for ever */
    struct alert alerts[TBUS_ALERTS];
    struct watch *next_spare;
};

struct slos {
    uint32_t target_ppm, compliance_s, requests_min; /* [const after open] */
    bool rolling;                                    /* [const after open] */
    int64_t looked_at;                               /* the moment that alerts were looked at last; INT64_MIN = never */
    struct watch *all;
    struct watch *spare;    /* memory that a reset has left over */
    struct table endpoints; /* struct watch *, by endpoint; "other" is always there */
};

/* Opens them as the options say, which have been checked. On failure slos_close() is still to be called.
 * Errors: UV_ENOMEM. */
int slos_open(struct slos *slos, const tbus_errors_options_t *options, const struct table_secret *secret);

/* Takes what slos_open() left, or zeroes. */
void slos_close(struct slos *slos);

/* Forgets all, endpoints without a target of their own included; alerts that were on are left, and that is told. */
void slos_reset(struct slos *slos, struct findings *findings);

/* What slos_add() does for an endpoint that is not in the table as it is given. Errors: UV_ENOMEM, where a new endpoint
 * counts as "other" instead. */
int slos_add_slowly(struct slos *slos, struct name *endpoint, int64_t moment, bool failed);

/* Counts a request, in all and for its endpoint. Errors: as above. */
static inline int slos_add(struct slos *slos, struct name *endpoint, int64_t moment, bool failed)
{
    series_add(&slos->all->series, moment, failed);
    if (failed) {
        slos->all->last_error = moment > slos->all->last_error ? moment : slos->all->last_error;
        return slos_add_slowly(slos, endpoint, moment, failed);
    }
    struct watch **watch = table_find_name(&slos->endpoints, &endpoint->fitted);
    if (!watch)
        return slos_add_slowly(slos, endpoint, moment, failed);
    series_add(&(*watch)->series, moment, failed);
    return 0;
}

/* Whether a record at this moment begins a slice in which alerts have not been looked at. */
static inline bool slos_are_due(const struct slos *slos, int64_t moment)
{
    return moment >= slos->all->series.open_from + SERIES_SLICE_NS;
}

/* The time that is now was `span_ns` later (ahead.h): windows and alerts go on from this one. */
void slos_go_back(struct slos *slos, int64_t now_ns, int64_t span_ns);

/* Looks at all alerts as of a moment, and tells what has changed. A moment before the last one counts as that. */
void slos_look(struct slos *slos, int64_t moment, struct findings *findings);

/* Tells what found no room when it was found out. */
void slos_tell(struct slos *slos, struct findings *findings);

/* One finding of slos_tell()'s kind was not delivered: it is to be told again. */
void slos_untell(struct slos *slos, const tbus_finding_t *finding);

/* What a snapshot shows of one, but for its endpoint. */
void slos_show(const struct slos *slos, struct watch *watch, int64_t now, tbus_slo_t *ret_slo);

#endif
