/* An event type of the host's own, written in place: tbus_reserve() gives memory in the queue itself, tbus_commit()
 * publishes it. No copy is made, however large the event is. */
#include <stdio.h>
#include <string.h>
#include <tallybus.h>

/* The struct begins with the base that all events have. */
struct guardrail {
    tbus_event_t base;
    const char *rule;
    int64_t tokens_cut;
    double score;
    bool blocked;
};

/* The fields by name: so JSON, journals and logs can show it. */
static const tbus_field_t fields[] = {
    {"rule", TBUS_KIND_STRING, offsetof(struct guardrail, rule), 0},
    {"tokens_cut", TBUS_KIND_INT, offsetof(struct guardrail, tokens_cut), 0},
    {"score", TBUS_KIND_DOUBLE, offsetof(struct guardrail, score), 0},
    {"blocked", TBUS_KIND_BOOL, offsetof(struct guardrail, blocked), 0},
};

static int on_guardrail(const tbus_event_t *event, void *user)
{
    const struct guardrail *guardrail = (const struct guardrail *)(const void *)event;
    (void)user;
    printf("%s: %s, %.2f, %lld tokens cut, %s\n", event->request_id, guardrail->rule, guardrail->score,
           (long long)guardrail->tokens_cut, guardrail->blocked ? "blocked" : "let through");
    return 0;
}

static int publish(tbus_t *bus, uint32_t type, const char *request_id, const char *rule)
{
    const size_t id_bytes = strlen(request_id) + 1, rule_bytes = strlen(rule) + 1;
    tbus_event_t *event;
    void *room;
    /* Room for the struct, and for the strings that it points to. Never waits. */
    int error = tbus_reserve(bus, type, id_bytes + rule_bytes, &event, &room);
    if (error)
        return error;
    struct guardrail *guardrail = (struct guardrail *)(void *)event;
    guardrail->base.request_id = memcpy(room, request_id, id_bytes);
    guardrail->rule = memcpy((char *)room + id_bytes, rule, rule_bytes);
    guardrail->score = 0.93;
    guardrail->tokens_cut = 12;
    guardrail->blocked = true;
    /* Soon, and always: everything published later waits behind a reservation. tbus_abort() gives one up. */
    return tbus_commit(bus, event);
}

int main(void)
{
    tbus_t *bus;
    uint32_t type;
    if (tbus_open(NULL, &bus) != 0)
        return 1;
    int error = tbus_type_register(
        bus, &(tbus_type_t){"guardrail.triggered", TBUS_CLASS_VITAL, sizeof(struct guardrail), 4, fields}, &type);
    if (error) {
        fprintf(stderr, "no such type: %s\n", uv_strerror(error));
        return 1;
    }
    if (tbus_subscribe(bus, "guardrail.*", 0, on_guardrail, NULL) < 0)
        return 1;
    error = publish(bus, type, "req-7", "personal data");
    if (error)
        fprintf(stderr, "not published: %s\n", uv_strerror(error));
    return tbus_free(bus) != 0;
}
