/* The web server where the library was built without HTTP. */
#include <tallybus.h>

#include "tests/check.h"

Test(web_absent, the_calls_say_so)
{
    tbus_web_t *web = NULL;
    cr_assert_eq(tbus_web_open(&(tbus_web_options_t){0}, &web), UV_ENOTSUP);
    cr_assert_eq(tbus_web_open(NULL, &web), UV_ENOTSUP);
    cr_assert_null(web);
    cr_assert_eq(tbus_web_port(NULL), 0);
    tbus_web_close(NULL);
}
