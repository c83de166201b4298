/* The one hash table: string keys to values of a fixed size, with a cap.
 *
 * A value lives in a cell of a slab; the index (open addressing, linear probing) holds 32 bits of hash and the cell's
 * number, so that a probe touches a cell only when the hashes agree. Cells are numbered from 0 and keep their number
 * for as long as they live; pointers to values hold until the next insertion. Keys are seeded with a random number of
 * the table's own, so that no client can choose ids that collide. Not locked: the tracker's lock covers it, except for
 * table_fit(), which is called before it is taken. */
#ifndef TRACKERS_TABLE_H
#define TRACKERS_TABLE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

#define TABLE_SHORT_MAX 191 /* bytes of a key that was too long */
#define TABLE_HOT_BYTES 56  /* of a value that shares one cache line with its head */

/* The key that names past the cap fold into. */
#define TABLE_OTHER "other"

/* What a cell begins with; the value follows it. */
struct table_head {
    uint32_t hash;   /* as in the index */
    uint32_t length; /* of the key; TABLE_NONE = free cell, `hash` is then the next free one */
};

/* What makes a table's hashes its own: two random words. */
struct table_secret {
    uint64_t a, b;
};

struct table {
    uint64_t *index;      /* hash << 32 | cell + 1; 0 = free */
    unsigned char *cells; /* `capacity` of them: struct table_head, value, key, tail */
    void *memory;         /* what `cells` lie in */
    struct table_secret secret;
    uint32_t index_mask;
    uint32_t capacity;                                  /* cells allocated */
    uint32_t used;                                      /* cells ever taken: those from here on are untouched */
    uint32_t count;                                     /* cells in use */
    uint32_t max;                                       /* cap on `count` */
    uint32_t free;                                      /* first cell of the free list, or TABLE_NONE */
    uint32_t value_bytes, key_max, tail_at, cell_bytes; /* [const after init] */
    uint32_t align;                                     /* [const after init] of cells */
};

/* A table for at most `max` keys; `key_max` is the longest key kept whole: see table_fit(). Allocates nothing yet. */
void table_init(struct table *table, uint32_t value_bytes, uint32_t key_max, uint32_t max);

/* The same for a table of many values that are used in random order: a value of at most TABLE_HOT_BYTES has its cache
 * line alone, the key begins the next one, and what is seldom touched stands behind the key (table_tail()). */
void table_init_hot(struct table *table, uint32_t value_bytes, uint32_t tail_bytes, uint32_t key_max, uint32_t max);

/* Gives the memory back; the table is then as after table_init(). */
void table_clear(struct table *table);

/* A key as a table keeps it, and any other with its secret and key_max: made before the tracker's lock is taken, so that
 * nobody waits while 10 MB are hashed. Holds for as long as the caller's text does. */
struct table_name {
    const char *text; /* the caller's, or `room` */
    uint32_t length;
    uint32_t hash;
    char room[TABLE_SHORT_MAX + 1];
};

/* NULL counts as "". A key longer than key_max becomes its beginning, cut between code points, and 16 hex digits of a
 * hash of all of it, TABLE_SHORT_MAX bytes at most: two that differ late stay apart. Needs no lock. */
void table_fit(const struct table *table, const char *key, struct table_name *name);

/* The same for bytes, at most key_max, any of them: a name with a NUL in it is none that table_fit() could give. */
void table_fit_bytes(const struct table *table, const void *bytes, uint32_t length, struct table_name *name);

/* table_find() and its kin for a key that was fitted, by this table or one alike. */
void *table_find_name(const struct table *table, const struct table_name *name);
void *table_add_name(struct table *table, const struct table_name *name, bool *ret_new, int *ret_error);
void *table_add_name_or_other(struct table *table, const struct table_name *name, int *ret_error);

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

/* Gives a value another key, which is in the table not yet; its cell stays. */
void table_rename(struct table *table, void *value, const struct table_name *name);

/* Removes a value that table_find() or table_add() gave. */
void table_remove(struct table *table, void *value);

/* Cells in turn: for (uint32_t i = 0; i < table->used; i++) if ((value = table_at(table, i))) ... NULL = a free cell.
 */
static inline void *table_at(const struct table *table, uint32_t cell)
{
    assert(cell < table->used);
    struct table_head *head = (struct table_head *)(void *)(table->cells + (size_t)cell * table->cell_bytes);
    return head->length == TABLE_NONE ? NULL : head + 1;
}

uint32_t table_cell_of(const struct table *table, const void *value);

/* The key of a value, NUL-terminated, and its length. */
const char *table_key(const struct table *table, const void *value, uint32_t *ret_length);

/* What stands behind the key of a value; zeroed like it. [table_init_hot()] */
static inline void *table_tail(const struct table *table, const void *value)
{
    return (char *)(uintptr_t)value + table->tail_at;
}

/* A hash of bytes: 64 bits, which nobody can make collide who does not know the secret; not for cryptography. */
uint64_t table_hash(const void *bytes, size_t length, const struct table_secret *secret);

struct table_secret table_secret_open(void);

#endif
