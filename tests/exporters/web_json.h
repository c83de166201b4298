/* Documents of the server, parsed. */
#ifndef TESTS_EXPORTERS_WEB_JSON_H
#define TESTS_EXPORTERS_WEB_JSON_H

#include <jansson.h>

#include "tests/exporters/web_client.h"

static inline json_t *web_get_json(uint16_t port, const char *url)
{
    struct web_got got = web_ask(port, "GET", url, "");
    cr_assert_eq(got.status, 200, "%s: %s", url, got.bytes);
    cr_assert_str_eq(web_header(&got, "Content-Type"), "application/json");
    json_t *json = json_loads(got.body, 0, NULL);
    cr_assert_not_null(json, "%s", got.body);
    free(got.bytes);
    return json;
}

#endif
