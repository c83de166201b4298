/* A real Prometheus scrapes a real server. */
#include <tallybus.h>

#include "tests/exporters/telemetry_fixture.h"
#include "tests/scratch.h"

static int64_t clock_of(void *now_ns)
{
    return *(const int64_t *)now_ns;
}

static void scrape(const struct trace_names *names)
{
    struct trace_set set;
    tbus_web_t *web;
    char command[1024];
    if (system("command -v prometheus >/dev/null 2>&1 && /usr/bin/python3 -c '' 2>/dev/null") != 0)
        cr_skip_test("prometheus or python3 is not installed");
    scratch_open();
    trace_open(&set, names, 40);
    const tbus_web_options_t options = {
        .bus = set.hosted.bus, .telemetry = set.telemetry, .clock = clock_of, .clock_user = &set.now_ns};
    cr_assert_eq(tbus_web_open(&options, &web), 0);
    snprintf(
        command, sizeof command,
        "/usr/bin/python3 '%s/tests/exporters/prometheus_server.py' %u '%s' >&2 || { tail -n 20 '%s/prometheus.log' "
        ">&2; false; }",
        TBUS_SOURCE_DIR, (unsigned)tbus_web_port(web), scratch_directory, scratch_directory);
    int status = system(command);
    tbus_web_close(web);
    trace_close(&set);
    cr_assert_eq(status, 0);
}

Test(prometheus_server, a_query_gives_each_figure_back)
{
    scrape(&trace_plain);
}

Test(prometheus_server, a_query_gives_hostile_names_back)
{
    scrape(&(struct trace_names){{"</script><b>", "m \"quoted\"\n\\slashed\xFF"},
                                 {"/v1/\x01\x1F\t?a=b&c", "/v1/\xF0\x9F\x98\x80\xE2\x82"},
                                 "user\nof \"two\" lines",
                                 "text\r\n# EOF\n"});
}
