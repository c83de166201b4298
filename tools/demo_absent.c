/* tallybus demo and soak where HTTP or JSON was left out. */
#include "tools/tool.h"

int demo_main(int argc, char **argv)
{
    (void)argc;
    tool_say("%s: this tallybus was built without %s, which it takes to serve", argv[0],
             TBUS_WITH_HTTP   ? "JSON (jansson)"
             : TBUS_WITH_JSON ? "HTTP (libmicrohttpd, zlib)"
                              : "HTTP and JSON");
    return TOOL_UNUSABLE;
}

int soak_main(int argc, char **argv)
{
    return demo_main(argc, argv);
}
