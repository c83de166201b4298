/* The calls of <tallybus/web.h> in builds without HTTP. */
#include <tallybus/web.h>

int tbus_web_open(const tbus_web_options_t *options, tbus_web_t **ret_web)
{
    (void)options;
    (void)ret_web;
    return UV_ENOTSUP;
}

uint16_t tbus_web_port(const tbus_web_t *web)
{
    (void)web;
    return 0;
}

void tbus_web_close(tbus_web_t *web)
{
    (void)web;
}
