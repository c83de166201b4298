/* Fuzz target: what a client sends - path, parameters, Accept, Accept-Encoding, one a line - through the server's own
 * reading. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/web_routes.h"

static const char *const choices[] = {"a", "bc", NULL};
static const struct web_parameter parameters[] = {
    {.name = "i", .kind = WEB_INTEGER, .min = -10, .max = 1000},
    {.name = "c", .kind = WEB_CHOICE, .choices = choices},
    {.name = "t", .kind = WEB_TEXT, .min = 1, .max = 16},
    {.name = NULL},
};

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_values(const struct web_value *values)
{
    demand(values[0].number >= -10 && values[0].number <= 1000);
    demand(values[1].number >= 0 && values[1].number <= 1);
    demand(!values[2].is_given || (strlen(values[2].text) >= 1 && strlen(values[2].text) <= 16));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *lines[4], *all = malloc(size + 1);
    demand(all != NULL);
    if (size)
        memcpy(all, data, size);
    all[size] = '\0';
    char *rest = all;
    for (int i = 0; i < 4; i++) {
        lines[i] = rest;
        rest += strcspn(rest, "\n");
        if (*rest)
            *rest++ = '\0';
    }
    struct web_fault fault = {0};
    struct web_value values[WEB_PARAMETERS_MAX];
    const char *segment;
    const struct web_route *route = web_routes_find(web_documents, lines[0], &segment, &fault);
    demand(route ? fault.status == 0 : fault.status == 400 || fault.status == 404);
    if (web_query_read(lines[1], parameters, values, &fault) == 0)
        check_values(values);
    else
        demand(fault.status == 400 && *fault.message);
    if (route)
        demand(web_routes_choose(route, lines[2], &fault) >= 0 || fault.status == 406);
    struct web_codings codings = web_accept_codings(lines[3]);
    demand(codings.identity >= 0 && codings.identity <= 1000 && codings.gzip >= 0 && codings.gzip <= 1000);
    free(all);
    return 0;
}
