#include "trackers/latest.h"

void latest_init(struct latest *latest, int64_t jump_ns)
{
    *latest = (struct latest){.jump_ns = jump_ns < 0 ? INT64_MAX : jump_ns};
}

/* Goes on at the earliest time of the row, and from there to those that are not too far ahead of each other. */
static void reach(struct latest *latest)
{
    uint32_t left = latest->row;
    latest->now_ns = latest->times[0];
    for (uint32_t i = 1; i < left; i++)
        latest->now_ns = latest->times[i] < latest->now_ns ? latest->times[i] : latest->now_ns;
    do { /* each round takes those that the one before has brought within reach */
        latest->row = left;
        left = 0;
        for (uint32_t i = 0; i < latest->row; i++) {
            int64_t time = latest->times[i];
            if (latest_doubts(latest, time))
                latest->times[left++] = time;
            else if (time > latest->now_ns)
                latest->now_ns = time;
        }
    } while (left < latest->row);
}

static enum latest_verdict doubt(struct latest *latest, int64_t time_ns)
{
    latest->doubted++;
    latest->times[latest->row++] = time_ns;
    if (latest->row < LATEST_ROW)
        return LATEST_DOUBTED;
    reach(latest);
    return LATEST_REACHED;
}

enum latest_verdict latest_see_slowly(struct latest *latest, int64_t time_ns)
{
    if (latest->believed > 0 && latest_doubts(latest, time_ns))
        return doubt(latest, time_ns);
    latest->row = 0;
    bool first = latest->believed == 0;
    bool back = !first && latest->believed < LATEST_ROW && time_ns < latest->now_ns &&
                latest->now_ns - time_ns > latest->jump_ns;
    if (first || back || time_ns > latest->now_ns)
        latest->now_ns = time_ns;
    if (back)
        latest->believed = 0;
    latest->believed += latest->believed < LATEST_ROW;
    return back ? LATEST_WENT_BACK : LATEST_BELIEVED;
}
