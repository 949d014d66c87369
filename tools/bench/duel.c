#include "tools/bench/duel.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

static const char *const side_names[ED_DUEL_SIDES] = {"server", "client"};

uint64_t ed_duel_cpu_now_ns(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * ED_NS_PER_S +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * ED_NS_PER_US;
}

uint64_t ed_duel_resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re"); // the second number of it, in pages
    unsigned long all = 0, pages = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu %lu", &all, &pages) != 2)
        pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void ed_duel_fail(ed_duel *duel, ed_duel_side side, const char *format, ...)
{
    va_list arguments;

    if (duel->sides[side].error[0] != '\0')
        _exit(1); // another process of this side has said why
    va_start(arguments, format);
    vsnprintf(duel->sides[side].error, ED_BENCH_ERROR_SIZE, format, arguments);
    va_end(arguments);
    _exit(1);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200 * ED_NS_PER_US}, NULL);
}

void *ed_duel_listen(ed_duel *duel, uint32_t clients, const ed_bench_sink *sink)
{
    uint16_t port = 0;

    duel->sides[ED_DUEL_SERVER].rss_begin = ed_duel_resident();
    void *host = duel->system->listen(clients, sink, &port);
    if (host == NULL)
        ed_duel_fail(duel, ED_DUEL_SERVER, "cannot listen: %s", strerror(errno));
    atomic_store(&duel->port, port);
    return host;
}

uint16_t ed_duel_port(const ed_duel *duel)
{
    uint64_t give_up_ns = ed_clock_now_ns() + ED_BENCH_CONNECT_MS * ED_NS_PER_MS;

    while (atomic_load(&duel->port) == 0 && ed_clock_now_ns() < give_up_ns)
        nap();
    return (uint16_t)atomic_load(&duel->port);
}

void *ed_duel_dial(ed_duel *duel, const ed_bench_sink *sink)
{
    void *host = duel->system->dial(ed_duel_port(duel), sink);

    if (host == NULL)
        ed_duel_fail(duel, ED_DUEL_CLIENT, "cannot dial: %s", strerror(errno));
    return host;
}

void ed_duel_await(ed_duel *duel, void *host)
{
    uint64_t give_up_ns = ed_clock_now_ns() + ED_BENCH_CONNECT_MS * ED_NS_PER_MS;

    while (duel->system->connected(host) == 0) {
        if (ed_clock_now_ns() > give_up_ns)
            ed_duel_fail(duel, ED_DUEL_CLIENT, "not connected within %d s",
                         ED_BENCH_CONNECT_MS / 1000);
        duel->system->poll(host, 1);
    }
}

void ed_duel_begin(ed_duel *duel)
{
    duel->begin_ns = ed_clock_now_ns();
    duel->sides[ED_DUEL_CLIENT].cpu_begin_ns = ed_duel_cpu_now_ns();
    atomic_store(&duel->phase, ED_DUEL_MEASURE);
}

void ed_duel_end(ed_duel *duel)
{
    duel->end_ns = ed_clock_now_ns();
    duel->sides[ED_DUEL_CLIENT].cpu_end_ns = ed_duel_cpu_now_ns();
    atomic_store(&duel->phase, ED_DUEL_DONE);
}

bool ed_duel_follow(ed_duel *duel)
{
    ed_duel_account *own = &duel->sides[ED_DUEL_SERVER];
    int phase = atomic_load_explicit(&duel->phase, memory_order_acquire);

    if (phase >= ED_DUEL_MEASURE && own->cpu_begin_ns == 0)
        own->cpu_begin_ns = ed_duel_cpu_now_ns();
    if (phase < ED_DUEL_DONE)
        return true;
    own->cpu_end_ns = ed_duel_cpu_now_ns();
    own->rss_end = ed_duel_resident();
    return false;
}

double ed_duel_side_cpu_ns(const ed_duel *duel, ed_duel_side side)
{
    return (double)(duel->sides[side].cpu_end_ns - duel->sides[side].cpu_begin_ns);
}

double ed_duel_cpu_ns(const ed_duel *duel)
{
    return ed_duel_side_cpu_ns(duel, ED_DUEL_SERVER) + ed_duel_side_cpu_ns(duel, ED_DUEL_CLIENT);
}

double ed_duel_seconds(const ed_duel *duel)
{
    return (double)(duel->end_ns - duel->begin_ns) / (double)ED_NS_PER_S;
}

/** The server has the first CPU that we may use, the client the second, if there are two. */
static void pin(ed_duel_side side)
{
    cpu_set_t allowed, one;
    int wanted = side == ED_DUEL_SERVER ? 0 : 1;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) < 2)
        return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || wanted-- != 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
        return;
    }
}

pid_t ed_duel_fork(ed_duel *duel, ed_duel_side side, ed_duel_role role)
{
    pid_t parent = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // a server that outlives the bench would burn a CPU
    if (getppid() != parent)
        _exit(1);
    pin(side);
    role(duel);
    _exit(0);
}

void ed_duel_join(ed_duel *duel, ed_duel_side side, pid_t pid)
{
    int status = 0;

    if (pid <= 0)
        ed_duel_fail(duel, side, "a process of it could not be started");
    if (waitpid(pid, &status, 0) != pid || status != 0)
        ed_duel_fail(duel, side, "a process of it died");
}

/** Says what failed, unless it has been said of the other side. */
static void tell(ed_bench_result *result, const ed_duel *duel, ed_duel_side side, const char *why)
{
    if (result->error[0] == '\0')
        snprintf(result->error, sizeof(result->error), "the %s of %s: %.120s", side_names[side],
                 duel->system->name, why);
}

/** Ends a process, if there is one: 0 and -1 would be whole groups of others. */
static void end_process(pid_t pid)
{
    if (pid > 0)
        kill(pid, SIGKILL);
}

/** @return false if one cannot be started: then neither is there. */
static bool start_both(pid_t pids[ED_DUEL_SIDES], ed_bench_result *result, ed_duel *duel,
                       const ed_duel_role roles[ED_DUEL_SIDES])
{
    for (ed_duel_side side = ED_DUEL_SERVER; side < ED_DUEL_SIDES; side++) {
        pids[side] = ed_duel_fork(duel, side, roles[side]);
        if (pids[side] > 0)
            continue;
        tell(result, duel, side, strerror(errno));
        for (ed_duel_side started = ED_DUEL_SERVER; started < side; started++) {
            end_process(pids[started]);
            (void)waitpid(pids[started], NULL, 0);
        }
        return false;
    }
    return true;
}

/** Waits for both; if one fails the other is ended. @return whether both did well. */
static bool await_both(pid_t pids[ED_DUEL_SIDES], ed_bench_result *result, const ed_duel *duel)
{
    for (int left = ED_DUEL_SIDES; left > 0; left--) {
        int status = 0;
        pid_t pid = wait(&status);
        ed_duel_side side = pid == pids[ED_DUEL_SERVER] ? ED_DUEL_SERVER : ED_DUEL_CLIENT;
        pids[side] = 0; // reaped: the number may be another's from now on
        if (pid > 0 && status == 0)
            continue;
        tell(result, duel, side,
             duel->sides[side].error[0] != '\0' ? duel->sides[side].error : "died");
        end_process(pids[ED_DUEL_SIDES - 1 - side]);
    }
    return result->error[0] == '\0';
}

ed_duel *ed_duel_run(ed_bench_result *result, const ed_bench_work *work,
                     const ed_bench_system *system, const ed_bench_plan *plan, ed_duel_role server,
                     ed_duel_role client)
{
    ed_duel *duel =
        mmap(NULL, sizeof(*duel), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const ed_duel_role roles[ED_DUEL_SIDES] = {server, client};
    pid_t pids[ED_DUEL_SIDES] = {0};

    *result = (ed_bench_result){.error = ""};
    if (duel == MAP_FAILED) {
        snprintf(result->error, sizeof(result->error), "no memory");
        return NULL;
    }
    duel->work = work;
    duel->system = system;
    duel->plan = *plan;
    if (start_both(pids, result, duel, roles) && await_both(pids, result, duel))
        return duel;
    ed_duel_free(duel);
    return NULL;
}

void ed_duel_free(ed_duel *duel)
{
    munmap(duel, sizeof(*duel));
}
