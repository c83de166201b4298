/* Content negotiation: what a client accepts, with its weights (RFC 9110, 12.4 and 12.5). Elements of a header that are
 * malformed count for nothing. */
#ifndef EXPORTERS_WEB_ACCEPT_H
#define EXPORTERS_WEB_ACCEPT_H

#include <stddef.h>

/* A kind of document that could be sent. */
struct web_media {
    const char *type;         /* "text/plain" */
    const char *version;      /* what a "version" in Accept must equal; NULL = the kind has no versions */
    const char *content_type; /* as the header tells it */
    const char *policy;       /* what it may load and run, as a Content-Security-Policy; NULL = nothing */
};

/* The place of the offer that the client likes best; of equals the first. -1 where it accepts none. `accept` is the
 * value of the header, of several joined by commas; "" = everything is welcome. */
int web_accept_media(const char *accept, const struct web_media *const *offers, size_t count);

/* How a document may be coded, by the value of Accept-Encoding ("" = plainly). */
struct web_codings {
    int identity, gzip; /* weights in thousandths; 0 = not acceptable */
};

struct web_codings web_accept_codings(const char *accept_encoding);

#endif
