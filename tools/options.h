/* The command line of the subcommands. */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "tools/workload.h"

enum output { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_PROMETHEUS };

struct options {
    const char *file; /* replay alone */
    const char *prices, *model;
    uint32_t threads;
    uint32_t slo_ppm; /* 0 = the tracker's default */
    struct timing timing;
    double speed; /* 0 = max */
    enum output output;
    uint32_t rows; /* demo alone */
    uint64_t seed; /* demo alone */
    struct {       /* demo alone */
        bool wanted;
        char address[48]; /* "" = the default one */
        uint16_t port;
    } web;
    bool help;
};

/* Which subcommand an option belongs to. */
enum { OPTIONS_REPLAY = 1, OPTIONS_DEMO = 2 };

/* Reads the arguments of a subcommand over the defaults. False means that it has said what was wrong. */
bool options_read(struct options *options, unsigned subcommand, int argc, char **argv);

#endif
