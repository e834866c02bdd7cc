// Runs a program and lets one of its calls to the system fail: the write, sync, rename … number AT within FOLDER.
//
//     faults FOLDER AT KIND LOG PROGRAM ARGUMENT...
//
// KIND is one of
//     enospc, eio          the call fails, and the next one works again
//     full                 it and all that follow fail, but for those that free space
//     short                half of the bytes are written, which is no error: the program has to write the others
//     kill                 the process is killed before the call
//     torn                 the process is killed when half of the bytes are written
// LOG gets a line for each call, its number, name and path; with an AT of 0 that is all. The program ends with its own code, or with 128
// and the number of the signal that ended it. 125 says that this system does not let one program trace another.
//
// Calls are seen where they enter the kernel (ptrace, and a seccomp filter that wakes the tracer for these calls alone), because not all
// of them go through the C library.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// What a call is about: a file that is open, or a path. FREES: it never needs space. BYTES: its third argument is a number of bytes.
enum { BY_FD = 0, BY_PATH = 1, AT_FOLDER = 2, FREES = 4, BYTES = 8, VECTOR = 16, CREATES = 32 };

static const struct call {
    long number;
    const char *name;
    // The argument with the descriptor or the path, and that with the flags of an open.
    int argument, flags_at, kind;
} CALLS[] = {
    {SYS_write, "write", 0, 0, BY_FD | BYTES},
    {SYS_pwrite64, "write", 0, 0, BY_FD | BYTES},
    {SYS_writev, "write", 0, 0, BY_FD | VECTOR},
    {SYS_pwritev, "write", 0, 0, BY_FD | VECTOR},
    {SYS_pwritev2, "write", 0, 0, BY_FD | VECTOR},
    {SYS_copy_file_range, "write", 2, 0, BY_FD},
    {SYS_fsync, "sync", 0, 0, BY_FD},
    {SYS_fdatasync, "sync", 0, 0, BY_FD},
    {SYS_ftruncate, "truncate", 0, 0, BY_FD | FREES},
    {SYS_fallocate, "allocate", 0, 0, BY_FD},
    {SYS_open, "open", 0, 1, BY_PATH | CREATES},
    {SYS_creat, "open", 0, 0, BY_PATH},
    {SYS_openat, "open", 1, 2, BY_PATH | AT_FOLDER | CREATES},
    {SYS_rename, "rename", 1, 0, BY_PATH},
    {SYS_renameat, "rename", 3, 0, BY_PATH | AT_FOLDER},
    {SYS_renameat2, "rename", 3, 0, BY_PATH | AT_FOLDER},
    {SYS_link, "link", 1, 0, BY_PATH},
    {SYS_linkat, "link", 3, 0, BY_PATH | AT_FOLDER},
    {SYS_mkdir, "mkdir", 0, 0, BY_PATH},
    {SYS_mkdirat, "mkdir", 1, 0, BY_PATH | AT_FOLDER},
    {SYS_unlink, "unlink", 0, 0, BY_PATH | FREES},
    {SYS_unlinkat, "unlink", 1, 0, BY_PATH | AT_FOLDER | FREES},
    {SYS_rmdir, "rmdir", 0, 0, BY_PATH | FREES},
};
enum { COUNT = sizeof CALLS / sizeof *CALLS };

static void fail(const char *what) {
    perror(what);
    exit(125);
}

// In the child: the kernel stops it at these calls.
static void filter(void) {
    struct sock_filter code[2 * COUNT + 2];
    int at = 0;
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < COUNT; i++) {
        code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALLS[i].number, 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {at, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) fail("seccomp");
}

// What a link in /proc says.
static void target(pid_t pid, const char *entry, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/%s", pid, entry);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

// Text of the other process, byte by byte to the end of it: what lies behind may not be mapped.
static void text(pid_t pid, unsigned long address, char *out, size_t most) {
    for (size_t i = 0; i < most; i++) {
        struct iovec here = {out + i, 1}, there = {(void *)(address + i), 1};
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) != 1) out[i] = 0;
        if (!out[i]) return;
    }
    out[most - 1] = 0;
}

// The file or folder that a call is about, as an absolute path.
static void place(pid_t pid, const struct call *call, const unsigned long *arguments, char *path) {
    char entry[32];
    if (!(call->kind & BY_PATH)) {
        snprintf(entry, sizeof entry, "fd/%d", (int)arguments[call->argument]);
        target(pid, entry, path);
        return;
    }
    char given[PATH_MAX], folder[PATH_MAX];
    text(pid, arguments[call->argument], given, sizeof given);
    int base = call->kind & AT_FOLDER ? (int)arguments[call->argument - 1] : AT_FDCWD;
    if (base == AT_FDCWD) {
        target(pid, "cwd", folder);
    } else {
        snprintf(entry, sizeof entry, "fd/%d", base);
        target(pid, entry, folder);
    }
    // Longer paths than the system takes are none.
    int length = given[0] == '/' ? snprintf(path, PATH_MAX, "%s", given) : snprintf(path, PATH_MAX, "%s/%s", folder, given);
    if (length >= PATH_MAX) path[0] = 0;
}

int main(int count, char **arguments) {
    if (count < 6) {
        fputs("usage: faults FOLDER AT KIND LOG PROGRAM ARGUMENT...\n", stderr);
        return 125;
    }
    const char *folder = arguments[1], *kind = arguments[3];
    long at = atol(arguments[2]), number = 0;
    FILE *log = fopen(arguments[4], "w");
    int start[2];
    if (!log || pipe2(start, O_CLOEXEC)) fail("log");
    pid_t child = fork();
    if (child == 0) {
        // Until it is traced.
        char go;
        if (read(start[0], &go, 1) != 1) _exit(125);
        filter();
        execv(arguments[5], arguments + 5);
        fail("exec");
    }
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL
                   | PTRACE_O_TRACESYSGOOD;
    if (child < 0 || ptrace(PTRACE_SEIZE, child, 0, options)) fail("ptrace");
    if (write(start[1], "x", 1) != 1) fail("pipe");
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) fail("wait");
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        if (status >> 8 == (SIGTRAP | 0x80)) {
            // Half of the bytes are written, and that was all.
            kill(child, SIGKILL);
            continue;
        }
        if (status >> 8 != (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
            // New threads and stopped groups have no signal to hand on.
            int is_event = status >> 16 != 0;
            ptrace(PTRACE_CONT, pid, 0, is_event ? 0 : WSTOPSIG(status));
            continue;
        }
        struct user_regs_struct registers;
        if (ptrace(PTRACE_GETREGS, pid, 0, &registers)) continue;
        unsigned long given[] = {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8};
        const struct call *call = CALLS;
        while (call < CALLS + COUNT && call->number != (long)registers.orig_rax) call++;
        char path[PATH_MAX] = "";
        if (call < CALLS + COUNT && !((call->kind & CREATES) && !(given[call->flags_at] & O_CREAT))) place(pid, call, given, path);
        size_t length = strlen(folder);
        if (strncmp(path, folder, length) || (path[length] && path[length] != '/')) {
            ptrace(PTRACE_CONT, pid, 0, 0);
            continue;
        }
        number++;
        fprintf(log, "%ld %s %s\n", number, call->name, path);
        fflush(log);
        int is_now = at > 0 && number == at;
        int is_full = at > 0 && number >= at && !strcmp(kind, "full") && !(call->kind & FREES);
        long how = PTRACE_CONT;
        if ((is_now && (!strcmp(kind, "enospc") || !strcmp(kind, "eio"))) || is_full) {
            // No such call; and what it answers.
            registers.orig_rax = -1;
            registers.rax = strcmp(kind, "eio") ? -ENOSPC : -EIO;
        } else if (is_now && !strcmp(kind, "kill")) {
            kill(child, SIGKILL);
            continue;
        } else if (is_now && (!strcmp(kind, "short") || !strcmp(kind, "torn"))) {
            // Of several pieces, the first.
            if (call->kind & BYTES) registers.rdx = (registers.rdx + 1) / 2;
            if (call->kind & VECTOR) registers.rdx = 1;
            if (!strcmp(kind, "torn")) how = PTRACE_SYSCALL;
        }
        ptrace(PTRACE_SETREGS, pid, 0, &registers);
        ptrace(how, pid, 0, 0);
    }
}
