#include "trackers/errors.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "trackers/fingerprint.h"

enum { LIMIT_MAX = 1 << 24, NAMES_DEFAULT = 500, PATTERNS_DEFAULT = 1000, EXCLUDED_DEFAULT = 499 };
enum { TARGET_DEFAULT_PPM = 999000, TARGET_MAX_PPM = 1000000 };

static int init_tables(tbus_errors_t *errors, uint32_t names_max, uint32_t patterns_max)
{
    struct table *const tables[] = {&errors->by_endpoint, &errors->by_type, &errors->by_model};
    int error = 0;

    patterns_init(&errors->patterns, patterns_max);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        table_init(tables[i], sizeof(uint64_t), ERRORS_NAME_MAX, names_max + 1); /* and "other" */
        if (!error)
            error = table_open_other(tables[i]);
    }
    return error;
}

static void clear_tables(tbus_errors_t *errors)
{
    table_clear(&errors->by_endpoint);
    table_clear(&errors->by_type);
    table_clear(&errors->by_model);
    patterns_clear(&errors->patterns);
}

int tbus_errors_open(const tbus_errors_options_t *options, tbus_errors_t **ret)
{
    static const tbus_errors_options_t defaults;
    const tbus_errors_options_t *given = options ? options : &defaults;

    if (!ret || given->slo_target_ppm > TARGET_MAX_PPM || given->names_max > LIMIT_MAX ||
        given->patterns_max > LIMIT_MAX)
        return UV_EINVAL;
    tbus_errors_t *errors = tbus_mem_alloc(sizeof *errors);
    if (!errors)
        return UV_ENOMEM;
    errors->slo_target_ppm = given->slo_target_ppm ? given->slo_target_ppm : TARGET_DEFAULT_PPM;
    errors->client_errors_count = given->client_errors_count;
    errors->excluded_status = given->excluded_status ? given->excluded_status : EXCLUDED_DEFAULT;
    errors->latest_ns = INT64_MIN;

    int error = init_tables(errors, given->names_max ? given->names_max : NAMES_DEFAULT,
                            given->patterns_max ? given->patterns_max : PATTERNS_DEFAULT);
    if (!error)
        error = uv_mutex_init(&errors->mu);
    if (error) {
        clear_tables(errors);
        tbus_mem_free(errors);
        return error;
    }
    errors->name_secret = errors->by_endpoint.secret;
    *ret = errors;
    return 0;
}

void tbus_errors_close(tbus_errors_t *errors)
{
    if (!errors)
        return;
    uv_mutex_destroy(&errors->mu);
    clear_tables(errors);
    tbus_mem_free(errors);
}

void tbus_errors_reset(tbus_errors_t *errors)
{
    if (!errors)
        return;
    uv_mutex_lock(&errors->mu);
    errors->requests = errors->failed = errors->excluded = 0;
    errors->latest_ns = INT64_MIN;
    memset(errors->by_status, 0, sizeof errors->by_status);
    table_empty_but_other(&errors->by_endpoint);
    table_empty_but_other(&errors->by_type);
    table_empty_but_other(&errors->by_model);
    patterns_empty(&errors->patterns);
    uv_mutex_unlock(&errors->mu);
}

/* A name as the tables keep it, made before the lock is taken, so that nobody waits while 10 MB are hashed. */
struct name {
    const char *text; /* the caller's, or `room` */
    size_t length;    /* of `text` */
    char room[ERRORS_NAME_MAX + 1];
};

/* A name that is too long becomes its beginning, cut between code points, and 16 hex digits of a hash of all of it: two
 * that differ late stay apart. */
static void fit_name(const tbus_errors_t *errors, const char *text, struct name *name)
{
    name->text = text ? text : "";
    name->length = strlen(name->text);
    if (name->length <= ERRORS_NAME_MAX)
        return;

    uint64_t hash = table_hash(text, name->length, &errors->name_secret);
    size_t kept = ERRORS_NAME_MAX - 17;
    for (int back = 0; back < 3 && ((unsigned char)text[kept] & 0xc0) == 0x80; back++)
        kept--;
    memcpy(name->room, text, kept);
    snprintf(name->room + kept, sizeof name->room - kept, "~%016llx", (unsigned long long)hash);
    name->text = name->room;
    name->length = kept + 17;
}

static char *put(char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    return to + length;
}

static void make_signature(const struct name *type, const struct name *endpoint, const char *message,
                           struct signature *signature)
{
    char *to = put(signature->text, type->text, type->length);
    *to++ = ':';
    to = put(to, endpoint->text, endpoint->length);
    *to++ = ':';
    assert(sizeof signature->text - (size_t)(to - signature->text) >= TBUS_NORMALIZED_BYTES);
    tbus_error_normalize(message, to);
    signature->type_length = (uint16_t)type->length;
    signature->endpoint_length = (uint16_t)endpoint->length;
}

static const char *normalized_of(const struct signature *signature)
{
    return signature->text + signature->type_length + 1 + signature->endpoint_length + 1;
}

static void see_time_locked(tbus_errors_t *errors, int64_t time_ns)
{
    if (time_ns > errors->latest_ns)
        errors->latest_ns = time_ns;
}

static void count_status_locked(tbus_errors_t *errors, int64_t status_code)
{
    int64_t slot = STATUS_OTHER;

    if (status_code == 0)
        slot = 0;
    else if (status_code >= STATUS_FIRST && status_code <= STATUS_LAST)
        slot = status_code - STATUS_FIRST + 1;
    errors->by_status[slot]++;
}

/* Errors: UV_ENOMEM, where a new name counts as "other" instead. */
static int count_name_locked(struct table *table, const char *name)
{
    int error;
    uint64_t *count = table_add_or_other(table, name, &error);

    assert(count);
    ++*count;
    return error;
}

/* The error in all counts but its pattern's. */
static int count_error_locked(tbus_errors_t *errors, const tbus_error_t *error, const struct name *type,
                              const struct name *endpoint, const struct name *model)
{
    errors->requests++;
    errors->failed++;
    see_time_locked(errors, error->time_ns);
    count_status_locked(errors, error->status_code);
    int type_failed = count_name_locked(&errors->by_type, type->text);
    int endpoint_failed = count_name_locked(&errors->by_endpoint, endpoint->text);
    int model_failed = count_name_locked(&errors->by_model, model->text);
    return type_failed ? type_failed : endpoint_failed ? endpoint_failed : model_failed;
}

static int record_failure(tbus_errors_t *errors, const tbus_error_t *error)
{
    struct name type, endpoint, model;
    struct signature signature;
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    int pattern_failed = 0;

    fit_name(errors, error->type, &type);
    fit_name(errors, error->endpoint, &endpoint);
    fit_name(errors, error->model, &model);
    make_signature(&type, &endpoint, error->message, &signature);

    uv_mutex_lock(&errors->mu);
    struct pattern *pattern = patterns_find(&errors->patterns, &signature);
    if (!pattern) {
        /* SHA-256 is for new patterns only, and nobody has to wait for it; meanwhile another thread may add the same */
        uv_mutex_unlock(&errors->mu);
        fingerprint_of(error->type, error->endpoint, normalized_of(&signature), fingerprint);
        uv_mutex_lock(&errors->mu);
        pattern = patterns_find(&errors->patterns, &signature);
    }
    int count_failed = count_error_locked(errors, error, &type, &endpoint, &model);
    if (pattern)
        patterns_see(&errors->patterns, pattern, error->time_ns);
    else
        pattern_failed = patterns_add(&errors->patterns, &signature, fingerprint, error->time_ns);
    uv_mutex_unlock(&errors->mu);
    return count_failed ? count_failed : pattern_failed;
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
    see_time_locked(errors, time_ns);
    uv_mutex_unlock(&errors->mu);
}

static void record_success(tbus_errors_t *errors, int64_t time_ns)
{
    uv_mutex_lock(&errors->mu);
    errors->requests++;
    see_time_locked(errors, time_ns);
    uv_mutex_unlock(&errors->mu);
}

int tbus_errors_record_response(tbus_errors_t *errors, const char *endpoint, const char *model, int64_t status_code,
                                int64_t time_ns)
{
    char type[32];

    if (!errors)
        return UV_EINVAL;
    if (is_excluded(errors, status_code)) {
        record_excluded(errors, time_ns);
        return 0;
    }
    if (!is_failure(errors, status_code)) {
        record_success(errors, time_ns);
        return 0;
    }
    snprintf(type, sizeof type, "http_%lld", (long long)status_code);
    return record_failure(
        errors,
        &(tbus_error_t){
            .type = type, .endpoint = endpoint, .model = model, .status_code = status_code, .time_ns = time_ns});
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
