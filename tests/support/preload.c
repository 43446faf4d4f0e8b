/* Makes calls of the daemon into foreign code hang or lie, for tests: loaded before the libraries by LD_PRELOAD.
 *
 * The file named in EMOTIOND_FAULT says what is to happen from now on, and is read at every call. It has to be there when
 * the program starts, because the daemon soon gives up opening files of its choice, and to stay the same file:
 *   invoke    TfLiteInterpreterInvoke does not return
 *   slow      TfLiteInterpreterInvoke takes 0.8 s more
 *   dequeue   the ioctl VIDIOC_DQBUF does not return (the crate v4l makes it by syscall(), not by ioctl())
 *   lie       output tensors of floats are three bytes long, which no array of floats can be
 * What happens is said once on standard error, with the monotonic time in seconds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int file = -1;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("EMOTIOND_FAULT");
    if (path)
        file = open(path, O_RDONLY | O_CLOEXEC);
}

static int asked(const char *fault)
{
    char text[16] = "";
    int before = errno;
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = 0;
    errno = before;
    return strcmp(text, fault) == 0;
}

static void say(const char *what)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    dprintf(STDERR_FILENO, "fault: %s at %ld.%03ld\n", what, (long)now.tv_sec, now.tv_nsec / 1000000);
}

static void hang(const char *what)
{
    say(what);
    for (;;)
        pause();
}

int TfLiteInterpreterInvoke(void *interpreter)
{
    static int (*real)(void *);
    if (!real)
        real = (int (*)(void *))dlsym(RTLD_NEXT, "TfLiteInterpreterInvoke");
    if (asked("invoke"))
        hang("TfLiteInterpreterInvoke hangs");
    if (asked("slow")) {
        say("TfLiteInterpreterInvoke is slow");
        usleep(800000);
    }
    return real(interpreter);
}

static const void *output;

const void *TfLiteInterpreterGetOutputTensor(const void *interpreter, int index)
{
    static const void *(*real)(const void *, int);
    if (!real)
        real = (const void *(*)(const void *, int))dlsym(RTLD_NEXT, "TfLiteInterpreterGetOutputTensor");
    return output = real(interpreter, index);
}

size_t TfLiteTensorByteSize(const void *tensor)
{
    enum { FLOAT32 = 1 }; /* kTfLiteFloat32 */
    static size_t (*real)(const void *);
    static int (*type)(const void *);
    if (!real) {
        real = (size_t (*)(const void *))dlsym(RTLD_NEXT, "TfLiteTensorByteSize");
        type = (int (*)(const void *))dlsym(RTLD_NEXT, "TfLiteTensorType");
    }
    if (tensor == output && type(tensor) == FLOAT32 && asked("lie")) {
        say("TfLiteTensorByteSize lies");
        return 3;
    }
    return real(tensor);
}

long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long argument[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    if (!real)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_ioctl && (unsigned)argument[1] == (unsigned)VIDIOC_DQBUF && asked("dequeue"))
        hang("VIDIOC_DQBUF hangs");
    return real(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}
