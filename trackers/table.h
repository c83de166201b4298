/* The one hash table: string keys to values of a fixed size, with a cap.
 *
 * A value lives in a cell of a slab; the index (open addressing, linear probing) holds 32 bits of hash and the cell's
 * number, so that a probe touches a cell only when the hashes agree. Cells are numbered from 0 and keep their number
 * for as long as they live; pointers to values hold until the next insertion. Keys are seeded with a random number of
 * the table's own, so that no client can choose ids that collide. Not locked: the tracker's lock covers it. */
#ifndef TRACKERS_TABLE_H
#define TRACKERS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

/* The key that names past the cap fold into. */
#define TABLE_OTHER "other"

/* What makes a table's hashes its own: two random words. */
struct table_secret {
    uint64_t a, b;
};

struct table {
    uint64_t *index;      /* hash << 32 | cell + 1; 0 = free */
    unsigned char *cells; /* `capacity` of them: value, struct table_head, key */
    struct table_secret secret;
    uint32_t index_mask;
    uint32_t capacity; /* cells allocated */
    uint32_t used;     /* cells ever taken: those from here on are untouched */
    uint32_t count;    /* cells in use */
    uint32_t max;      /* cap on `count` */
    uint32_t free;     /* first cell of the free list, or TABLE_NONE */
    uint32_t value_bytes, key_max, cell_bytes;
};

/* A table for at most `max` keys; `key_max` is the longest key kept whole: a longer one is kept as its beginning and a
 * hash of all of it. Allocates nothing yet. */
void table_init(struct table *table, uint32_t value_bytes, uint32_t key_max, uint32_t max);

/* Gives the memory back; the table is then as after table_init(). */
void table_clear(struct table *table);

/* The value of a key, or NULL. NULL counts as "". */
void *table_find(const struct table *table, const char *key);

/* The value of a key; a new one is zeroed. NULL with UV_ENOSPC or UV_ENOMEM in `*ret_error` when it is not there and
 * can not be added. `*ret_new` (may be NULL) says whether it is new. */
void *table_add(struct table *table, const char *key, bool *ret_new, int *ret_error);

/* The same, but a key that would make more than `max` keys shares the value of "other". So NULL means UV_ENOMEM; with
 * "other" added at open (table_open_other()), never: then `*ret_error` is UV_ENOMEM and the value is other's. */
void *table_add_or_other(struct table *table, const char *key, int *ret_error);

/* Adds "other", so that table_add_or_other() always finds a home. Errors: UV_ENOMEM. */
int table_open_other(struct table *table);

/* Takes out every key but "other", whose value becomes zero. Unlike table_clear() it keeps the memory: to add "other"
 * anew could fail. */
void table_empty_but_other(struct table *table);

/* Removes a value that table_find() or table_add() gave. */
void table_remove(struct table *table, void *value);

/* Cells in turn: for (uint32_t i = 0; i < table->used; i++) if ((value = table_at(table, i))) ... NULL = a free cell.
 */
void *table_at(const struct table *table, uint32_t cell);

uint32_t table_cell_of(const struct table *table, const void *value);

/* The key of a value, NUL-terminated, and its length. */
const char *table_key(const struct table *table, const void *value, uint32_t *ret_length);

/* A hash of bytes: 64 bits, which nobody can make collide who does not know the secret; not for cryptography. */
uint64_t table_hash(const void *bytes, size_t length, const struct table_secret *secret);

struct table_secret table_secret_open(void);

#endif
