/* The dashboard as one page of HTML, made by pack.c when the library is built. */
#ifndef EXPORTERS_DASHBOARD_PAGE_H
#define EXPORTERS_DASHBOARD_PAGE_H

#include <stddef.h>

extern const unsigned char dashboard_page[];
extern const size_t dashboard_page_bytes;

/* Its Content-Security-Policy: the page's own script and style, by their hashes, and what it asks this server for.
 * Nothing else may load, run or be sent to, and scripts can not turn text into HTML. */
extern const char dashboard_policy[];

#endif
