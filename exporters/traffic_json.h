/* What requests and models tell alike. */
#ifndef EXPORTERS_TRAFFIC_JSON_H
#define EXPORTERS_TRAFFIC_JSON_H

#include <tallybus/traffic.h>

#include "exporters/json_document.h"

enum { JSON_TRAFFIC_FIELDS = 12 };

/* Of a tbus_traffic_t. */
extern const struct json_field json_traffic[JSON_TRAFFIC_FIELDS];

#endif
