/* Faults between a program and its sockets, for LD_PRELOAD. The file that RPCSERVER_FAULTS names has
   a cell for each kind of fault (shim.py has the same list): how often it comes, one in so many
   calls, and how often it came; behind them is what is added to the time of day. The test writes
   there while the program runs. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { DELAY, SHORT_READ, SHORT_WRITE, DROP, RESET, INTERRUPT, AGAIN, NO_FILES, NO_SOCKETS, NO_BUFFERS };

struct cell {
    uint32_t one_in, came;
};

static struct {
    struct cell cells[16];
    int64_t seconds;
    uint32_t drawn;
} *shared;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("RPCSERVER_FAULTS");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (file >= 0) {
        void *mapped = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        shared = mapped == MAP_FAILED ? NULL : mapped;
        close(file);
    }
}

/* Another number each time, whatever thread or child asks. */
static uint32_t number(void)
{
    uint32_t n = __atomic_add_fetch(&shared->drawn, 0x9e3779b9u, __ATOMIC_RELAXED);
    n = (n ^ (n >> 16)) * 0x85ebca6bu;
    n = (n ^ (n >> 13)) * 0xc2b2ae35u;
    return n ^ (n >> 16);
}

static int comes(int kind)
{
    if (shared == NULL || shared->cells[kind].one_in == 0 || number() % shared->cells[kind].one_in) {
        return 0;
    }
    __atomic_add_fetch(&shared->cells[kind].came, 1, __ATOMIC_RELAXED);
    return 1;
}

/* 0 for what is no connection to anybody else, as the pairs of sockets that wake event loops. */
static int type_of(int file)
{
    int type = 0;
    socklen_t size = sizeof(type);
    struct sockaddr_un own, other;
    socklen_t own_size = sizeof(own), other_size = sizeof(other);
    if (shared == NULL || getsockopt(file, SOL_SOCKET, SO_TYPE, &type, &size) < 0
        || getsockname(file, (struct sockaddr *)&own, &own_size) < 0) {
        return 0;
    }
    if (own.sun_family == AF_UNIX && own_size <= sizeof(sa_family_t)
        && (getpeername(file, (struct sockaddr *)&other, &other_size) < 0
            || other_size <= sizeof(sa_family_t))) {
        return 0;
    }
    return type;
}

static int failed(int error)
{
    errno = error;
    return -1;
}

/* Faults that reading, writing and accepting have in common: -1 with errno. */
static int trouble(int file, int flags, int type)
{
    if (comes(DELAY)) {
        struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
    }
    if (comes(INTERRUPT)) {
        return failed(EINTR);
    }
    /* Who waits would take it for the end of his patience. */
    if ((flags & MSG_DONTWAIT || fcntl(file, F_GETFL) & O_NONBLOCK) && comes(AGAIN)) {
        return failed(EAGAIN);
    }
    if (type == SOCK_STREAM && !(flags & MSG_PEEK) && comes(RESET)) {
        shutdown(file, SHUT_RDWR);
        return failed(ECONNRESET);
    }
    return 0;
}

static size_t part(size_t size, int kind)
{
    return size > 1 && comes(kind) ? 1 + number() % (size < 9 ? size : 9) : size;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (real == NULL) { \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
    }

ssize_t recv(int file, void *data, size_t size, int flags)
{
    REAL(recv)
    int type = type_of(file);
    if (type && trouble(file, flags, type) < 0) {
        return -1;
    }
    return real(file, data, type == SOCK_STREAM ? part(size, SHORT_READ) : size, flags);
}

ssize_t recvfrom(int file, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *length)
{
    REAL(recvfrom)
    int type = type_of(file);
    if (type && trouble(file, flags, type) < 0) {
        return -1;
    }
    return real(file, data, type == SOCK_STREAM ? part(size, SHORT_READ) : size, flags, from, length);
}

ssize_t recvmsg(int file, struct msghdr *message, int flags)
{
    REAL(recvmsg)
    int type = type_of(file);
    return type && trouble(file, flags, type) < 0 ? -1 : real(file, message, flags);
}

int recvmmsg(int file, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    REAL(recvmmsg)
    int type = type_of(file);
    if (type && trouble(file, flags, type) < 0) {
        return -1;
    }
    return real(file, messages, (unsigned)part(count, SHORT_READ), flags, timeout);
}

/* Before something is written: -1 with errno; 1 if it is to get lost. */
static int before_sending(int file, int flags, int type)
{
    if (trouble(file, flags, type) < 0) {
        return -1;
    }
    if (comes(NO_BUFFERS)) {
        return failed(ENOBUFS);
    }
    return type == SOCK_DGRAM && comes(DROP);
}

ssize_t send(int file, const void *data, size_t size, int flags)
{
    REAL(send)
    int type = type_of(file), what = type ? before_sending(file, flags, type) : 0;
    if (what) {
        return what < 0 ? -1 : (ssize_t)size;
    }
    return real(file, data, type == SOCK_STREAM ? part(size, SHORT_WRITE) : size, flags);
}

ssize_t sendto(int file, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
    REAL(sendto)
    int type = type_of(file), what = type ? before_sending(file, flags, type) : 0;
    if (what) {
        return what < 0 ? -1 : (ssize_t)size;
    }
    return real(file, data, type == SOCK_STREAM ? part(size, SHORT_WRITE) : size, flags, to, length);
}

ssize_t sendmsg(int file, const struct msghdr *message, int flags)
{
    REAL(sendmsg)
    int type = type_of(file), what = type ? before_sending(file, flags, type) : 0;
    if (what > 0) {
        ssize_t size = 0;
        for (size_t n = 0; n < message->msg_iovlen; n++) {
            size += (ssize_t)message->msg_iov[n].iov_len;
        }
        return size;
    }
    if (what == 0 && type == SOCK_STREAM && message->msg_iovlen > 0 && comes(SHORT_WRITE)) {
        struct msghdr first = *message;
        struct iovec cut = message->msg_iov[0];
        cut.iov_len = cut.iov_len > 1 ? 1 + number() % cut.iov_len : cut.iov_len;
        first.msg_iov = &cut;
        first.msg_iovlen = 1;
        return real(file, &first, flags);
    }
    return what < 0 ? -1 : real(file, message, flags);
}

int sendmmsg(int file, struct mmsghdr *messages, unsigned count, int flags)
{
    REAL(sendmmsg)
    int type = type_of(file), what = type ? before_sending(file, flags, type) : 0;
    return what < 0 ? -1 : what > 0 ? (int)count : real(file, messages, (unsigned)part(count, SHORT_WRITE), flags);
}

static int no_connection(int file)
{
    if (type_of(file) && trouble(file, 0, 0) < 0) {
        return -1;
    }
    return comes(NO_FILES) ? failed(EMFILE) : 0;
}

int accept(int file, struct sockaddr *from, socklen_t *length)
{
    REAL(accept)
    return no_connection(file) < 0 ? -1 : real(file, from, length);
}

int accept4(int file, struct sockaddr *from, socklen_t *length, int flags)
{
    REAL(accept4)
    return no_connection(file) < 0 ? -1 : real(file, from, length, flags);
}

int socket(int family, int type, int protocol)
{
    REAL(socket)
    return comes(NO_SOCKETS) ? failed(EMFILE) : real(family, type, protocol);
}

int poll(struct pollfd *files, nfds_t count, int milliseconds)
{
    REAL(poll)
    return comes(INTERRUPT) ? failed(EINTR) : real(files, count, milliseconds);
}

int epoll_wait(int file, struct epoll_event *events, int count, int milliseconds)
{
    REAL(epoll_wait)
    return comes(INTERRUPT) ? failed(EINTR) : real(file, events, count, milliseconds);
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    REAL(clock_gettime)
    int done = real(which, now);
    if (done == 0 && which == CLOCK_REALTIME && shared != NULL) {
        now->tv_sec += shared->seconds;
    }
    return done;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec time;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    if (now != NULL) {
        *now = time.tv_sec;
    }
    return time.tv_sec;
}
