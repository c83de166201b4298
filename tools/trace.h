/* Traces: CSV with the columns TIMESTAMP,ContextTokens,GeneratedTokens, one row for each request, as in the public
 * traces of Azure's LLM inference. */
#ifndef TOOLS_TRACE_H
#define TOOLS_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/workload.h"

#define TRACE_HEADER "TIMESTAMP,ContextTokens,GeneratedTokens"
#define TRACE_TOKENS_MAX 1000000000 /* of one row */

/* Reads "2023-11-16 18:15:46.6805900" as nanoseconds since the epoch, exactly. UTC; "T" for the blank, a fraction of up
 * to 9 digits and "Z" or "+00:00" at the end are allowed. Nothing else is. Times up to 1970-01-01 00:00:00 are refused,
 * since an event with the time 0 has none. */
bool trace_read_time(const char *text, size_t length, int64_t *ret_ns);

/* Reads a row. False puts into `why` what is wrong and what was expected. */
bool trace_read_row(const char *line, size_t length, const struct timing *timing, struct request *ret, char *why,
                    size_t why_bytes);

#endif
