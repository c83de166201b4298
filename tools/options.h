/* The command line of the subcommands. */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "tools/host_keys.h"
#include "tools/workload.h"

enum output { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_PROMETHEUS };

/* Where to listen. */
struct place {
    bool wanted;
    char address[48]; /* "" = the default one */
    uint16_t port;
};

struct options {
    const char *file; /* replay; of soak the minutes */
    const char *prices, *model;
    uint32_t threads;
    uint32_t slo_ppm; /* 0 = the tracker's default */
    struct timing timing;
    double speed; /* 0 = max */
    enum output output;
    uint32_t rows;    /* simulate alone */
    uint64_t seed;    /* simulate alone */
    struct place web; /* simulate, demo */
    /* demo and soak alone */
    struct place listen;
    double load; /* requests each second */
    double pace;
    int64_t duration_ns; /* 0 = until a signal comes */
    int64_t check_ns;    /* soak alone */
    uint32_t faults_permille;
    struct host_keys keys;
    bool help;
};

/* Which subcommand an option belongs to. */
enum { OPTIONS_REPLAY = 1, OPTIONS_SIMULATE = 2, OPTIONS_DEMO = 4, OPTIONS_SOAK = 8 };

/* Reads the arguments of a subcommand over the defaults. False means that it has said what was wrong. */
bool options_read(struct options *options, unsigned subcommand, int argc, char **argv);

#endif
