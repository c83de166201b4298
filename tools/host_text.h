/* Text that grows. */
#ifndef TOOLS_HOST_TEXT_H
#define TOOLS_HOST_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct host_text {
    char *bytes;
    size_t length, room;
    bool failed; /* without memory something is missing */
};

/* Room for so many more bytes, which then do not fail; false without memory, which counts as failed. */
bool host_text_reserve(struct host_text *text, size_t bytes);
void host_text_add(struct host_text *text, const char *bytes, size_t length);
__attribute__((format(printf, 2, 3))) void host_text_print(struct host_text *text, const char *format, ...);
void host_text_free(struct host_text *text);

#endif
