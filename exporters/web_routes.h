/* What the server serves, as a table: a path's pattern, its parameters, and who writes the document.
 *
 * A pattern's segments are literal, but for at most one "{name}", which stands for any segment that is not empty. Of
 * patterns that match a path the first in the table is taken. Paths are taken apart at their slashes first and decoded
 * then, so "%2F" is a part of a segment; "." and ".." mean nothing. */
#ifndef EXPORTERS_WEB_ROUTES_H
#define EXPORTERS_WEB_ROUTES_H

#include <tallybus/web.h>

#include "exporters/text.h"
#include "exporters/web_accept.h"
#include "exporters/web_query.h"

/* What was handed in to be shown. */
struct web_sources {
    const tbus_t *bus;
    tbus_streaming_t *streaming;
    tbus_errors_t *errors;
    tbus_cost_t *cost;
    tbus_budgets_t *budgets;
    tbus_requests_t *requests;
    tbus_models_t *models;
    tbus_inference_t *inference;
    tbus_kvcache_t *kvcache;
    int64_t (*clock)(void *user); /* NULL = the system's */
    void *clock_user;
};

struct web_request {
    const struct web_sources *sources;
    const char *segment;                         /* what stands for "{name}", decoded; else NULL */
    struct web_value values[WEB_PARAMETERS_MAX]; /* by the place of the parameter in the route */
};

/* Writes a document behind what is in the text. Returns 0, UV_ENOENT (there is nothing by the name of the segment: 404)
 * or UV_ENOMEM (503). It runs on the server's thread, and while it runs nobody else is served. */
typedef int (*web_writer)(const struct web_request *request, struct text *text);

enum { WEB_FORMS_MAX = 3 };

struct web_route {
    const char *pattern;
    /* The source that it can not do without: its place in web_sources, and what it is called. NULL = none. */
    size_t source_offset;
    const char *source_name;
    const struct web_parameter *parameters; /* NULL = none */
    /* The document in each form that it has, the first where a client likes several alike. Where there are several,
     * parameters are of the first alone. */
    struct {
        const struct web_media *media;
        web_writer write;
    } forms[WEB_FORMS_MAX];
    bool is_open; /* shown without the token: it must tell nothing that matters */
};

/* A table: the last route has no pattern. */
extern const struct web_route web_documents[];

/* The route whose pattern matches a path (decoded in place), or NULL with the fault: 400 or 404. */
const struct web_route *web_routes_find(const struct web_route *routes, char *path, const char **ret_segment,
                                        struct web_fault *ret_fault);

/* Whether what the route needs is there; else sets the fault. */
bool web_routes_has_source(const struct web_route *route, const struct web_sources *sources,
                           struct web_fault *ret_fault);

/* The form that the client likes best of those that know the parameters that it gave, or -1 with the fault: 406. */
int web_routes_choose(const struct web_route *route, const struct web_value values[WEB_PARAMETERS_MAX],
                      const char *accept, struct web_fault *ret_fault);

#endif
