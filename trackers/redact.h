/* Masks credentials in text that is going to be shown.
 *
 * A secret is found by what introduces it, at the beginning of a word:
 * - a prefix that a maker of keys uses: sk-, AKIA, AIza, ghp_, xoxb- and their kin;
 * - the word "Bearer" (any case), or "Basic" before what looks like a secret;
 * - a name such as api_key, api-key, token, password (any case), then = or : or quotes, and a value that looks like one:
 *   8 characters or more among which is a digit, or letters of both cases, or 20 characters.
 * What JSON or a URL writes for another character (\\n, %3D) ends a word, too.
 * The introduction stays, the secret becomes "*". "<NUM>" and the like within a secret count as part of it, so that
 * normalized messages can be masked, too. Rather masks an innocent word ("bearer of news") than shows a key. Takes time
 * linear in the text. */
#ifndef TRACKERS_REDACT_H
#define TRACKERS_REDACT_H

#include <stdbool.h>

/* Masks all secrets of a text, in place. */
void redact_secrets(char *text);

/* The same for a text that ends in the middle of something longer: what may be the beginning of a secret at its end is
 * masked, too. */
void redact_secrets_of_cut(char *text);

/* The first secret in a text, for those who write it elsewhere: what is to be masked by one "*" begins at `*ret_begin`
 * and ends before `*ret_end`, where the search goes on. False without one. */
bool redact_find(const char *text, const char **ret_begin, const char **ret_end);

#endif
