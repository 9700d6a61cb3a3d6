// The first process of a container with `init: true`: docker-init -- PROGRAM ARGUMENT...
//
// It starts the program as its child in a process group of its own that owns the terminal, hands on
// every signal to it, reaps whatever ends, and ends with the program's code (128+n by a signal).
// A program without a slash is looked up in PATH; one that cannot be executed gives 127 or 126.
//
// No libraries: system calls only (numbers: include/uapi/asm-generic/unistd.h).
// x86_64.s is the same program line by line; build.sh makes init-x86_64 and init-aarch64.

        .set SYS_ioctl, 29
        .set SYS_write, 64
        .set SYS_exit_group, 94
        .set SYS_kill, 129
        .set SYS_rt_sigprocmask, 135
        .set SYS_rt_sigtimedwait, 137
        .set SYS_setpgid, 154
        .set SYS_getpid, 172
        .set SYS_clone, 220
        .set SYS_execve, 221
        .set SYS_wait4, 260

        .set SIG_SETMASK, 2
        .set SIGCHLD, 17
        .set TIOCSPGRP, 0x5410
        .set WNOHANG, 1
        .set ENOENT, 2
        .set EACCES, 13
        .set ENOTDIR, 20
        .set PATH_ROOM, 4096

        .macro call_kernel number
        mov     x8, \number
        svc     0
        .endm

        // x19: argv of the program; x20: environment; w21: the child; w22: its code, -1 before
        .text
        .globl  _start
_start:
        ldr     x0, [sp]
        add     x19, sp, 16
        add     x20, sp, x0, lsl 3
        add     x20, x20, 16
        cbz     x0, usage
        ldr     x0, [x19]
        cbz     x0, usage
        ldrb    w1, [x0]
        cmp     w1, '-'
        b.ne    start
        ldrb    w1, [x0, 1]
        cmp     w1, '-'
        b.ne    start
        ldrb    w1, [x0, 2]
        cbnz    w1, start
        add     x19, x19, 8
        ldr     x0, [x19]
        cbz     x0, usage

        // Signals wait until they are fetched; what has arrived before the fork is not lost.
start:
        mov     x0, SIG_SETMASK
        adr     x1, all_signals
        adrp    x2, first_mask
        add     x2, x2, :lo12:first_mask
        mov     x3, 8
        call_kernel SYS_rt_sigprocmask
        mov     x0, SIGCHLD
        mov     x1, 0
        mov     x2, 0
        mov     x3, 0
        mov     x4, 0
        call_kernel SYS_clone
        cbz     w0, child
        tbnz    w0, 31, no_child
        mov     w21, w0

fetch:
        adr     x0, all_signals
        mov     x1, 0
        mov     x2, 0
        mov     x3, 8
        call_kernel SYS_rt_sigtimedwait
        tbnz    w0, 31, fetch
        cmp     w0, SIGCHLD
        b.eq    reap
        mov     w1, w0
        mov     w0, w21
        call_kernel SYS_kill
        b       fetch

reap:
        mov     w22, -1
reap_next:
        mov     x0, -1
        adrp    x1, status
        add     x1, x1, :lo12:status
        mov     x2, WNOHANG
        mov     x3, 0
        call_kernel SYS_wait4
        cmp     w0, 0
        b.le    reaped
        cmp     w0, w21
        b.ne    reap_next
        adrp    x1, status
        ldr     w0, [x1, :lo12:status]
        ands    w22, w0, 0x7f
        b.eq    exited
        add     w22, w22, 128
        b       reap_next
exited:
        ubfx    w22, w0, 8, 8
        b       reap_next
reaped:
        mov     w0, w22
        tbnz    w0, 31, fetch
leave:
        call_kernel SYS_exit_group

        // The child: a process group of its own, in the foreground if there is a terminal.
child:
        mov     x0, 0
        mov     x1, 0
        call_kernel SYS_setpgid
        call_kernel SYS_getpid
        adrp    x2, status
        add     x2, x2, :lo12:status
        str     w0, [x2]
        mov     x0, 0
        mov     x1, TIOCSPGRP
        call_kernel SYS_ioctl
        mov     x0, SIG_SETMASK
        adrp    x1, first_mask
        add     x1, x1, :lo12:first_mask
        mov     x2, 0
        mov     x3, 8
        call_kernel SYS_rt_sigprocmask

        mov     w21, ENOENT                     // the worst error so far
        ldr     x23, [x19]
        mov     x0, x23
find_slash:
        ldrb    w1, [x0], 1
        cmp     w1, '/'
        b.eq    execute_as_is
        cbnz    w1, find_slash
        sub     x22, x0, x23                    // length of the name with its end

        mov     x2, x20
find_path:
        ldr     x24, [x2], 8
        cbz     x24, usual_path
        adr     x3, said_path
        mov     x4, x24
match_path:
        ldrb    w5, [x3], 1
        cbz     w5, found_path
        ldrb    w6, [x4], 1
        cmp     w5, w6
        b.eq    match_path
        b       find_path
found_path:
        mov     x24, x4
        b       next_directory
usual_path:
        adr     x24, usual

next_directory:                                 // x24: what is left of PATH
        adrp    x25, room
        add     x25, x25, :lo12:room
        mov     x0, x25
        add     x1, x25, PATH_ROOM
        sub     x1, x1, x22
copy_directory:
        ldrb    w26, [x24]
        cbz     w26, directory_copied
        add     x24, x24, 1
        cmp     w26, ':'
        b.eq    directory_copied
        cmp     x0, x1
        b.hs    copy_directory                  // too long: cut off, it will not be found
        strb    w26, [x0], 1
        b       copy_directory
directory_copied:
        cmp     x0, x25
        b.eq    copy_name                       // an empty directory is the current one
        mov     w2, '/'
        strb    w2, [x0], 1
copy_name:
        mov     x1, x23
copy_byte:
        ldrb    w2, [x1], 1
        strb    w2, [x0], 1
        cbnz    w2, copy_byte
        mov     x0, x25
        bl      execute
        cbnz    w26, next_directory
        b       not_executed

execute_as_is:
        mov     x0, x23
        bl      execute
not_executed:
        adr     x0, said_exec
        bl      say
        mov     x0, x23
        bl      say
        adr     x0, said_missing
        mov     w22, 127
        cmp     w21, ENOENT
        b.eq    give_up
        mov     w22, 126
        adr     x0, said_denied
        cmp     w21, EACCES
        b.eq    give_up
        adr     x0, said_format
give_up:
        bl      say
        mov     w0, w22
        b       leave

        // Try one file; an error that is not "there is none" is remembered.
execute:
        mov     x1, x19
        mov     x2, x20
        call_kernel SYS_execve
        neg     w0, w0
        cmp     w0, ENOENT
        b.eq    tried
        cmp     w0, ENOTDIR
        b.eq    tried
        mov     w21, w0
tried:
        ret

        // Write the text at x0 to standard error.
say:
        mov     x1, x0
        mov     x2, 0
measure:
        ldrb    w3, [x1, x2]
        cbz     w3, measured
        add     x2, x2, 1
        b       measure
measured:
        mov     x0, 2
        call_kernel SYS_write
        ret

no_child:
        adr     x0, said_fork
        bl      say
        mov     w0, 1
        b       leave
usage:
        adr     x0, said_usage
        bl      say
        mov     w0, 1
        b       leave

        .balign 8
all_signals:
        .quad   -1
usual:
        .asciz  "/bin:/usr/bin"
said_path:
        .asciz  "PATH="
said_exec:
        .asciz  "docker-init: exec "
said_missing:
        .asciz  " failed: No such file or directory\n"
said_denied:
        .asciz  " failed: Permission denied\n"
said_format:
        .asciz  " failed: cannot execute\n"
said_fork:
        .asciz  "docker-init: cannot fork\n"
said_usage:
        .asciz  "usage: docker-init [--] PROGRAM [ARGUMENT]...\n"

        .bss
        .balign 8
first_mask:
        .skip   8
status:
        .skip   8
room:
        .skip   PATH_ROOM + 8

        .section .note.GNU-stack, "", %progbits
