/* Masks credentials in text that is going to be shown. */
#ifndef TRACKERS_REDACT_H
#define TRACKERS_REDACT_H

/* Shortens, in place, each API key that begins with "sk-" to "sk-*" and what follows the word "Bearer" (any case) to
 * "*". Meant for normalized messages: "<NUM>" and the like within a key count as part of it. Rather masks an innocent
 * word ("bearer of news") than shows a key. */
void redact_secrets(char *text);

#endif
