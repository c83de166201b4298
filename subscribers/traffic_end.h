/* How a request ended, as the request and the model tracker want to know it, from the event that tells it. */
#ifndef SUBSCRIBERS_TRAFFIC_END_H
#define SUBSCRIBERS_TRAFFIC_END_H

#include <tallybus/subscribers.h>

static inline tbus_traffic_end_t traffic_end_of_completed(const tbus_request_completed_t *completed)
{
    return (tbus_traffic_end_t){.status_code = completed->status_code,
                                .duration_ms = completed->duration_ms,
                                .prompt_tokens = completed->input_tokens,
                                .completion_tokens = completed->output_tokens,
                                .time_ns = completed->base.time_ns};
}

static inline tbus_traffic_end_t traffic_end_of_failed(const tbus_request_failed_t *failed)
{
    return (tbus_traffic_end_t){.failed = true,
                                .status_code = failed->status_code,
                                .duration_ms = failed->duration_ms,
                                .time_ns = failed->base.time_ns};
}

#endif
