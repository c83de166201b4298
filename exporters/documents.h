/* The documents of the trackers, each an object under a key (NULL: the document itself), so that one document may hold
 * several. `filter` NULL = all of it. */
#ifndef EXPORTERS_DOCUMENTS_H
#define EXPORTERS_DOCUMENTS_H

#include <tallybus/json.h>

#include "exporters/json_document.h"

void json_put_errors(struct json *json, const char *key, const tbus_errors_snapshot_t *snapshot,
                     const struct json_filter *filter);
void json_put_slo(struct json *json, const char *key, const tbus_errors_snapshot_t *snapshot,
                  const struct json_filter *filter);
void json_put_requests(struct json *json, const char *key, const tbus_requests_snapshot_t *snapshot,
                       const struct json_filter *filter);
void json_put_inference(struct json *json, const char *key, const tbus_inference_snapshot_t *snapshot,
                        const struct json_filter *filter);
void json_put_streaming(struct json *json, const char *key, const tbus_streaming_snapshot_t *snapshot,
                        const struct json_filter *filter);
void json_put_cost(struct json *json, const char *key, const tbus_cost_snapshot_t *snapshot,
                   const struct json_filter *filter);
void json_put_cost_period(struct json *json, const char *key, const tbus_cost_period_t *period,
                          const struct json_filter *filter);
void json_put_budgets(struct json *json, const char *key, const tbus_budgets_snapshot_t *snapshot,
                      const struct json_filter *filter);
void json_put_models(struct json *json, const char *key, const tbus_models_snapshot_t *snapshot,
                     const struct json_filter *filter);
void json_put_kvcache(struct json *json, const char *key, const tbus_kvcache_snapshot_t *snapshot,
                      const struct json_filter *filter);

#endif
