/* Reading what a client asks for: escapes, parameters, paths, weights. */
#include "exporters/web_routes.h"
#include "tests/check.h"

static const char *const colours[] = {"red", "green", "blue", NULL};
static const struct web_parameter parameters[] = {
    {.name = "limit", .kind = WEB_INTEGER, .min = -5, .max = 1000, .absent = 50},
    {.name = "colour", .kind = WEB_CHOICE, .choices = colours, .absent = -1},
    {.name = "model", .kind = WEB_TEXT, .min = 1, .max = 8},
    {.name = "wide", .kind = WEB_INTEGER, .min = INT64_MIN, .max = INT64_MAX},
    {.name = NULL}};

static struct web_value values[WEB_PARAMETERS_MAX];
static struct web_fault fault;

static int read(const char *query)
{
    static char copy[4096];
    snprintf(copy, sizeof copy, "%s", query);
    return web_query_read(copy, parameters, values, &fault);
}

Test(web_request, escapes_are_decoded_once_and_strictly)
{
    const struct {
        const char *text, *decoded; /* NULL = refused */
    } cases[] = {{"", ""},      {"a%20b", "a b"}, {"%2525", "%25"}, {"%41%4a%4A", "AJJ"}, {"%FF", "\xFF"},
                 {"%00", NULL}, {"%", NULL},      {"%4", NULL},     {"%g0", NULL},        {"%0g", NULL},
                 {"a b", NULL}, {"\x7F", NULL},   {"\x80", NULL},   {"a\tb", NULL},       {"%%41", NULL},
                 {"%-1", NULL}, {"% 1", NULL},    {"%@1", NULL},    {"%`1", NULL},        {"a%", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        strcpy(text, cases[i].text);
        cr_assert_eq(web_decode(text, false), cases[i].decoded != NULL, "'%s'", cases[i].text);
        if (cases[i].decoded)
            cr_assert_str_eq(text, cases[i].decoded);
    }
    char plus[] = "a+b%2B";
    cr_assert(web_decode(plus, true));
    cr_assert_str_eq(plus, "a b+");
}

Test(web_request, parameters_have_their_kinds)
{
    cr_assert_eq(read("limit=-5&colour=blue&model=gpt%204+x&wide=-9223372036854775808"), 0);
    cr_assert(values[0].is_given && values[1].is_given && values[2].is_given && values[3].is_given);
    cr_assert_eq(values[0].number, -5);
    cr_assert_eq(values[1].number, 2);
    cr_assert_str_eq(values[2].text, "gpt 4 x");
    cr_assert_eq(values[3].number, INT64_MIN);
    cr_assert_eq(read("wide=9223372036854775807"), 0);
    cr_assert_eq(values[3].number, INT64_MAX);
}

Test(web_request, absent_parameters_have_their_default)
{
    const char *const empty[] = {"", "&", "&&&"};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(read(empty[i]), 0);
        cr_assert_not(values[0].is_given || values[2].is_given);
        cr_assert_eq(values[0].number, 50);
        cr_assert_eq(values[1].number, -1);
        cr_assert_null(values[2].text);
    }
    cr_assert_eq(web_query_read(NULL, NULL, values, &fault), 0);
}

Test(web_request, wrong_values_are_told_with_what_is_allowed)
{
    const struct {
        const char *query, *message;
    } cases[] = {{"limit=1001", "'limit' wants a whole number from -5 to 1000, and got '1001'"},
                 {"limit=-6", "from -5 to 1000, and got '-6'"},
                 {"limit=", "got ''"},
                 {"limit", "got ''"},
                 {"limit=-", "got '-'"},
                 {"limit=%2B1", "got '+1'"},
                 {"limit=1.5", "got '1.5'"},
                 {"limit=0x1", "got '0x1'"},
                 {"limit=+1", "got ' 1'"},
                 {"limit=1%20", "got '1 '"},
                 {"limit=99999999999999999999", "got '99999999999999999999'"},
                 {"wide=9223372036854775808", "got '9223372036854775808'"},
                 {"wide=-9223372036854775809", "got '-9223372036854775809'"},
                 {"colour=Red", "'colour' wants 'red', 'green' or 'blue', and got 'Red'"},
                 {"colour=", "got ''"},
                 {"model=", "'model' wants a text of 1 to 8 bytes of UTF-8"},
                 {"model=123456789", "1 to 8 bytes"},
                 {"model=%C3", "1 to 8 bytes"},
                 {"limit=1&limit=1", "'limit' is given twice"},
                 {"Limit=1", "there is no parameter 'Limit' here; there is: limit, colour, model, wide"},
                 {"=1", "no parameter ''"},
                 {"limit=%zz", "%-escape"},
                 {"%zz=1", "%-escape"},
                 {"limit=1=", "got '1='"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(read(cases[i].query), 400, "%s", cases[i].query);
        cr_assert_eq(fault.status, 400);
        cr_assert_not_null(strstr(fault.message, cases[i].message), "%s: %s", cases[i].query, fault.message);
    }
}

Test(web_request, long_values_are_quoted_in_part)
{
    char query[2048] = "limit=";
    memset(query + 6, '7', 2000);
    cr_assert_eq(read(query), 400);
    cr_assert_lt(strlen(fault.message), 160);
}

static int nothing(const struct web_request *request, struct text *text)
{
    (void)request;
    (void)text;
    return 0;
}

static int nothing_in_json(const struct web_request *request, struct text *text)
{
    return nothing(request, text);
}

static const struct web_media plain = {"text/plain", "0.0.4", "text/plain; version=0.0.4", NULL};
static const struct web_media open_metrics = {"application/openmetrics-text", "1.0.0", "openmetrics", NULL};
static const struct web_media json = {"application/json", NULL, "application/json", NULL};

static const struct web_route routes[] = {
    {.pattern = "/"},
    {.pattern = "/models/compare"},
    {.pattern = "/models/{id}", .forms = {{&plain, nothing}, {&json, nothing_in_json}}},
    {.pattern = "/models/{id}/tokens"},
    {.pattern = NULL}};

static const char *found(const char *path, const char **segment)
{
    static char copy[256];
    strcpy(copy, path);
    const struct web_route *route = web_routes_find(routes, copy, segment, &fault);
    return route ? route->pattern : NULL;
}

Test(web_request, paths_find_their_route)
{
    const struct {
        const char *path, *pattern, *segment;
        int status;
    } cases[] = {{"/", "/", NULL, 0},
                 {"/models/compare", "/models/compare", NULL, 0},
                 {"/models/comp%61re", "/models/compare", NULL, 0},
                 {"/models/a%2Fb", "/models/{id}", "a/b", 0},
                 {"/models/%2E%2E", "/models/{id}", "..", 0},
                 {"/models/a+b", "/models/{id}", "a+b", 0},
                 {"/models/{id}", "/models/{id}", "{id}", 0},
                 {"/models/x/tokens", "/models/{id}/tokens", "x", 0},
                 {"/models/", NULL, NULL, 404},
                 {"/models//tokens", NULL, NULL, 404},
                 {"/models", NULL, NULL, 404},
                 {"//", NULL, NULL, 404},
                 {"/models/x/tokens/", NULL, NULL, 404},
                 {"/a/b/c/d/e/f/g/h/i/j/k", NULL, NULL, 404},
                 {"/models/%00", NULL, NULL, 400},
                 {"/a/b/c/d/e/f/g/h/i/%00", NULL, NULL, 400},
                 {"models", NULL, NULL, 400},
                 {"*", NULL, NULL, 400},
                 {"", NULL, NULL, 400}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *segment = NULL, *pattern = found(cases[i].path, &segment);
        cr_assert_eq(pattern != NULL, cases[i].pattern != NULL, "%s", cases[i].path);
        if (!pattern) {
            cr_assert_eq(fault.status, cases[i].status, "%s", cases[i].path);
            continue;
        }
        cr_assert_str_eq(pattern, cases[i].pattern);
        cr_assert_eq(segment != NULL, cases[i].segment != NULL, "%s", cases[i].path);
        if (segment)
            cr_assert_str_eq(segment, cases[i].segment);
    }
}

Test(web_request, of_several_forms_the_one_of_most_weight_is_taken)
{
    static const struct web_media *const offers[] = {&plain, &open_metrics, &json};
    const struct {
        const char *accept;
        int chosen;
    } cases[] = {
        {"", 0},
        {"  ", 0},
        {"*/*", 0},
        {"text/html", -1},
        {"application/json", 2},
        {"application/*", 1},
        {"APPLICATION/JSON;Q=0.5", 2},
        {"text/plain;q=0.5, application/json;q=0.6", 2},
        {"text/plain;q=0.5, */*;q=0.6", 1},
        {"*/*, application/openmetrics-text;q=0, text/*;q=0.9", 2},
        {"text/plain;version=1.0.0", -1},
        {"text/plain;version=0.0.4;q=0.1", 0},
        {"text/plain;version=0.0.4;q=0", -1},
        {"application/openmetrics-text; version=\"1.0.0\"", 1},
        {"application/openmetrics-text; version=\"1\\.0.\\0\"", 1},
        {"text/plain;version=\"0.0.4\";q=0.1", 0},
        {"text/plain;version=\"1.0.0\"", -1},
        {"text/plain;version=\"0.0.4", -1},
        {"text/plain;version=\"0.0.\"", -1},
        {"text/plain;version=\"0.0.4.\"", -1},
        {"text/plain;version=\"0.0.4\\\"", -1},
        {"text/plain;version=\"", -1},
        {"text/plain;version=\"\"", -1},
        {"text/plain;version=", -1},
        {"text/plain ; q=0.5 ; version=1.0.0, text/plain; version=0.0.4; q=0.4", 0},
        {"application/json;q=0.5;q=nonsense", -1},
        {"application/json;q=1.001", -1},
        {"application/json;q=0.1234", -1},
        {"application/json;q=", -1},
        {"application/json;x=\"a,b;q=0\"", 2},
        {"/", -1},
        {",,;q=1,", -1},
        {"text/plain/x", -1},
        /* what Prometheus sends */
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;"
         "version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
         "*/*;q=0.2",
         1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(web_accept_media(cases[i].accept, offers, 3), cases[i].chosen, "'%s'", cases[i].accept);
    struct web_value values[WEB_PARAMETERS_MAX] = {{.is_given = false}};
    cr_assert_eq(web_routes_choose(&routes[2], values, "application/json", &fault), 1);
    cr_assert_eq(web_routes_choose(&routes[2], values, "image/png", &fault), -1);
    cr_assert_eq(fault.status, 406);
    cr_assert_str_eq(fault.message, "this is there only as text/plain; version=0.0.4 or application/json");
    values[WEB_PARAMETERS_MAX - 1].is_given = true; /* parameters are of the first form's writer */
    cr_assert_eq(web_routes_choose(&routes[2], values, "", &fault), 0);
    cr_assert_eq(web_routes_choose(&routes[2], values, "application/json", &fault), -1);
    cr_assert_str_eq(fault.message, "with these parameters this is there only as text/plain; version=0.0.4");
}

Test(web_request, codings_have_their_weights)
{
    const struct {
        const char *accept;
        int identity, gzip;
    } cases[] = {{"", 1, 0},
                 {"gzip", 1, 1000},
                 {"GZIP;q=0.5", 1, 500},
                 {"x-gzip", 1, 1000},
                 {"identity;q=0", 0, 0},
                 {"*;q=0", 0, 0},
                 {"*;q=0, gzip", 0, 1000},
                 {"*;q=0, identity;q=0.001", 1, 0},
                 {"*", 1000, 1000},
                 {"gzip;q=0, *", 1000, 0},
                 {"br, deflate", 1, 0},
                 {"gzip;q=-1", 1, 0},
                 {"gzip;q=2", 1, 0},
                 {"gzip;q=1.000", 1, 1000},
                 {"gzip;q=1.", 1, 1000},
                 {"gzip;q=0.001", 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct web_codings codings = web_accept_codings(cases[i].accept);
        cr_assert_eq(codings.identity, cases[i].identity, "'%s'", cases[i].accept);
        cr_assert_eq(codings.gzip, cases[i].gzip, "'%s'", cases[i].accept);
    }
}
