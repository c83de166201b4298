/* Recording, and what is found out by it. */
#include "trackers/errors.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "trackers/fingerprint.h"
#include "trackers/moment.h"

/* An error with all that can be worked out before the lock is taken. */
struct failure {
    const tbus_error_t *error;
    int64_t moment; /* like the sighting's time known under the lock only: where it is believed to be */
    struct name type, endpoint, model;
    struct signature signature;
    struct cut_text texts[RECENT_TEXTS];
    char request_id[TBUS_ERROR_ID_BYTES];
    struct sighting sighting;
};

static char *put(char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    return to + length;
}

static void make_signature(const tbus_errors_t *errors, struct failure *failure)
{
    const struct table_name *type = &failure->type.fitted, *endpoint = &failure->endpoint.fitted;
    struct signature *signature = &failure->signature;
    char *to = put(signature->text, type->text, type->length);

    *to++ = ':';
    to = put(to, endpoint->text, endpoint->length);
    *to++ = ':';
    assert(sizeof signature->text - (size_t)(to - signature->text) >= TBUS_NORMALIZED_BYTES);
    to += errors->finer_patterns ? tbus_error_normalize_finer(failure->error->message, to)
                                 : tbus_error_normalize(failure->error->message, to);
    signature->type_length = (uint16_t)type->length;
    signature->endpoint_length = (uint16_t)endpoint->length;
    table_fit_bytes(&errors->patterns.table, signature->text, (uint32_t)(to - signature->text), &signature->name);
}

static const char *normalized_of(const struct signature *signature)
{
    return signature->text + signature->type_length + 1 + signature->endpoint_length + 1;
}

/* 0 = there is no id. */
static uint64_t hash_id(const tbus_errors_t *errors, const char *id)
{
    return id && *id ? table_hash(id, strlen(id), &errors->name_secret) | 1 : 0;
}

static void prepare(const tbus_errors_t *errors, const tbus_error_t *error, struct failure *failure)
{
    failure->error = error;
    name_fit(&failure->type, error->type, &errors->by_type);
    name_fit(&failure->endpoint, error->endpoint, &errors->by_endpoint);
    name_fit(&failure->model, error->model, &errors->by_model);
    make_signature(errors, failure);
    failure->texts[RECENT_MESSAGE] = cut_text(error->message, TBUS_ERROR_TEXT_BYTES);
    failure->texts[RECENT_REQUEST_ID] = cut_text(error->request_id, TBUS_ERROR_ID_BYTES);
    failure->texts[RECENT_USER_ID] = cut_text(error->user_id, TBUS_ERROR_ID_BYTES);
    const struct cut_text *id = &failure->texts[RECENT_REQUEST_ID];
    *put(failure->request_id, id->text, id->length) = '\0';
    failure->sighting = (struct sighting){.user = hash_id(errors, error->user_id),
                                          .request = hash_id(errors, error->request_id),
                                          .request_id = failure->request_id};
}

/* Enters the window of all counts. */
static uint32_t enter_locked(tbus_errors_t *errors, int64_t moment)
{
    struct window_stale stale;
    uint32_t slot = window_enter(&errors->window, moment, &stale);

    for (; stale.count > 0; window_next_stale(&errors->window, &stale)) {
        errors->within[stale.slot] = (struct tally){0};
        counts_expire(&errors->by_endpoint, stale.slot);
        counts_expire(&errors->by_type, stale.slot);
        counts_expire(&errors->by_model, stale.slot);
        counts_expire(&errors->by_status, stale.slot);
    }
    return slot;
}

/* A request, in all that counts good ones, too. Errors: UV_ENOMEM, as everywhere below. */
static int count_request_locked(tbus_errors_t *errors, struct name *endpoint, int64_t moment, bool failed,
                                uint32_t *ret_slot)
{
    bool due = slos_are_due(&errors->slos, moment);

    *ret_slot = enter_locked(errors, moment);
    if (*ret_slot != WINDOW_PAST) {
        errors->within[*ret_slot].requests++;
        errors->within[*ret_slot].errors += failed;
    }
    int error = slos_add(&errors->slos, endpoint, moment, failed);
    if (due)
        slos_look(&errors->slos, moment, &errors->findings);
    return error;
}

static int count_status_locked(tbus_errors_t *errors, int64_t status_code, uint32_t slot)
{
    char text[4] = "";
    const char *status = TABLE_OTHER;
    struct name name;
    uint32_t cell;

    if (status_code == 0) {
        status = STATUS_NONE;
    } else if (status_code >= STATUS_FIRST && status_code <= STATUS_LAST) {
        text[0] = (char)('0' + status_code / 100);
        text[1] = (char)('0' + status_code / 10 % 10);
        text[2] = (char)('0' + status_code % 10);
        status = text;
    }
    name_fit(&name, status, &errors->by_status);
    return counts_add(&errors->by_status, &name, slot, &cell);
}

/* The error in all counts. */
static int count_error_locked(tbus_errors_t *errors, struct failure *failure)
{
    uint32_t slot, cell;

    failure->moment = ahead_believe(&errors->ahead, moment_of(failure->error->time_ns));
    failure->sighting.time_ns = failure->moment;
    int failed = count_request_locked(errors, &failure->endpoint, failure->moment, true, &slot);
    int error = count_status_locked(errors, failure->error->status_code, slot);
    failed = error ? error : failed;
    error = counts_add(&errors->by_type, &failure->type, slot, &cell);
    failed = error ? error : failed;
    error = counts_add(&errors->by_endpoint, &failure->endpoint, slot, &cell);
    failed = error ? error : failed;
    error = counts_add(&errors->by_model, &failure->model, slot, &failure->sighting.model);
    return error ? error : failed;
}

/* Names are clean from here on: the counts have seen to that. */
static void keep_recent_locked(tbus_errors_t *errors, struct failure *failure, const char *fingerprint)
{
    failure->texts[RECENT_TYPE] = (struct cut_text){failure->type.fitted.text, failure->type.fitted.length};
    failure->texts[RECENT_ENDPOINT] = (struct cut_text){failure->endpoint.fitted.text, failure->endpoint.fitted.length};
    failure->texts[RECENT_MODEL] = (struct cut_text){failure->model.fitted.text, failure->model.fitted.length};
    recents_add(&errors->recents, failure->texts, fingerprint, failure->error->status_code, failure->error->time_ns);
}

static int record_failure(tbus_errors_t *errors, const tbus_error_t *error)
{
    struct failure failure;
    char fingerprint[TBUS_FINGERPRINT_BYTES];

    prepare(errors, error, &failure);
    uv_mutex_lock(&errors->mu);
    struct pattern *pattern = patterns_find(&errors->patterns, &failure.signature);
    if (!pattern) {
        /* SHA-256 is for new patterns only, and nobody has to wait for it; meanwhile another thread may add the same */
        uv_mutex_unlock(&errors->mu);
        fingerprint_of(error->type, error->endpoint, normalized_of(&failure.signature), fingerprint);
        uv_mutex_lock(&errors->mu);
        pattern = patterns_find(&errors->patterns, &failure.signature);
        if (!pattern)
            pattern = patterns_add(&errors->patterns, &failure.signature, fingerprint);
    }
    int failed = count_error_locked(errors, &failure);
    if (pattern)
        patterns_see(&errors->patterns, pattern, &failure.sighting, &errors->findings);
    keep_recent_locked(errors, &failure, pattern ? pattern->fingerprint : fingerprint);
    uv_mutex_unlock(&errors->mu);
    return pattern ? failed : UV_ENOMEM;
}

static bool is_excluded(const tbus_errors_t *errors, int64_t status_code)
{
    return errors->excluded_status >= 0 && status_code == errors->excluded_status;
}

static bool is_failure(const tbus_errors_t *errors, int64_t status_code)
{
    return status_code >= 500 || (errors->client_errors_count && status_code >= 400);
}

static void record_excluded(tbus_errors_t *errors, int64_t time_ns)
{
    uv_mutex_lock(&errors->mu);
    errors->excluded++;
    (void)ahead_believe(&errors->ahead, moment_of(time_ns));
    uv_mutex_unlock(&errors->mu);
}

static int record_success(tbus_errors_t *errors, const char *endpoint, int64_t time_ns)
{
    struct name name;
    uint32_t slot;

    name_fit(&name, endpoint, &errors->by_endpoint);
    uv_mutex_lock(&errors->mu);
    int64_t moment = ahead_believe(&errors->ahead, moment_of(time_ns));
    int error = count_request_locked(errors, &name, moment, false, &slot);
    uv_mutex_unlock(&errors->mu);
    return error;
}

int tbus_errors_record_request(tbus_errors_t *errors, const tbus_error_t *request)
{
    char type[32];

    if (!errors || !request)
        return UV_EINVAL;
    if (is_excluded(errors, request->status_code)) {
        record_excluded(errors, request->time_ns);
        return 0;
    }
    if (!is_failure(errors, request->status_code))
        return record_success(errors, request->endpoint, request->time_ns);
    tbus_error_t error = *request;
    snprintf(type, sizeof type, "http_%lld", (long long)request->status_code);
    error.type = type;
    error.message = NULL;
    return record_failure(errors, &error);
}

int tbus_errors_record_response(tbus_errors_t *errors, const char *endpoint, const char *model, int64_t status_code,
                                int64_t time_ns)
{
    return tbus_errors_record_request(
        errors, &(tbus_error_t){.endpoint = endpoint, .model = model, .status_code = status_code, .time_ns = time_ns});
}

int tbus_errors_record_error(tbus_errors_t *errors, const tbus_error_t *error)
{
    if (!errors || !error)
        return UV_EINVAL;
    if (is_excluded(errors, error->status_code)) {
        record_excluded(errors, error->time_ns);
        return 0;
    }
    return record_failure(errors, error);
}

/* --- Findings --- */

int tbus_errors_evaluate(tbus_errors_t *errors, int64_t now_ns)
{
    if (!errors)
        return UV_EINVAL;
    uv_mutex_lock(&errors->mu);
    int64_t latest = ahead_latest(&errors->ahead), now = moment_of(now_ns);
    bool believed = now > latest && !ahead_is_beyond(&errors->ahead, now);
    slos_look(&errors->slos, believed ? now : latest, &errors->findings);
    uv_mutex_unlock(&errors->mu);
    return 0;
}

static bool take_finding_locked(tbus_errors_t *errors, tbus_finding_t *ret_finding)
{
    if (errors->findings.behind && errors->findings.count == 0) {
        errors->findings.behind = false;
        slos_tell(&errors->slos, &errors->findings);
        patterns_tell(&errors->patterns, &errors->findings);
    }
    return findings_take(&errors->findings, ret_finding);
}

int tbus_errors_take_finding(tbus_errors_t *errors, tbus_finding_t *ret_finding)
{
    if (!errors || !ret_finding)
        return UV_EINVAL;
    uv_mutex_lock(&errors->mu);
    bool taken = take_finding_locked(errors, ret_finding);
    uv_mutex_unlock(&errors->mu);
    return taken;
}

bool errors_take_to_publish(tbus_errors_t *errors, bool first, tbus_finding_t *ret_finding)
{
    bool taken = false;

    uv_mutex_lock(&errors->mu);
    if (!first || !errors->publishing)
        errors->publishing = taken = take_finding_locked(errors, ret_finding);
    uv_mutex_unlock(&errors->mu);
    return taken;
}

void errors_return_unpublished(tbus_errors_t *errors, const tbus_finding_t *finding)
{
    uv_mutex_lock(&errors->mu);
    errors->publishing = false;
    if (!findings_return(&errors->findings, finding)) {
        if (finding->kind == TBUS_FINDING_PATTERN)
            patterns_untell(&errors->patterns, finding);
        else
            slos_untell(&errors->slos, finding);
    }
    uv_mutex_unlock(&errors->mu);
}
