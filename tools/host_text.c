#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tallybus/base.h>

#include "tools/host_text.h"

bool host_text_reserve(struct host_text *text, size_t bytes)
{
    size_t room = text->room ? text->room : 512;
    while (room - text->length <= bytes) /* and a NUL */
        room *= 2;
    if (text->failed || room == text->room)
        return !text->failed;
    char *grown = tbus_mem_resize(text->bytes, room);
    text->failed = !grown;
    if (grown) {
        text->bytes = grown;
        text->room = room;
    }
    return !text->failed;
}

void host_text_add(struct host_text *text, const char *bytes, size_t length)
{
    if (!host_text_reserve(text, length))
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void host_text_print(struct host_text *text, const char *format, ...)
{
    /* Most fits into the room that is there; what does not is written once more. */
    for (int tries = 0; tries < 2; tries++) {
        va_list args;
        size_t room = text->room - text->length;
        va_start(args, format);
        int length = vsnprintf(text->bytes ? text->bytes + text->length : NULL, room, format, args);
        va_end(args);
        if (length >= 0 && (size_t)length < room && !text->failed) {
            text->length += (size_t)length;
            return;
        }
        if (length < 0 || !host_text_reserve(text, (size_t)length))
            return;
    }
}

void host_text_free(struct host_text *text)
{
    tbus_mem_free(text->bytes);
    *text = (struct host_text){.bytes = NULL};
}
