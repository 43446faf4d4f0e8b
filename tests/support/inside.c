/* What somebody who has taken over the daemon would try, tried from within it: loaded by LD_PRELOAD, it waits for the
 * first frame, when the daemon has confined itself and all its threads run, makes the attempts, writes a line about each
 * to standard error, and ends the process.
 *
 * INSIDE=attempts: a line `attempt NAME ok|ERRNO` for each way out that has been found open before.
 * INSIDE=camera:   a line `camera NAME ERRNO` for each request of V4L2, made of no device, as soon as a model is opened.
 * INSIDE=walk:     a line `call NUMBER ERRNO` for each number of a system call, made with arguments that no call can do
 *                  anything with. Those that would end or hold the process are left out. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/videodev2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
enum { OPEN_TREE_ATTR = 467, FILE_SETATTR = 469, LAST = 1100 };

/* Opened before the daemon gives up opening devices; whoever starts the daemon from a terminal leaves it one, too. */
static int terminal = -1;

__attribute__((constructor)) static void start(void)
{
    if (getenv("INSIDE"))
        terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static void tell(const char *name, long result)
{
    if (result < 0)
        dprintf(STDERR_FILENO, "attempt %s %s\n", name, strerrorname_np(errno));
    else
        dprintf(STDERR_FILENO, "attempt %s ok\n", name);
}

/* A new process, which must not go on as the daemon. */
static long child_of(long process)
{
    if (process == 0)
        _exit(0);
    return process;
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static long number(const char *name)
{
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static void network(void)
{
    /* INSIDE_PORT is listened on, and not the broker's. */
    struct sockaddr_in elsewhere = loopback(number("INSIDE_PORT"));
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
    tell("mptcp-socket", fd);
    tell("mptcp-connect", fd < 0 ? -1 : connect(fd, (void *)&elsewhere, sizeof elsewhere));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    tell("tcp-socket", fd);
    tell("tcp-connect", connect(fd, (void *)&elsewhere, sizeof elsewhere));
    tell("tcp-fastopen", sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&elsewhere, sizeof elsewhere));
    struct iovec piece = {.iov_base = "x", .iov_len = 1};
    struct msghdr message = {
        .msg_name = &elsewhere, .msg_namelen = sizeof elsewhere, .msg_iov = &piece, .msg_iovlen = 1};
    struct mmsghdr messages = {.msg_hdr = message};
    int second = socket(AF_INET, SOCK_STREAM, 0);
    tell("tcp-fastopen-message", sendmsg(second, &message, MSG_FASTOPEN));
    int third = socket(AF_INET, SOCK_STREAM, 0);
    tell("tcp-fastopen-messages", sendmmsg(third, &messages, 1, MSG_FASTOPEN));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = loopback(0);
    tell("tcp-bind", bind(fd, (void *)&any, sizeof any));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    tell("listen-unbound", listen(fd, 1));
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    tell("udp-socket", fd);
    tell("udp-send", sendto(fd, "x", 1, 0, (void *)&elsewhere, sizeof elsewhere));
    tell("udp-bind", bind(fd, (void *)&any, sizeof any));
    tell("udplite-socket", socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
    tell("sctp-socket", socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
    tell("ping-socket", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
    tell("raw-socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    tell("packet-socket", socket(AF_PACKET, SOCK_DGRAM, 0));
    tell("vsock-socket", socket(AF_VSOCK, SOCK_STREAM, 0));
    tell("alg-socket", socket(AF_ALG, SOCK_SEQPACKET, 0));
    tell("netlink-route-socket", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    tell("netlink-audit-socket", socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT));

    struct sockaddr_un local = {.sun_family = AF_UNIX};
    const char *path = getenv("INSIDE_SOCKET");
    strncpy(local.sun_path, path ? path : "", sizeof local.sun_path - 1);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    tell("unix-stream-socket", fd);
    tell("unix-connect", connect(fd, (void *)&local, sizeof local));
    tell("unix-datagram-socket", socket(AF_UNIX, SOCK_DGRAM, 0));
    int pair[2];
    tell("unix-datagram-pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    tell("unix-stream-pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

static void others(void)
{
    /* INSIDE_PROCESS is another process of this user, INSIDE_FILE a file in the state folder. */
    long process = number("INSIDE_PROCESS");
    const char *file = getenv("INSIDE_FILE");
    if (!file)
        file = "/nothing";
    struct clone_args space = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    struct clone_args fork3 = {.exit_signal = SIGCHLD};
    tell("clone-user-namespace", child_of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)));
    tell("clone3-user-namespace", child_of(syscall(SYS_clone3, &space, sizeof space)));
    tell("clone3-fork", child_of(syscall(SYS_clone3, &fork3, sizeof fork3)));
    tell("fork", child_of(fork()));
    tell("unshare-user-namespace", unshare(CLONE_NEWUSER));
    tell("setxattr", setxattr(file, "user.note", "x", 1, 0));
    tell("chmod", chmod(file, 0644));
    tell("fchmodat", fchmodat(AT_FDCWD, file, 0644, 0));
    tell("utimensat", utimensat(AT_FDCWD, file, NULL, 0));
    char attributes[24] = "";
    tell("file-setattr", syscall(FILE_SETATTR, AT_FDCWD, file, attributes, sizeof attributes, 0));
    tell("open-tree-attr", syscall(OPEN_TREE_ATTR, AT_FDCWD, "/", 0, NULL, 0));
    struct rlimit limit;
    tell("prlimit-other-read", prlimit(process, RLIMIT_NOFILE, NULL, &limit));
    tell("prlimit-other-write", prlimit(process, RLIMIT_NOFILE, &limit, NULL));
    tell("prlimit-own-read", prlimit(0, RLIMIT_NOFILE, NULL, &limit));
    tell("setpriority-other", setpriority(PRIO_PROCESS, process, 5));
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    tell("affinity-other", sched_setaffinity(process, sizeof set, &set));
    struct sched_param parameters = {0};
    tell("scheduler-other", sched_setscheduler(process, SCHED_BATCH, &parameters));
    tell("ioprio-other", syscall(SYS_ioprio_set, 1, process, 2 << 13 | 7));
    tell("kill-other", kill(process, 0));
    tell("tgkill-other", syscall(SYS_tgkill, process, process, 0));
    tell("signal-self", syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0));
    tell("pidfd-open-other", syscall(SYS_pidfd_open, process, 0));
    tell("dumpable", prctl(PR_SET_DUMPABLE, 1));
    tell("tiocsti", ioctl(terminal, TIOCSTI, "x"));
    char subcode = 6; /* which shift keys are held: changes nothing */
    tell("tioclinux", ioctl(terminal, TIOCLINUX, &subcode));
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    tell("writable-code", page == MAP_FAILED ? -1 : 0);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    tell("memory-to-code", mprotect(page, 4096, PROT_READ | PROT_EXEC));
    tell("memfd", memfd_create("x", 0));
}

static void walk(void)
{
    pid_t daemon = getpid();
    for (long call = 0; call <= LAST; call++) {
        switch (call) {
        case SYS_exit:
        case SYS_exit_group:
        case SYS_rt_sigreturn:
        case SYS_restart_syscall:
        case SYS_rt_sigsuspend:
#ifdef SYS_pause
        case SYS_pause:
#endif
#ifdef __x86_64__
        /* uretprobe and uprobe: the kernel lets them past every filter since 6.14, and ends a process that calls them
         * from elsewhere than the code that it has put there itself. */
        case 335:
        case 336:
#endif
            continue;
        }
        long result = syscall(call, -1L, -1L, -1L, -1L, -1L, -1L);
        if (getpid() != daemon)
            _exit(0); /* a new process, if that was allowed */
        dprintf(STDERR_FILENO, "call %ld %s\n", call, result < 0 ? strerrorname_np(errno) : "ok");
    }
}

static void request(const char *name, unsigned long request)
{
    ioctl(-1, request, NULL);
    dprintf(STDERR_FILENO, "camera %s %s\n", name, strerrorname_np(errno));
}

static void camera(void)
{
#define REQUEST(name) request(#name, VIDIOC_##name)
    REQUEST(QUERYCAP), REQUEST(ENUM_FMT), REQUEST(G_FMT), REQUEST(S_FMT), REQUEST(TRY_FMT), REQUEST(REQBUFS);
    REQUEST(CREATE_BUFS), REQUEST(QUERYBUF), REQUEST(QBUF), REQUEST(DQBUF), REQUEST(EXPBUF), REQUEST(STREAMON);
    REQUEST(STREAMOFF), REQUEST(G_PARM), REQUEST(S_PARM), REQUEST(ENUM_FRAMESIZES), REQUEST(ENUM_FRAMEINTERVALS);
    REQUEST(G_CTRL), REQUEST(S_CTRL), REQUEST(S_EXT_CTRLS), REQUEST(S_INPUT), REQUEST(S_FBUF), REQUEST(OVERLAY);
    REQUEST(S_EDID), REQUEST(S_FREQUENCY), REQUEST(LOG_STATUS), REQUEST(SUBSCRIBE_EVENT);
}

static int asked(const char *what)
{
    const char *wanted = getenv("INSIDE");
    return wanted && !strcmp(wanted, what);
}

static void done(void)
{
    dprintf(STDERR_FILENO, "inside: done\n");
    syscall(SYS_exit_group, 0);
}

int TfLiteInterpreterAllocateTensors(void *interpreter)
{
    int (*real)(void *) = (int (*)(void *))dlsym(RTLD_NEXT, "TfLiteInterpreterAllocateTensors");
    if (asked("camera")) {
        camera();
        done();
    }
    return real(interpreter);
}

int TfLiteInterpreterInvoke(void *interpreter)
{
    (void)interpreter;
    if (asked("walk")) {
        walk();
    } else {
        network();
        others();
    }
    done();
    return 0;
}
