/* Faults below the C library, for one process: a disk that fails, and a wall clock that is set.
 *
 * Preloaded into the daemon by `shim.py`. TORTURE_DISK=FOLDER:SWITCH:COUNT  While the file SWITCH holds "sync",
 * syncing a file below FOLDER fails with EIO; while it holds "full" or "rofs", writing one fails with ENOSPC or
 * EROFS. Each failure adds a byte to COUNT. TORTURE_CLOCK=FILE  The double in it, in seconds, is added to the wall clock at once; the
 * monotonic clock goes on as it does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char folder[512], switch_file[512], count_file[512];
static const double *offset;

__attribute__((constructor)) static void set_up(void)
{
    const char *disk = getenv("TORTURE_DISK"), *clock_file = getenv("TORTURE_CLOCK");
    if (disk)
        sscanf(disk, "%511[^:]:%511[^:]:%511[^:]", folder, switch_file, count_file);
    if (clock_file) {
        int fd = open(clock_file, O_RDONLY);
        void *mapped = mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, fd, 0);
        offset = mapped == MAP_FAILED ? NULL : mapped;
        close(fd);
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Whether a file is below the folder while the switch says `what`. */
static int failing(int fd, const char *what)
{
    char said[8] = "", link[64], path[1024];
    int switched, keep = errno;
    if (!folder[0] || (switched = open(switch_file, O_RDONLY | O_CLOEXEC)) < 0) {
        errno = keep;
        return 0;
    }
    ssize_t got = read(switched, said, sizeof said - 1);
    close(switched);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = keep;
    if (got <= 0 || length <= 0 || strncmp(said, what, strlen(what)))
        return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)))
        return 0;
    int count = open(count_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (count >= 0) {
        if (REAL(write)(count, "x", 1) != 1)
            abort();
        close(count);
    }
    return 1;
}

#define FAIL(fd, what, error) \
    if (failing(fd, what)) {  \
        errno = error;        \
        return -1;            \
    }

int fsync(int fd) { FAIL(fd, "sync", EIO) return REAL(fsync)(fd); }
int fdatasync(int fd) { FAIL(fd, "sync", EIO) return REAL(fdatasync)(fd); }
ssize_t write(int fd, const void *data, size_t size) { FAIL(fd, "full", ENOSPC) FAIL(fd, "rofs", EROFS) return REAL(write)(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    FAIL(fd, "full", ENOSPC)
    FAIL(fd, "rofs", EROFS)
    return REAL(pwrite)(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    FAIL(fd, "full", ENOSPC)
    FAIL(fd, "rofs", EROFS)
    return REAL(pwrite64)(fd, data, size, at);
}

int clock_gettime(clockid_t id, struct timespec *time_)
{
    int result = REAL(clock_gettime)(id, time_);
    if (!result && offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        double moved = *offset;
        time_->tv_sec += (time_t)moved;
    }
    return result;
}
int gettimeofday(struct timeval *restrict time_, void *restrict zone)
{
    int result = REAL(gettimeofday)(time_, zone);
    if (!result && offset)
        time_->tv_sec += (time_t)*offset;
    return result;
}
time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
