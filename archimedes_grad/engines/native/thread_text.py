"""The C of loops that run in parts on several threads: the pool, compiled once for a machine, and the call of it.

What a part computes depends on the part alone, and sums of parts are added in the order of the parts: results are the
same whichever thread computes which part, and however many there are.
"""

from __future__ import annotations

#: A file with nothing but the pool.
POOL_FILE = """\
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

typedef void (*part_function)(const void *context, long part);

static pthread_mutex_t taken = PTHREAD_MUTEX_INITIALIZER, lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER, ended = PTHREAD_COND_INITIALIZER;
static int wanted = 1, workers = 0;
/* The process that the pool belongs to; its negative while it is made anew. */
static int owner = 0;

/* The loop under way; written under the lock, but for the next part, which is counted up by whoever takes one. */
static struct {
    part_function function;
    const void *context;
    long parts, next;
    int is_open, working;
    unsigned long number;
} job;

static void work_on(part_function function, const void *context, long parts)
{
    for (;;) {
        const long part = __atomic_fetch_add(&job.next, 1, __ATOMIC_RELAXED);
        if (part >= parts) return;
        function(context, part);
    }
}

static void *worker(void *unused)
{
    unsigned long seen = 0;
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!job.is_open || job.number == seen || job.working >= wanted - 1) pthread_cond_wait(&begun, &lock);
        seen = job.number;
        const part_function function = job.function;
        const void *const context = job.context;
        const long parts = job.parts;
        ++job.working;
        pthread_mutex_unlock(&lock);
        work_on(function, context, parts);
        pthread_mutex_lock(&lock);
        if (--job.working == 0) pthread_cond_signal(&ended);
    }
    return 0;
}

/* The threads of a process are not those of its child, and whoever held a lock is not there. */
static void forget_threads(void)
{
    pthread_mutex_init(&taken, 0);
    pthread_mutex_init(&lock, 0);
    pthread_cond_init(&begun, 0);
    pthread_cond_init(&ended, 0);
    workers = 0;
    job.is_open = job.working = 0;
}

/* Threads that are missing are started. Signals are for the threads of the program. */
static void start_workers(void)
{
    sigset_t all, before;
    pthread_attr_t detached;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    while (workers < wanted - 1) {
        pthread_t thread;
        /* With fewer threads it takes longer. */
        if (pthread_create(&thread, &detached, worker, 0)) break;
        ++workers;
    }
    pthread_attr_destroy(&detached);
    pthread_sigmask(SIG_SETMASK, &before, 0);
}

/* Of how many threads a loop is given to, the one that calls included. */
void set_threads(int threads) { __atomic_store_n(&wanted, threads, __ATOMIC_RELAXED); }

static int is_mine(void)
{
    const int own = (int)getpid();
    int known = __atomic_load_n(&owner, __ATOMIC_ACQUIRE);
    if (known == own) return 1;
    if (known == -own || !__atomic_compare_exchange_n(&owner, &known, -own, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return 0;
    forget_threads();
    __atomic_store_n(&owner, own, __ATOMIC_RELEASE);
    return 1;
}

/* Call a function for parts 0 to parts - 1. A thread that comes while another has the pool works alone. */
void run_in_parts(part_function function, const void *context, long parts)
{
    if (!is_mine() || pthread_mutex_trylock(&taken)) {
        for (long part = 0; part < parts; ++part) function(context, part);
        return;
    }
    pthread_mutex_lock(&lock);
    if (workers < wanted - 1) start_workers();
    job.function = function;
    job.context = context;
    job.parts = parts;
    job.next = 0;
    job.is_open = 1;
    ++job.number;
    pthread_cond_broadcast(&begun);
    pthread_mutex_unlock(&lock);
    work_on(function, context, parts);
    pthread_mutex_lock(&lock);
    job.is_open = 0;
    while (job.working) pthread_cond_wait(&ended, &lock);
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&taken);
}
"""

#: Calls of the pool in a library, by its address at the place ``{{pool}}`` of the routines.
PARTS = """\
/* What a part of a loop needs: all that its function has, the single numbers it reads, and room for what adds up. */
typedef struct {{
    const double *const *arg;
    double *const *res;
    double *w;
    const double *const *data;
    const double *numbers;
    double *sums;
}} surroundings;
static void run_in_parts(void (*function)(const void *, long), const surroundings *s, long parts)
{{
    const void *const *routines = (const void *const *)s->data[{routines}];
    ((void (*)(void (*)(const void *, long), const void *, long))routines[{pool}])(function, s, parts);
}}
"""
