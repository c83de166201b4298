/* Masks credentials in text that is going to be shown. */
#ifndef TRACKERS_REDACT_H
#define TRACKERS_REDACT_H

#include <stdbool.h>

/* Shortens, in place, each API key that begins with "sk-" to "sk-*" and what follows the word "Bearer" (any case) to
 * "*". Meant for normalized messages: "<NUM>" and the like within a key count as part of it. Rather masks an innocent
 * word ("bearer of news") than shows a key. */
void redact_secrets(char *text);

/* The first secret in a text, for those who write it elsewhere: what is to be masked by one "*" begins at `*ret_begin`
 * and ends before `*ret_end`, where the search goes on. False without one. */
bool redact_find(const char *text, const char **ret_begin, const char **ret_end);

#endif
