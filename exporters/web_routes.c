#include "exporters/web_routes.h"

#include <string.h>

#include "exporters/span.h"

enum { SEGMENTS_MAX = 8, BAD_REQUEST = 400, NOT_FOUND = 404, NOT_ACCEPTABLE = 406 };

/* Takes a path apart. Returns the number of segments, SEGMENTS_MAX + 1 where there are more, -1 where it can not be
 * decoded. */
static int split(char *path, char *segments[SEGMENTS_MAX])
{
    int count = 0;
    while (path) {
        char *segment = ++path; /* behind the slash */
        path = strchr(path, '/');
        if (path)
            *path = '\0';
        if (!web_decode(segment, false))
            return -1;
        if (count < SEGMENTS_MAX)
            segments[count++] = segment;
        else
            count = SEGMENTS_MAX + 1;
    }
    return count;
}

static bool matches(const char *pattern, char *const *segments, int count, const char **ret_segment)
{
    *ret_segment = NULL;
    for (int i = 0; i < count; i++) {
        if (*pattern != '/')
            return false;
        size_t length = strcspn(++pattern, "/");
        if (*pattern == '{') {
            if (!*segments[i])
                return false;
            *ret_segment = segments[i];
        } else if (strlen(segments[i]) != length || memcmp(segments[i], pattern, length) != 0) {
            return false;
        }
        pattern += length;
    }
    return *pattern == '\0';
}

const struct web_route *web_routes_find(const struct web_route *routes, char *path, const char **ret_segment,
                                        struct web_fault *ret_fault)
{
    char *segments[SEGMENTS_MAX];
    int count = *path == '/' ? split(path, segments) : -1;
    if (count < 0) {
        web_fault_set(ret_fault, BAD_REQUEST,
                      "the path has no slash at its beginning, or a byte or a %%-escape that a "
                      "URL can not have");
        return NULL;
    }
    for (const struct web_route *route = routes; count <= SEGMENTS_MAX && route->pattern; route++)
        if (matches(route->pattern, segments, count, ret_segment))
            return route;
    web_fault_set(ret_fault, NOT_FOUND, "there is nothing at this path");
    return NULL;
}

bool web_routes_has_source(const struct web_route *route, const struct web_sources *sources,
                           struct web_fault *ret_fault)
{
    const void *source;
    if (!route->source_name)
        return true;
    memcpy(&source, (const char *)sources + route->source_offset, sizeof source);
    if (!source)
        web_fault_set(ret_fault, NOT_FOUND, "this server was opened without %s", route->source_name);
    return source != NULL;
}

static bool any_is_given(const struct web_value values[WEB_PARAMETERS_MAX])
{
    bool any = false;
    for (int i = 0; i < WEB_PARAMETERS_MAX; i++)
        any = any || values[i].is_given;
    return any;
}

int web_routes_choose(const struct web_route *route, const struct web_value values[WEB_PARAMETERS_MAX],
                      const char *accept, struct web_fault *ret_fault)
{
    const struct web_media *offers[WEB_FORMS_MAX] = {NULL};
    const bool is_filtered = any_is_given(values);
    size_t count = 0;
    while (count < (is_filtered ? 1 : WEB_FORMS_MAX) && route->forms[count].write) {
        offers[count] = route->forms[count].media;
        count++;
    }
    int chosen = web_accept_media(accept, offers, count);
    if (chosen >= 0)
        return chosen;
    char types[WEB_MESSAGE_BYTES];
    struct span list = {.bytes = types, .room = sizeof types - 1};
    for (size_t i = 0; i < count; i++) {
        span_add_text(&list, i > 0 ? " or " : "");
        span_add_text(&list, offers[i]->content_type);
    }
    types[list.length < list.room ? list.length : list.room] = '\0';
    web_fault_set(ret_fault, NOT_ACCEPTABLE, "%s is there only as %s",
                  is_filtered ? "with these parameters this" : "this", types);
    return -1;
}
