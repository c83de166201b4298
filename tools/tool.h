/* What the parts of the tallybus command share. It uses the library's public headers alone, like any host. */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the command ends. */
enum {
    TOOL_GOOD = 0,
    TOOL_BROKEN_LINES = 1, /* the report is whole, but for lines that could not be used */
    TOOL_USAGE = 2,        /* the command line can not be understood */
    TOOL_UNUSABLE = 3      /* no report: the input can not be used, or the machine did not play along */
};

#define TOOL_WHY_BYTES 512

/* The subcommands; `argv[0]` is the subcommand's name. Each returns how the command ends. */
int replay_main(int argc, char **argv);
int simulate_main(int argc, char **argv);
int demo_main(int argc, char **argv);
int soak_main(int argc, char **argv);

/* Says one sentence on stderr, behind "tallybus: ". What a terminal might obey is shown as '?'. */
__attribute__((format(printf, 1, 2))) void tool_say(const char *format, ...);

/* Replaces control characters by '?', in place: text from a file must not steer a terminal. Returns `text`. */
char *tool_tame(char *text);

#endif
