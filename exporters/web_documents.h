/* The writers of the documents in JSON, with the parameters that they take: see web_documents.c for who is asked when. */
#ifndef EXPORTERS_WEB_DOCUMENTS_H
#define EXPORTERS_WEB_DOCUMENTS_H

#include "exporters/web_routes.h"

/* Where windows end. */
int64_t web_documents_now_ns(const struct web_sources *sources);

/* Adds a text that one of the exporters made, and frees it. */
int web_documents_add(struct text *text, int error, char *page);

extern const struct web_parameter web_by_model[], web_by_endpoint[], web_costs[], web_by_either[], web_budgets[],
    web_slos[], web_pattern[], web_recent[], web_compared[], web_ranked[];

int web_write_streaming(const struct web_request *request, struct text *text);
int web_write_stream(const struct web_request *request, struct text *text);
int web_write_errors(const struct web_request *request, struct text *text);
int web_write_recent(const struct web_request *request, struct text *text);
int web_write_patterns(const struct web_request *request, struct text *text);
int web_write_slo(const struct web_request *request, struct text *text);
int web_write_costs(const struct web_request *request, struct text *text);
int web_write_cost_of_key(const struct web_request *request, struct text *text);
int web_write_budgets(const struct web_request *request, struct text *text);
int web_write_requests(const struct web_request *request, struct text *text);
int web_write_models(const struct web_request *request, struct text *text);
int web_write_comparison(const struct web_request *request, struct text *text);
int web_write_ranking(const struct web_request *request, struct text *text);
int web_write_inference(const struct web_request *request, struct text *text);
int web_write_kvcache(const struct web_request *request, struct text *text);

#endif
