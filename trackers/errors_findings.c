#include "trackers/errors_findings.h"

static bool is_full(struct findings *findings)
{
    if (findings->count < FINDINGS_MAX)
        return false;
    findings->behind = true;
    findings->delayed++;
    return true;
}

tbus_finding_t *findings_add(struct findings *findings)
{
    if (is_full(findings))
        return NULL;
    tbus_finding_t *place = &findings->list[(findings->first + findings->count) % FINDINGS_MAX];
    findings->count += !findings->off;
    *place = (tbus_finding_t){0};
    return place;
}

bool findings_return(struct findings *findings, const tbus_finding_t *finding)
{
    if (is_full(findings))
        return false;
    findings->first = (findings->first + FINDINGS_MAX - 1) % FINDINGS_MAX;
    findings->count++;
    findings->list[findings->first] = *finding;
    return true;
}

bool findings_take(struct findings *findings, tbus_finding_t *ret_finding)
{
    if (findings->count == 0)
        return false;
    *ret_finding = findings->list[findings->first];
    findings->first = (findings->first + 1) % FINDINGS_MAX;
    findings->count--;
    return true;
}
