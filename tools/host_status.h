/* How the demonstration host is doing: one line, renewed where standard error is a terminal, else a line now and then. */
#ifndef TOOLS_HOST_STATUS_H
#define TOOLS_HOST_STATUS_H

#include "tools/host_load.h"

struct host_status {
    struct host *host;
    struct host_load *load;
    bool is_terminal;
    uint64_t shown_hr, requests; /* when it was shown last, and how many there were */
};

/* `load` may be NULL. */
void host_status_begin(struct host_status *status, struct host *host, struct host_load *load);

/* Shows it where it is time to. */
void host_status_show(struct host_status *status);
void host_status_end(struct host_status *status);

#endif
