/* Replies: documents, packed where that is wanted, and what went wrong. Each returns what libmicrohttpd's handler has to
 * return: MHD_NO, for which the connection is closed, where there is no memory even for a refusal. */
#ifndef EXPORTERS_WEB_REPLY_H
#define EXPORTERS_WEB_REPLY_H

#include <microhttpd.h>
#include <stdbool.h>

#include "exporters/text.h"
#include "exporters/web_accept.h"
#include "exporters/web_query.h"

/* Sends a document and takes its memory. */
enum MHD_Result web_reply_document(struct MHD_Connection *connection, const struct web_media *media, struct text *text,
                                   struct web_codings codings);

/* Says in JSON why not; allocates nothing of ours. `is_last`: what the client sends behind the request is not read, since
 * it may be a part of it. */
enum MHD_Result web_reply_fault(struct MHD_Connection *connection, const struct web_fault *fault, bool is_last);

/* The same, `reason` being the status in words, past libmicrohttpd: straight to a socket that is closed then. What the
 * socket does not take at once is lost. Without a body it has no length either, so that it is right for GET and HEAD. */
void web_reply_bare(int socket, const struct web_fault *fault, const char *reason, bool wants_body);

#endif
