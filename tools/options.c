#include <assert.h>
#include <string.h>

#include "tools/numbers.h"
#include "tools/options.h"
#include "tools/tool.h"

#define NS_PER_MS 1000000
#define MS_MAX 3600000 /* an hour for one token */

/* Reads a value, or the option itself where it takes none. Returns NULL or what was expected. */
typedef const char *(*read_value)(struct options *options, const char *value);

static const char *read_prices(struct options *options, const char *value)
{
    options->prices = value;
    return *value ? NULL : "the name of a price file";
}

static const char *read_model(struct options *options, const char *value)
{
    options->model = value;
    return *value ? NULL : "the name of a model";
}

static const char *read_threads(struct options *options, const char *value)
{
    int64_t threads = 0;
    if (!number_whole(value, strlen(value), WORKLOAD_THREADS_MAX, &threads) || threads < 1)
        return "a whole number from 1 to 64";
    static_assert(WORKLOAD_THREADS_MAX == 64, "the sentence above names it");
    options->threads = (uint32_t)threads;
    return NULL;
}

static const char *read_slo(struct options *options, const char *value)
{
    int64_t ppm = 0;
    if (!number_whole(value, strlen(value), 1000000, &ppm) || ppm < 1)
        return "parts per million from 1 to 1000000, such as 999000 for 99.9 %";
    options->slo_ppm = (uint32_t)ppm;
    return NULL;
}

static const char *read_speed(struct options *options, const char *value)
{
    int64_t millionths = 0;
    if (strcmp(value, "max") != 0 &&
        (!number_decimal(value, strlen(value), 6, INT64_C(1000000000000000), &millionths) || millionths < 1))
        return "\"max\" or a factor above 0, such as 60 for a minute in a second";
    options->speed = (double)millionths / 1e6;
    return NULL;
}

static const char *read_ms(const char *value, int64_t *ret_ns)
{
    if (!number_decimal(value, strlen(value), 6, INT64_C(1) * MS_MAX * NS_PER_MS, ret_ns))
        return "milliseconds from 0 to 3600000 with at most 6 digits after the point, such as 0.25";
    return NULL;
}

static const char *read_prefill(struct options *options, const char *value)
{
    return read_ms(value, &options->timing.prefill_ns);
}

static const char *read_itl(struct options *options, const char *value)
{
    return read_ms(value, &options->timing.itl_ns);
}

static const char *read_rows(struct options *options, const char *value)
{
    int64_t rows = 0;
    if (!number_whole(value, strlen(value), WORKLOAD_REQUESTS_MAX, &rows) || rows < 1)
        return "a whole number from 1 to 16777216";
    static_assert(WORKLOAD_REQUESTS_MAX == 16777216, "the sentence above names it");
    options->rows = (uint32_t)rows;
    return NULL;
}

static const char *read_seed(struct options *options, const char *value)
{
    int64_t seed = 0;
    if (!number_whole(value, strlen(value), INT64_MAX, &seed))
        return "a whole number from 0 to 9223372036854775807";
    options->seed = (uint64_t)seed;
    return NULL;
}

/* "PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT". Whether the address is one, the server says. */
static const char *read_place(const char *value, struct place *ret)
{
    static const char expected[] = "[ADDRESS:]PORT, such as 9464 or 127.0.0.1:9464";
    const char *colon = strrchr(value, ':'), *port = colon ? colon + 1 : value;
    size_t length = colon ? (size_t)(colon - value) : 0;
    int64_t number = 0;
    if (length >= 2 && value[0] == '[' && value[length - 1] == ']') {
        value++;
        length -= 2;
    }
    if (!number_whole(port, strlen(port), UINT16_MAX, &number) || length >= sizeof ret->address ||
        (colon && length == 0))
        return expected;
    memcpy(ret->address, value, length);
    ret->address[length] = '\0';
    ret->port = (uint16_t)number;
    ret->wanted = true;
    return NULL;
}

static const char *read_web(struct options *options, const char *value)
{
    return read_place(value, &options->web);
}

static const char *read_listen(struct options *options, const char *value)
{
    return read_place(value, &options->listen);
}

/* A decimal above or at 0 with 3 digits behind the point. */
static bool read_thousandths(const char *value, int64_t max, double *ret)
{
    int64_t thousandths;
    bool is_good = number_decimal(value, strlen(value), 3, max * 1000, &thousandths);
    *ret = is_good ? (double)thousandths / 1000 : 0;
    return is_good;
}

static const char *read_load(struct options *options, const char *value)
{
    return read_thousandths(value, 10000, &options->load) ? NULL : "requests each second from 0 to 10000";
}

static const char *read_pace(struct options *options, const char *value)
{
    bool is_good = read_thousandths(value, 1000, &options->pace) && options->pace >= 0.01;
    return is_good ? NULL : "a factor from 0.01 to 1000, such as 2 for models twice as fast";
}

static const char *read_seconds(const char *value, int64_t *ret_ns)
{
    bool is_good = number_decimal(value, strlen(value), 9, INT64_C(1000000) * 1000000000, ret_ns);
    return is_good && *ret_ns > 0 ? NULL : "seconds above 0, such as 30";
}

static const char *read_duration(struct options *options, const char *value)
{
    return read_seconds(value, &options->duration_ns);
}

static const char *read_minutes(const char *value, int64_t *ret_ns)
{
    int64_t millis = 0;
    bool is_good = number_decimal(value, strlen(value), 3, INT64_C(100000) * 1000, &millis) && millis > 0;
    *ret_ns = millis * 60000000;
    return is_good ? NULL : "minutes above 0, such as 10 or 0.5";
}

static const char *read_check_every(struct options *options, const char *value)
{
    return read_minutes(value, &options->check_ns);
}

static const char *read_faults(struct options *options, const char *value)
{
    int64_t permille = 0;
    if (!number_whole(value, strlen(value), 1000, &permille))
        return "requests that fail of each thousand, 0 to 1000";
    options->faults_permille = (uint32_t)permille;
    return NULL;
}

static const char *read_key(struct options *options, const char *value)
{
    return host_keys_add(&options->keys, value);
}

static const char *set_json(struct options *options, const char *value)
{
    (void)value;
    options->output = OUTPUT_JSON;
    return NULL;
}

static const char *set_prometheus(struct options *options, const char *value)
{
    (void)value;
    options->output = OUTPUT_PROMETHEUS;
    return NULL;
}

static const char *set_help(struct options *options, const char *value)
{
    (void)value;
    options->help = true;
    return NULL;
}

static const struct option {
    const char *name;
    unsigned subcommands;
    bool takes_value;
    read_value read;
} known[] = {
    {"--prices", OPTIONS_REPLAY | OPTIONS_SIMULATE | OPTIONS_DEMO, true, read_prices},
    {"--model", OPTIONS_REPLAY, true, read_model},
    {"--threads", OPTIONS_REPLAY | OPTIONS_SIMULATE | OPTIONS_DEMO | OPTIONS_SOAK, true, read_threads},
    {"--slo", OPTIONS_REPLAY | OPTIONS_SIMULATE | OPTIONS_DEMO, true, read_slo},
    {"--speed", OPTIONS_REPLAY | OPTIONS_SIMULATE, true, read_speed},
    {"--prefill-ms-per-token", OPTIONS_REPLAY, true, read_prefill},
    {"--itl-ms", OPTIONS_REPLAY, true, read_itl},
    {"--rows", OPTIONS_SIMULATE, true, read_rows},
    {"--seed", OPTIONS_SIMULATE, true, read_seed},
    {"--web", OPTIONS_SIMULATE | OPTIONS_DEMO, true, read_web},
    {"--listen", OPTIONS_DEMO, true, read_listen},
    {"--load", OPTIONS_DEMO | OPTIONS_SOAK, true, read_load},
    {"--pace", OPTIONS_DEMO | OPTIONS_SOAK, true, read_pace},
    {"--duration", OPTIONS_DEMO, true, read_duration},
    {"--check-every", OPTIONS_SOAK, true, read_check_every},
    {"--faults", OPTIONS_DEMO, true, read_faults},
    {"--key", OPTIONS_DEMO, true, read_key},
    {"--json", OPTIONS_REPLAY | OPTIONS_SIMULATE | OPTIONS_DEMO, false, set_json},
    {"--prometheus", OPTIONS_REPLAY | OPTIONS_SIMULATE | OPTIONS_DEMO, false, set_prometheus},
    {"--help", OPTIONS_REPLAY | OPTIONS_SIMULATE | OPTIONS_DEMO | OPTIONS_SOAK, false, set_help},
    {"-h", OPTIONS_REPLAY | OPTIONS_SIMULATE | OPTIONS_DEMO | OPTIONS_SOAK, false, set_help},
};

/* The option that an argument names, "--name" or "--name=value"; NULL when there is none. */
static const struct option *find_option(unsigned subcommand, const char *argument)
{
    size_t length = strcspn(argument, "=");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if ((known[i].subcommands & subcommand) && strlen(known[i].name) == length &&
            memcmp(known[i].name, argument, length) == 0)
            return &known[i];
    return NULL;
}

static bool refuse(const char *subcommand, const char *argument, const char *what, const char *got)
{
    if (got)
        tool_say("%s: %s wants %s, got '%.100s'", subcommand, argument, what, got);
    else
        tool_say("%s: %s", subcommand, what);
    tool_say("try 'tallybus %s --help'", subcommand);
    return false;
}

/* Reads the option at argv[*at]; moves `*at` to the last argument used. */
static bool read_option(struct options *options, unsigned subcommand, int argc, char **argv, int *at)
{
    const char *argument = argv[*at];
    const struct option *option = find_option(subcommand, argument);
    if (!option) {
        tool_say("%s: there is no option '%.100s'", argv[0], argument);
        tool_say("try 'tallybus %s --help'", argv[0]);
        return false;
    }
    const char *value = strchr(argument, '=');
    if (!option->takes_value) {
        if (value)
            return refuse(argv[0], option->name, "no value", value + 1);
        option->read(options, NULL);
        return true;
    }
    value = value ? value + 1 : *at + 1 < argc ? argv[++*at] : "";
    const char *expected = option->read(options, value);
    const char *shown = option->read == read_key && *value ? "..." : value; /* it may be a real key */
    return expected ? refuse(argv[0], option->name, expected, shown) : true;
}

bool options_read(struct options *options, unsigned subcommand, int argc, char **argv)
{
    *options = (struct options){
        .model = "gpt-4o",
        .threads = 2,
        .timing = {.first_ns = 20 * NS_PER_MS, .prefill_ns = NS_PER_MS / 4, .itl_ns = 15 * NS_PER_MS},
        .rows = 20000,
        .seed = 1,
        .listen = {.port = 8080},
        .load = 20,
        .pace = 1,
        .faults_permille = 10,
    };
    host_keys_init(&options->keys);
    if (subcommand == OPTIONS_DEMO)
        options->web.port = 9464;
    if (subcommand == OPTIONS_SOAK) {
        options->listen.port = 0; /* both ports: any that is free */
        options->load = 60;
        options->pace = 4;
        options->faults_permille = 50;
        options->check_ns = INT64_C(60000000000);
    }
    bool only_files = false;
    for (int i = 1; i < argc; i++) {
        bool is_option = !only_files && argv[i][0] == '-' && argv[i][1] != '\0';
        if (is_option && strcmp(argv[i], "--") == 0) {
            only_files = true;
        } else if (is_option) {
            if (!read_option(options, subcommand, argc, argv, &i))
                return false;
        } else if ((subcommand == OPTIONS_REPLAY || subcommand == OPTIONS_SOAK) && !options->file) {
            options->file = argv[i];
        } else {
            return refuse(argv[0], NULL, "too many arguments", NULL);
        }
    }
    if (subcommand == OPTIONS_REPLAY && !options->file && !options->help)
        return refuse(argv[0], NULL,
                      "which file? Name a trace (CSV), a file of events (JSON lines), or - for standard input", NULL);
    if (subcommand == OPTIONS_SOAK && !options->help) {
        const char *minutes = options->file ? options->file : "",
                   *expected = read_minutes(minutes, &options->duration_ns);
        return expected ? refuse(argv[0], "MINUTES", expected, minutes) : true;
    }
    return true;
}
