#include "trackers/cost.h"

int cost_records_open(struct cost_records *records, uint32_t room)
{
    *records = (struct cost_records){.room = room};
    if (room == 0)
        return 0;
    records->ring = tbus_mem_alloc(room * sizeof *records->ring);
    return records->ring ? 0 : UV_ENOMEM;
}

void cost_records_close(struct cost_records *records)
{
    tbus_mem_free(records->ring);
    records->ring = NULL;
}

struct cost_record *cost_records_next(struct cost_records *records, uint64_t *ret_number)
{
    *ret_number = records->taken;
    if (records->room == 0)
        return NULL;
    records->taken++;
    return &records->ring[*ret_number % records->room];
}

struct cost_record *cost_records_find(const struct cost_records *records, uint64_t number)
{
    if (number >= records->taken || records->taken - number > records->room)
        return NULL;
    return &records->ring[number % records->room];
}
