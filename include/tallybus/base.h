/* What every other header needs: how symbols are marked, the version, and the one allocator hook.
 *
 * Conventions of the whole library
 * - A function that can fail returns 0 (or a value >= 0 where it says so) and otherwise a negative libuv error code
 *   (UV_EINVAL, UV_ENOMEM, ...); uv_strerror() names it.
 * - Outputs come last and are untouched when the call fails.
 * - Each comment ends with the threads that may call: [any thread] or [loop thread].
 * - Options structs start as all zeroes; zero means the default. They end in reserved words that must stay zero:
 *   anything else is UV_EINVAL.
 * - Strings are NUL-terminated; NULL means absent. */
#ifndef TALLYBUS_BASE_H
#define TALLYBUS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#if defined(__GNUC__)
#define TBUS_API __attribute__((visibility("default")))
#define TBUS_CHECKED __attribute__((warn_unused_result))
#else
#define TBUS_API
#define TBUS_CHECKED
#endif

#ifdef __cplusplus
#define TBUS_BEGIN_DECLS extern "C" {
#define TBUS_END_DECLS }
#else
#define TBUS_BEGIN_DECLS
#define TBUS_END_DECLS
#endif

#define TBUS_VERSION_MAJOR 0
#define TBUS_VERSION_MINOR 1
#define TBUS_VERSION_PATCH 0

TBUS_BEGIN_DECLS

/* The version of the library that is running, as "MAJOR.MINOR.PATCH"; static memory. [any thread] */
TBUS_API const char *tbus_version(void);

/* Where the library takes its memory from. `resize` follows realloc(), `release` takes NULL; `alloc` and `resize` may
 * return NULL, and the call that wanted the memory then returns UV_ENOMEM with nothing lost. They are called on any thread,
 * and may be with a lock of the library held: they must not call the library. */
typedef struct tbus_allocator {
    void *(*alloc)(size_t bytes, void *user);
    void *(*resize)(void *memory, size_t bytes, void *user);
    void (*release)(void *memory, void *user);
    void *user;
} tbus_allocator_t;

/* Sets the allocator for the whole process (copies the struct); NULL sets malloc() and its kin again. Call it before
 * the first object of the library is made, or after the last is gone: memory must go back where it came from. Errors:
 * UV_EINVAL when one of the three functions is NULL. [any thread, but no other call of the library at the time] */
TBUS_API int tbus_set_allocator(const tbus_allocator_t *allocator);

/* Memory through the hook above. What a function of this library hands out as "free with tbus_mem_free()" goes back
 * here. `tbus_mem_alloc` returns zeroed memory, or NULL; 0 bytes count as 1. [any thread] */
TBUS_API void *tbus_mem_alloc(size_t bytes);
TBUS_API void *tbus_mem_resize(void *memory, size_t bytes);
TBUS_API void tbus_mem_free(void *memory);

TBUS_END_DECLS

#endif
