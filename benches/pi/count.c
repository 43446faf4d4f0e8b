/* A plugin for QEMU's user mode that counts executed instructions.
 *
 *   qemu-aarch64 -plugin ./count.so,out=FILE PROGRAM …
 *
 * FILE gets a line `mark N` whenever a thread asks for the resolution of its own clock, which `stages` does before and
 * after each stage and nothing else does: N is how many instructions that thread has executed until then. When the program ends it gets `total N`, of all
 * threads. Debian 12 has no package with the plugins' header, so the few declarations that are needed stand here as
 * QEMU's documentation gives them (version 1 of the interface; QEMU 4.2 to 9). */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_info;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void (*translated_t)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*executed_t)(unsigned thread, void *data);
typedef void (*called_t)(qemu_plugin_id_t, unsigned thread, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t,
                         uint64_t, uint64_t, uint64_t, uint64_t);
typedef void (*ended_t)(qemu_plugin_id_t, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed_t, enum qemu_plugin_cb_flags, void *data);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, called_t);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, ended_t, void *data);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = 1;

enum { CLOCK_GETRES = 114, THREAD_CPU_TIME = 3 }; /* of arm64 Linux */
enum { THREADS = 1024 };
/* Each thread has a line of the cache to itself and counts without locks. */
static struct { _Alignas(64) uint64_t executed; } counts[THREADS];
static FILE *out;

static void executed(unsigned thread, void *instructions)
{
    counts[thread % THREADS].executed += (uintptr_t)instructions;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    void *instructions = (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, QEMU_PLUGIN_CB_NO_REGS, instructions);
}

static void called(qemu_plugin_id_t id, unsigned thread, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    (void)id, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == CLOCK_GETRES && a == THREAD_CPU_TIME)
        fprintf(out, "mark %" PRIu64 "\n", counts[thread % THREADS].executed);
}

static void ended(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    uint64_t total = 0;
    for (int thread = 0; thread < THREADS; thread++)
        total += counts[thread].executed;
    fprintf(out, "total %" PRIu64 "\n", total);
    fclose(out);
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count, char **arguments)
{
    (void)info;
    if (count != 1 || strncmp(arguments[0], "out=", 4) != 0 || !(out = fopen(arguments[0] + 4, "w")))
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
