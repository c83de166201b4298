/* The process itself, under the names that Prometheus' clients share. What the system does not tell is left out. */
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "exporters/prometheus.h"

static void add_cpu(struct page *page)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    prometheus_one_double(page, METRIC_COUNTER, "process_cpu_seconds_total",
                          "CPU time of the process, user and system.",
                          (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

/* When the system started, in seconds since 1970, to a tick; 0 = not known. (/proc/stat tells it, too, and takes a tenth of
 * a millisecond for all else that it tells.) All pages tell what the first one found: two clocks are never read at one
 * moment, and a start that changed would look like another process. */
static double boot_time(double ticks_per_second)
{
    static atomic_llong found_ticks;
    struct timespec now, up;
    long long known = 0;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || clock_gettime(CLOCK_BOOTTIME, &up) != 0)
        return 0;
    const double seconds = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
    const long long ticks = llround(seconds * ticks_per_second);
    if (!atomic_compare_exchange_strong(&found_ticks, &known, ticks))
        return (double)known / ticks_per_second;
    return (double)ticks / ticks_per_second;
}

/* /proc/self/stat: behind the last parenthesis, for a program's name may hold anything; the 22nd field is when the
 * process started, in ticks since the system did, then its virtual bytes and its resident pages. */
static void add_memory_and_start(struct page *page)
{
    char line[1024];
    uint64_t start, bytes, pages;
    FILE *file = fopen("/proc/self/stat", "re");
    const size_t length = file ? fread(line, 1, sizeof line - 1, file) : 0;
    if (file)
        fclose(file);
    line[length] = '\0';
    const char *fields = strrchr(line, ')');
    if (!fields || sscanf(fields,
                          ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64
                          " %" SCNu64 " %" SCNu64,
                          &start, &bytes, &pages) != 3)
        return;
    prometheus_one_uint(page, METRIC_GAUGE, "process_virtual_memory_bytes", "Virtual memory.", bytes);
    prometheus_one_uint(page, METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory.",
                        pages * (uint64_t)sysconf(_SC_PAGESIZE));
    const double ticks_per_second = (double)sysconf(_SC_CLK_TCK), boot = boot_time(ticks_per_second),
                 started = boot + (double)start / ticks_per_second;
    if (boot == 0)
        return;
    prometheus_one_double(page, METRIC_GAUGE, "process_start_time_seconds",
                          "When the process started, in seconds since 1970.", started);
    prometheus_since(page, (int64_t)llround(started * ticks_per_second) * (int64_t)(1e9 / ticks_per_second));
}

static void add_descriptors(struct page *page)
{
    struct rlimit limit;
    uint64_t open = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory) {
        for (const struct dirent *entry; (entry = readdir(directory));)
            open += entry->d_name[0] != '.';
        closedir(directory);
    }
    if (open > 0)
        prometheus_one_uint(page, METRIC_GAUGE, "process_open_fds", "Open file descriptors.",
                            open - 1 /* the directory's */);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        prometheus_one_double(page, METRIC_GAUGE, "process_max_fds", "The most file descriptors that may be open.",
                              limit.rlim_cur == RLIM_INFINITY ? (double)INFINITY : (double)limit.rlim_cur);
}

void prometheus_add_process(struct page *page)
{
    prometheus_since(page, 0);
    add_memory_and_start(page);
    add_cpu(page);
    add_descriptors(page);
}
