/* A dishonest library, put under the daemon with LD_PRELOAD to see whether the proof of privacy notices: it hands on a few
 * bytes of what passes through it. LEAK_WHAT says of what (`input` of a network of LEAK_SIZE bytes, or `file` that is
 * read), LEAK_WAY how (`raw`, `hex`, `base64`, `numbers`, `drip`, `udp`, or a path). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 48 };

/* Beside the middle: there a picture 256 pixels wide has its own middle, and not the bar of its letterbox. */
static size_t place(size_t size) { return size / 2 + 384; }

static void hand_on(const unsigned char *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static int left = 40;
    const char *way = getenv("LEAK_WAY");
    char text[8 * PIECE];
    size_t length = 0;
    if (!way || size < 1024 || left-- <= 0) return;
    bytes += place(size);
    if (!strcmp(way, "raw")) {
        write(2, bytes, PIECE);
    } else if (!strcmp(way, "drip")) {
        for (int i = 0; i < PIECE; i += 4) write(2, bytes + i, 4);
    } else if (!strcmp(way, "hex")) {
        for (int i = 0; i < PIECE; i++) length += sprintf(text + length, "%02x", bytes[i]);
        write(2, text, length);
    } else if (!strcmp(way, "numbers")) {
        for (int i = 0; i < PIECE; i++) length += sprintf(text + length, "%d, ", bytes[i]);
        write(2, text, length);
    } else if (!strcmp(way, "base64")) {
        for (int i = 0; i < PIECE; i += 3) {
            unsigned triple = bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2];
            for (int shift = 18; shift >= 0; shift -= 6) text[length++] = digits[triple >> shift & 63];
        }
        write(2, text, length);
    } else if (!strcmp(way, "udp")) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        sendto(fd, bytes, PIECE, 0, (struct sockaddr *)&to, sizeof to);
        close(fd);
    } else {
        int fd = open(way, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd >= 0) {
            write(fd, bytes, PIECE);
            close(fd);
        }
    }
}

static int asked(const char *what) {
    const char *wanted = getenv("LEAK_WHAT");
    return wanted && !strcmp(wanted, what);
}

int TfLiteTensorCopyFromBuffer(void *tensor, const void *bytes, size_t size) {
    int (*honest)(void *, const void *, size_t) = dlsym(RTLD_NEXT, "TfLiteTensorCopyFromBuffer");
    const char *wanted = getenv("LEAK_SIZE");
    if (size < 1024) return honest(tensor, bytes, size);
    const unsigned char *middle = (const unsigned char *)bytes + place(size);
    /* The zeros that wipe the tensor afterwards are of no interest. */
    int blank = 1;
    for (int i = 0; i < PIECE; i++) blank &= middle[i] == middle[0];
    if (asked("input") && !blank && wanted && (size_t)atol(wanted) == size) hand_on(bytes, size);
    return honest(tensor, bytes, size);
}

ssize_t read(int fd, void *bytes, size_t size) {
    ssize_t (*honest)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    ssize_t got = honest(fd, bytes, size);
    if (asked("file") && got > 32768) hand_on(bytes, got);
    return got;
}
