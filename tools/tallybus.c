/* The tallybus command: which subcommand, help, version. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef _WIN32
#include <fcntl.h>
#include <unistd.h>
#endif

#include <tallybus.h>

#include "tools/tool.h"

static const char usage[] = "Usage: tallybus COMMAND [OPTIONS]\n"
                            "\n"
                            "  replay FILE   play a trace or a file of events through the bus, and report\n"
                            "  simulate      play an hour of traffic made up on the spot, and report\n"
                            "  demo          serve OpenAI's protocol with a made-up model, on a bus, under load\n"
                            "  soak MINUTES  run the demo under load and faults, and check that all counts agree\n"
                            "  help COMMAND  a command's options, or without one this text\n"
                            "  version       the version of the library\n"
                            "\n"
                            "Exit codes: 0 good, 1 a whole report but for lines that could not be used, 2 the command\n"
                            "line is wrong, 3 no report.\n";

char *tool_tame(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        bool upper = c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0; /* U+0080 .. U+009F steer some terminals too */
        if (*c < 0x20 || *c == 0x7F || upper)
            *c = '?';
        if (upper)
            *++c = '?';
    }
    return text;
}

void tool_say(const char *format, ...)
{
    char sentence[4096 + TOOL_WHY_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    fprintf(stderr, "tallybus: %s\n", tool_tame(sentence));
}

/* A file opened later must not take the number of a stream that came closed: reports would go into it. Returns false
 * where standard output is closed. */
static bool prepare_streams(void)
{
#ifdef _WIN32
    return true;
#else
    bool output_open = fcntl(STDOUT_FILENO, F_GETFD) != -1;
    int null = open("/dev/null", O_RDWR);
    while (null >= 0 && null <= STDERR_FILENO)
        null = dup(null);
    if (null >= 0)
        close(null);
    return output_open;
#endif
}

/* What a command does, its own name being the first argument; NULL = there is no such. */
static int (*main_of(const char *command))(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {{"replay", replay_main}, {"simulate", simulate_main}, {"demo", demo_main}, {"soak", soak_main}};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(command, commands[i].name) == 0)
            return commands[i].run;
    return NULL;
}

int main(int argc, char **argv)
{
#ifdef SIGPIPE
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is told as an error of writing */
#endif
    if (!prepare_streams()) {
        tool_say("standard output is closed, so there is nowhere to write to");
        return TOOL_UNUSABLE;
    }
    const char *command = argc > 1 ? argv[1] : "";
    int (*const run)(int, char **) = main_of(command);
    if (run)
        return run(argc - 1, argv + 1);
    if (strcmp(command, "help") == 0 && argc > 2 && main_of(argv[2]))
        return main_of(argv[2])(2, (char *[]){argv[2], "--help", NULL});
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        fputs(usage, stdout);
        return fflush(stdout) ? TOOL_UNUSABLE : TOOL_GOOD;
    }
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) {
        printf("tallybus %s\n", tbus_version());
        return fflush(stdout) ? TOOL_UNUSABLE : TOOL_GOOD;
    }
    if (*command)
        tool_say("there is no command '%.100s'", command);
    fputs(usage, stderr);
    return TOOL_USAGE;
}
