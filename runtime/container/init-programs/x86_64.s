# The first process of a container with `init: true`: docker-init -- PROGRAM ARGUMENT...
#
# It starts the program as its child in a process group of its own that owns the terminal, hands on
# every signal to it, reaps whatever ends, and ends with the program's code (128+n by a signal).
# A program without a slash is looked up in PATH; one that cannot be executed gives 127 or 126.
#
# No libraries: system calls only (numbers: arch/x86/entry/syscalls/syscall_64.tbl).
# aarch64.s is the same program line by line; build.sh makes init-x86_64 and init-aarch64.

        .intel_syntax noprefix
        .set SYS_write, 1
        .set SYS_rt_sigprocmask, 14
        .set SYS_ioctl, 16
        .set SYS_getpid, 39
        .set SYS_fork, 57
        .set SYS_execve, 59
        .set SYS_wait4, 61
        .set SYS_kill, 62
        .set SYS_setpgid, 109
        .set SYS_rt_sigtimedwait, 128
        .set SYS_exit_group, 231

        .set SIG_SETMASK, 2
        .set SIGCHLD, 17
        .set TIOCSPGRP, 0x5410
        .set WNOHANG, 1
        .set ENOENT, 2
        .set EACCES, 13
        .set ENOTDIR, 20
        .set PATH_ROOM, 4096

        # r12: argv of the program; r13: environment; r14d: the child; r15d: its code, -1 before
        .text
        .globl  _start
_start:
        mov     rdi, [rsp]
        lea     r12, [rsp + 16]
        lea     r13, [rsp + 8*rdi + 16]
        test    rdi, rdi
        jz      usage
        mov     rax, [r12]
        test    rax, rax
        jz      usage
        cmp     word ptr [rax], 0x2d2d          # "--"
        jne     start
        cmp     byte ptr [rax + 2], 0
        jne     start
        add     r12, 8
        cmp     qword ptr [r12], 0
        je      usage

        # Signals wait until they are fetched; what has arrived before the fork is not lost.
start:
        mov     eax, SYS_rt_sigprocmask
        mov     edi, SIG_SETMASK
        lea     rsi, [rip + all_signals]
        lea     rdx, [rip + first_mask]
        mov     r10d, 8
        syscall
        mov     eax, SYS_fork
        syscall
        test    eax, eax
        jz      child
        js      no_child
        mov     r14d, eax

fetch:
        mov     eax, SYS_rt_sigtimedwait
        lea     rdi, [rip + all_signals]
        xor     esi, esi
        xor     edx, edx
        mov     r10d, 8
        syscall
        test    eax, eax
        js      fetch
        cmp     eax, SIGCHLD
        je      reap
        mov     esi, eax
        mov     edi, r14d
        mov     eax, SYS_kill
        syscall
        jmp     fetch

reap:
        mov     r15d, -1
reap_next:
        mov     eax, SYS_wait4
        mov     edi, -1
        lea     rsi, [rip + status]
        mov     edx, WNOHANG
        xor     r10d, r10d
        syscall
        test    eax, eax
        jle     reaped
        cmp     eax, r14d
        jne     reap_next
        mov     eax, [rip + status]
        mov     r15d, eax
        and     r15d, 0x7f
        jz      exited
        add     r15d, 128
        jmp     reap_next
exited:
        shr     eax, 8
        movzx   r15d, al
        jmp     reap_next
reaped:
        mov     edi, r15d
        test    edi, edi
        js      fetch
leave:
        mov     eax, SYS_exit_group
        syscall

        # The child: a process group of its own, in the foreground if there is a terminal.
child:
        mov     eax, SYS_setpgid
        xor     edi, edi
        xor     esi, esi
        syscall
        mov     eax, SYS_getpid
        syscall
        mov     [rip + status], eax
        mov     eax, SYS_ioctl
        xor     edi, edi
        mov     esi, TIOCSPGRP
        lea     rdx, [rip + status]
        syscall
        mov     eax, SYS_rt_sigprocmask
        mov     edi, SIG_SETMASK
        lea     rsi, [rip + first_mask]
        xor     edx, edx
        mov     r10d, 8
        syscall

        mov     r14d, ENOENT                    # the worst error so far
        mov     rbx, [r12]
        mov     rdi, rbx
find_slash:
        mov     al, [rdi]
        inc     rdi
        cmp     al, '/'
        je      execute_as_is
        test    al, al
        jnz     find_slash
        sub     rdi, rbx                        # length of the name with its end
        mov     r15, rdi

        mov     rdx, r13
find_path:
        mov     rsi, [rdx]
        add     rdx, 8
        test    rsi, rsi
        jz      usual_path
        cmp     dword ptr [rsi], 0x48544150     # "PATH"
        jne     find_path
        cmp     byte ptr [rsi + 4], '='
        jne     find_path
        add     rsi, 5
        jmp     next_directory
usual_path:
        lea     rsi, [rip + usual]

next_directory:                                 # rsi: what is left of PATH
        lea     rdi, [rip + room]
        lea     r8, [rdi + PATH_ROOM]
        sub     r8, r15
copy_directory:
        mov     al, [rsi]
        test    al, al
        jz      directory_copied
        inc     rsi
        cmp     al, ':'
        je      directory_copied
        cmp     rdi, r8
        jae     copy_directory                  # too long: cut off, it will not be found
        mov     [rdi], al
        inc     rdi
        jmp     copy_directory
directory_copied:
        mov     rbp, rsi
        mov     r9b, al
        lea     rax, [rip + room]
        cmp     rdi, rax
        je      copy_name                       # an empty directory is the current one
        mov     byte ptr [rdi], '/'
        inc     rdi
copy_name:
        mov     rsi, rbx
        mov     rcx, r15
        rep movsb
        lea     rdi, [rip + room]
        call    execute
        mov     rsi, rbp
        test    r9b, r9b
        jnz     next_directory
        jmp     not_executed

execute_as_is:
        mov     rdi, rbx
        call    execute
not_executed:
        lea     rdi, [rip + said_exec]
        call    say
        mov     rdi, rbx
        call    say
        lea     rdi, [rip + said_missing]
        mov     r15d, 127
        cmp     r14d, ENOENT
        je      give_up
        mov     r15d, 126
        lea     rdi, [rip + said_denied]
        cmp     r14d, EACCES
        je      give_up
        lea     rdi, [rip + said_format]
give_up:
        call    say
        mov     edi, r15d
        jmp     leave

        # Try one file; an error that is not "there is none" is remembered.
execute:
        mov     rsi, r12
        mov     rdx, r13
        mov     eax, SYS_execve
        syscall
        neg     eax
        cmp     eax, ENOENT
        je      tried
        cmp     eax, ENOTDIR
        je      tried
        mov     r14d, eax
tried:
        ret

        # Write the text at rdi to standard error.
say:
        mov     rsi, rdi
        xor     edx, edx
measure:
        cmp     byte ptr [rsi + rdx], 0
        je      measured
        inc     rdx
        jmp     measure
measured:
        mov     edi, 2
        mov     eax, SYS_write
        syscall
        ret

no_child:
        lea     rdi, [rip + said_fork]
        call    say
        mov     edi, 1
        jmp     leave
usage:
        lea     rdi, [rip + said_usage]
        call    say
        mov     edi, 1
        jmp     leave

        .section .rodata
all_signals:
        .quad   -1
usual:
        .asciz  "/bin:/usr/bin"
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
