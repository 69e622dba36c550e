/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the monitor offer each other; the way of a call is the order of the sections. */
#ifndef MONMOD_MONITOR_H
#define MONMOD_MONITOR_H

#include "block.h"

#define MM_EXIT_DIVERGED 70
#define MM_AT_FDCWD (-100)

/* entry.S, gate.S */
void mm_handler(void);
void mm_return(void);
void mm_leave_to(u64 ip, u64 sp) __attribute__((noreturn));
u64 mm_copy(void *to, const void *from, u64 bytes);
long mm_app_gate(volatile u32 *kick, long nr, const u64 args[6]);
#define MM_NOT_MADE (-512) /* of mm_app_gate: a signal is to be taken first */
extern const char mm_copy_insn[], mm_copy_done[];
extern const char mm_app_test[], mm_app_syscall[], mm_app_eintr[];
extern const char mm_image_start[], mm_image_end[], mm_gates_start[], mm_gates_end[];

/* redirect.S, kmod.c: the way in by the kernel module */
void mm_kmod_entry(void);
void mm_kmod_handler(void);
extern const char mm_kmod_announce[];
void mm_leave_by(u8 *frame) __attribute__((noreturn));
void mm_key_entry(void);
void mm_pages_entry(void);
extern const char mm_hide[];
extern const char mm_key_out[], mm_key_out_end[], mm_key_ret[], mm_key_ret_end[];
u8 *mm_frame(struct mm_thread *t);
void mm_close(struct mm_thread *t, u8 *frame, u64 ip);

/* monitor.c: one call */
void mm_monitor(struct mm_thread *t);
int mm_fault(struct mm_thread *t, int signo);

/* user.c: the program's memory. Copies give the bytes that were copied; they stop at the first that cannot be touched. */
int mm_touches_monitor(const struct mm_proc *p, u64 at, u64 bytes);
u64 mm_in(const struct mm_thread *t, void *to, u64 from, u64 bytes);
u64 mm_out(const struct mm_thread *t, u64 to, const void *from, u64 bytes);
s64 mm_in_path(const struct mm_thread *t, char *to, u64 from); /* length, -EFAULT or -ENAMETOOLONG; to holds 4096 */

/* describe.c: arguments → form, copies */
void mm_canonical(struct mm_thread *t);
void mm_describe(struct mm_thread *t);
#define MM_CAPS_V1 0x19980330u /* _LINUX_CAPABILITY_VERSION_1 */
#define MM_CAPS_SHORT 12u
int mm_capset_is_short(const struct mm_thread *t); /* process.c */

/* address.c: socket addresses without what means nothing */
u8 *mm_address(struct mm_thread *t, int i, u64 from, u64 bytes);
void mm_describe_address(struct mm_thread *t, int i, u64 bytes);
void mm_describe_group(struct mm_thread *t, int i, u64 bytes);

/* option.c: values of setsockopt(2) without what the kernel does not read */
void mm_describe_option(struct mm_thread *t, int i, u64 bytes);

/* form.c: items, copies of input, buffers for output */
void mm_item(struct mm_call *c, int arg, int kind, const void *bytes, u32 n, u64 total);
void mm_item_value(struct mm_call *c, int arg, u64 value);
void mm_item_digest(struct mm_thread *t, int arg, const void *bytes, u64 n);
void mm_item_fold(struct mm_thread *t, int arg, u32 from);
void *mm_stage(struct mm_thread *t, u64 bytes);
u64 mm_stage_in(struct mm_thread *t, int arg, u64 from, u64 bytes, int digest);
struct mm_outbuf *mm_out_add(struct mm_thread *t, int how, u32 arg, u64 at, u64 room);
void mm_unstage(struct mm_thread *t);
void mm_check_room(struct mm_thread *t, u64 at, u64 bytes);
void mm_refuse(struct mm_call *c, s64 error);

/* special.c: calls with a description, an execution or an effect of their own */
void mm_describe_special(struct mm_thread *t);
s64 mm_execute_special(struct mm_thread *t);
void mm_collect_special(struct mm_thread *t, s64 ret);
void mm_effect_special(struct mm_thread *t, s64 ret);

/* message.c: sendmsg and recvmsg */
struct mm_msghdr {
	u64 name;
	u32 name_bytes, pad;
	u64 iov, iov_count;
	u64 control, control_bytes;
	u32 flags, pad2;
};
void mm_describe_msg(struct mm_thread *t);
u64 mm_describe_header(struct mm_thread *t, struct mm_msghdr *m, int sends);
void mm_collect_msg(struct mm_thread *t, s64 ret);
void mm_collect_thrown_away(struct mm_thread *t, s64 ret);
void mm_effect_msg(struct mm_thread *t, s64 ret);

/* batch.c: sendmmsg */
void mm_describe_batch(struct mm_thread *t);
s64 mm_execute_batch(struct mm_thread *t);
void mm_effect_batch(struct mm_thread *t, s64 ret);

/* execute.c */
s64 mm_execute(struct mm_thread *t);
void mm_collect(struct mm_thread *t, s64 ret);
s64 mm_app_call(struct mm_thread *t);
s64 mm_repeat(struct mm_thread *t);

/* replicate.c: CALL and RESULT records */
void mm_publish_call(struct mm_thread *t);
void mm_publish_result(struct mm_thread *t, s64 ret, int flags);
s64 mm_take_result(struct mm_thread *t, int *flags);
void mm_blank(struct mm_thread *t, const struct mm_outbuf *o, u64 n);
void mm_fetch(struct mm_thread *t, const struct mm_outbuf *o, u64 offset, u8 *to, u64 n);

/* compare.c */
int mm_compare(struct mm_thread *t);
void mm_diverge(struct mm_thread *t, enum mm_reason why);

/* lanes.c: streams and index pages */
u8 *mm_reserve(struct mm_thread *t, u32 bytes);
void mm_commit(struct mm_thread *t, u32 bytes);
void mm_flush(struct mm_thread *t);
void mm_await_compared(struct mm_thread *t, u64 seq);
void mm_await_done(struct mm_thread *t, u64 seq);
const struct mm_rec *mm_next(struct mm_thread *t, struct mm_rec *copy);
void mm_consume(struct mm_thread *t, u32 bytes);
void mm_mark_compared(struct mm_thread *t, u64 seq);
void mm_mark_done(struct mm_thread *t, u64 seq);
void mm_check_end(struct mm_thread *t);
int mm_lives(const struct mm_proc *p, u32 slot); /* does this follower take part? */
void mm_remember(struct mm_thread *t, const struct mm_rec *rec, const u8 *form);

/* descriptors.c */
struct mm_fd *mm_fd(struct mm_proc *p, u64 fd);
int mm_fd_is_own(const struct mm_proc *p, u64 fd);
u64 mm_fd_room(const struct mm_proc *p);
int mm_fd_differs(struct mm_proc *p, u64 fd);
void mm_fd_make(struct mm_thread *t, u64 fd, int klass, int kind);
u32 mm_socket_family(struct mm_thread *t);
void mm_fd_elsewhere(struct mm_proc *p, u64 fd);
void mm_fd_drop(struct mm_proc *p, u64 fd);
void mm_fd_copy(struct mm_proc *p, u64 from, u64 to);
void mm_effect(struct mm_thread *t, s64 ret);
int mm_hold(struct mm_thread *t, u64 fd, int cloexec, const char *path);
u64 mm_token_add(struct mm_thread *t, u64 epfd, u64 fd, u64 data);
struct mm_token *mm_token_find(struct mm_proc *p, u64 epfd, u64 fd);
struct mm_token *mm_token_of(struct mm_proc *p, u64 kernel_data);
void mm_token_drop(struct mm_proc *p, struct mm_token *k);
u64 mm_token_data(const struct mm_proc *p, const struct mm_token *k);

/* links.c: /proc/self/fd, numbers for what is open for a moment, descriptors in messages */
#define MM_ONE_FD_BYTES 24u /* CMSG_SPACE of one descriptor */
struct mm_one_fd {
	u64 bytes;
	s32 level, type;
	s32 fd, pad;
};
#define MM_PROC_MAGIC 0x9fa0u /* PROC_SUPER_MAGIC */
void mm_links_keep(struct mm_proc *p);
s64 mm_pass_fd(u64 socket, u64 fd, u64 tag);
s64 mm_take_fd(u64 socket, u64 tag, u64 flags);
void mm_spare(struct mm_proc *p);
void mm_spare_end(struct mm_proc *p);
s64 mm_link_read(struct mm_proc *p, u64 fd, char *to, u64 room);
s64 mm_self_open(struct mm_proc *p, const char *name, u64 flags);
s64 mm_link_open(struct mm_proc *p, u64 fd, u64 flags);

/* files.c: opening by name */
void mm_describe_open(struct mm_thread *t);
s64 mm_execute_open(struct mm_thread *t);
s64 mm_follow_open(struct mm_thread *t, s64 ret);
void mm_place_by_path(struct mm_thread *t);
void mm_repeat_by_path(struct mm_thread *t, s64 ret);
int mm_follows_links(const struct mm_call *c);
int mm_place_is_own(struct mm_thread *t, s64 place, const char *name, const char *given, u32 *met);
void mm_disbelieve(struct mm_thread *t, const char *path) __attribute__((noreturn));

int mm_class_of_folder(struct mm_proc *p, const char *path);

/* folders.c: the working folder and the root */
int mm_is_elsewhere(const struct mm_proc *p, s32 dir, const char *path);
void mm_seek_path(struct mm_thread *t, int i, char *path);
s64 mm_execute_folder(struct mm_thread *t);
void mm_effect_folder(struct mm_thread *t, s64 ret);

/* bind.c: sockets with a name in a file system */
s64 mm_execute_bind(struct mm_thread *t);
void mm_effect_bind(struct mm_thread *t, s64 ret);

/* rules.c: the group's exceptions by call and path */
#define MM_NAME 4096
u32 mm_rules_of(const struct mm_proc *p, const char *path);
int mm_rule_check(const struct mm_proc *p, u16 nr, u32 met);
int mm_rule_data(const struct mm_proc *p, u16 nr, u32 met);
int mm_fd_name(struct mm_proc *p, u64 fd, char name[MM_NAME]);
s64 mm_place_open(struct mm_thread *t, s32 dir, const char *path, int follow, char name[MM_NAME]);
s64 mm_path_open(struct mm_thread *t, int n, char name[MM_NAME]);
int mm_path_decides(struct mm_thread *t);
void mm_exempt_by_path(struct mm_thread *t, int policy);

/* owndata.c: digests of what every variant reads for itself */
void mm_digest_own(struct mm_thread *t, s64 ret);
void mm_digest_transfer(struct mm_thread *t, int in, int offset, int count);
int mm_other_data(struct mm_thread *t);
void mm_compare_own(struct mm_thread *t, const u8 leaders[16]);

/* names.c: temporary files */
u64 mm_name_leaders(const struct mm_proc *p, char *path, u64 n);
void mm_name_describe(struct mm_thread *t, int i, char *path, u64 n);
int mm_name_draws(const struct mm_call *c);
s64 mm_name_draw(struct mm_thread *t);
void mm_name_send(struct mm_thread *t);
void mm_name_take(struct mm_thread *t, s64 ret);

/* procfs.c: what /proc shows */
int mm_is_proc_self(struct mm_thread *t, const char *path, const char *name);
int mm_proc_is_memory(struct mm_proc *p, s64 fd);
int mm_proc_shows_addresses(struct mm_proc *p, s64 fd);
int mm_is_object(struct mm_proc *p, s64 fd);
int mm_proc_maps(struct mm_thread *t, s64 fd);
int mm_proc_is_arguments(struct mm_thread *t, s64 fd);
int mm_proc_is_exe(struct mm_thread *t, s32 dir, const char *path);
int mm_proc_names_maps(struct mm_thread *t, int which);
s64 mm_proc_open_maps(struct mm_thread *t);
s64 mm_proc_open_arguments(struct mm_thread *t);
s64 mm_proc_list(struct mm_thread *t);

/* memory.c: the address space, and what each variant does for itself */
int mm_memory_local(struct mm_thread *t);
s64 mm_local(struct mm_thread *t);
s64 mm_map(struct mm_thread *t, u64 at, u64 bytes, u64 prot, u64 flags, u64 fd, u64 offset); /* mmap, where it may lie */

/* mappings.c: of files, and of code */
void mm_describe_mmap(struct mm_thread *t);
s64 mm_execute_mmap(struct mm_thread *t);
s64 mm_execute_mprotect(struct mm_thread *t);
u64 mm_code_place(const struct mm_proc *p, u64 ip);

/* signals.c */
void mm_on_signal(int signo, u8 *info, u8 *frame, struct mm_thread *t);
void mm_signals_install(struct mm_thread *t);
int mm_signals_waiting(struct mm_thread *t);
void mm_update_kick(struct mm_thread *t);
void mm_overdue(struct mm_thread *t);
int mm_call_mask_lets_in(const struct mm_thread *t);
void mm_call_mask_begins(struct mm_thread *t);
void mm_set_mask(struct mm_thread *t, u64 mask);
/* Where the program goes on after a handler. */
enum mm_resume {
	MM_RETURNED,        /* behind the call */
	MM_INTERRUPTED,     /* the call gave EINTR and may be made again (SA_RESTART) */
	MM_AT_ENTER,        /* at the call, which was not made yet */
	MM_WHERE_IT_STANDS, /* it made no call */
};
void mm_deliver(struct mm_thread *t, enum mm_resume resume);
void mm_take_signals(struct mm_thread *t, const struct mm_rec *at, enum mm_resume resume);
s64 mm_sigaction_call(struct mm_thread *t);
s64 mm_sigprocmask_call(struct mm_thread *t);
s64 mm_sigaltstack_call(struct mm_thread *t);
s64 mm_sigreturn_call(struct mm_thread *t);
s64 mm_sigpending_call(struct mm_thread *t);
void mm_suspend(struct mm_thread *t);
void mm_describe_signal(struct mm_thread *t);
s64 mm_kill_call(struct mm_thread *t);
u64 mm_clean_mask(u64 mask);
int mm_fatal_by_default(int signo);
int mm_kills_itself(const struct mm_thread *t);
void mm_die_by(struct mm_thread *t, int signo) __attribute__((noreturn));

/* talk.c: messages to the supervisor, and the end */
void mm_send(const struct mm_proc *p, u32 type, const void *a, u32 an, const void *b, u32 bn, const void *c, u32 cn);
void mm_event(const struct mm_proc *p, const char *text, const char *more);
void mm_give_up(struct mm_thread *t, s64 error, const char *text) __attribute__((noreturn));
void mm_check_tether(struct mm_thread *t);
void mm_end(struct mm_thread *t) __attribute__((noreturn)); /* the group ends: last words, then exit_code */
void mm_case(struct mm_thread *t, struct mm_msg_case *m, u32 reason, u32 records);
void mm_stop(struct mm_thread *t, int by_signal, int status);

#endif
