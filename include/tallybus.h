/* tallybus: an in-process, priority-ordered publish/subscribe bus with the trackers an LLM gateway needs. */
#ifndef TALLYBUS_H
#define TALLYBUS_H

#include <tallybus/base.h>
#include <tallybus/buckets.h>
#include <tallybus/budget.h>
#include <tallybus/bus.h>
#include <tallybus/cost.h>
#include <tallybus/distribution.h>
#include <tallybus/errors.h>
#include <tallybus/events.h>
#include <tallybus/fingerprint.h>
#include <tallybus/inference.h>
#include <tallybus/journal.h>
#include <tallybus/json.h>
#include <tallybus/kvcache.h>
#include <tallybus/ledger.h>
#include <tallybus/log.h>
#include <tallybus/models.h>
#include <tallybus/money.h>
#include <tallybus/prices.h>
#include <tallybus/prometheus.h>
#include <tallybus/requests.h>
#include <tallybus/slo.h>
#include <tallybus/streaming.h>
#include <tallybus/subscribers.h>
#include <tallybus/telemetry.h>
#include <tallybus/traffic.h>
#include <tallybus/usage.h>
#include <tallybus/usage_event.h>
#include <tallybus/web.h>

#endif
