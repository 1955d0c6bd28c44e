/* A machine whose clock and whose names a test sets, under a program that runs: preloaded, it stands before the C library.
 *
 * The file named by MACHINE holds two numbers of 64 bits. The first is added to the machine's clock, in seconds; clocks
 * that nobody sets are left alone. Unless the second is 0, names that end in ".invalid" are this machine's. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *machine(void) {
    static const int64_t nothing[2];
    static volatile int64_t *set;
    if (!set) {
        const char *path = getenv("MACHINE");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *seen = file < 0 ? MAP_FAILED : mmap(NULL, sizeof nothing, PROT_READ, MAP_SHARED, file, 0);
        set = seen == MAP_FAILED ? (volatile int64_t *)nothing : seen;
    }
    return set;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += machine()[0];
    return result;
}

int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **found) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
    const char *end = name ? strrchr(name, '.') : NULL;
    if (end && strcmp(end, ".invalid") == 0 && machine()[1])
        name = "127.0.0.1";
    return real(name, port, hints, found);
}
