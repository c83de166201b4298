/* The models of the demonstration host: their pace, and what they say. The same prompt gets the same answer. */
#ifndef TOOLS_HOST_MODEL_H
#define TOOLS_HOST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_MODELS_MAX 8

struct host_model {
    const char *name; /* NULL = there is none in this place */
    bool embeds;
    uint32_t context_tokens;
    uint32_t dimensions;          /* of an embedding */
    int64_t first_ns, prefill_ns; /* to the first token: in all, and for each token of the prompt */
    int64_t itl_ns;               /* between tokens */
};

/* The models, made `pace` times faster than they are. */
void host_models_init(struct host_model models[HOST_MODELS_MAX], double pace);

/* The model of this name, or NULL; the name may be NULL. */
const struct host_model *host_models_find(const struct host_model models[HOST_MODELS_MAX], const char *name);

/* Goes on with a hash (FNV-1a) of what was asked; the first is begun with 0. */
uint64_t host_hash(uint64_t hash, const char *text, size_t length);

/* Tokens of a text: one for 4 bytes, which is about what English takes. */
uint32_t host_tokens_of(size_t bytes);

/* How many tokens a model says to a prompt of this hash, when nothing limits it: 16 .. 200. */
uint32_t host_answer_tokens(uint64_t hash);

/* The token of this number (from 0) in the answer to a prompt of this hash; with a blank before it but for the first.
 * Plain ASCII without quotes, so that it is JSON as it stands. */
const char *host_token(uint64_t hash, uint32_t number);

/* One component of an embedding: -1 .. 1. */
float host_component(uint64_t hash, uint32_t number);

/* A number for a hash that looks drawn at random. */
uint64_t host_mix(uint64_t value);

#endif
