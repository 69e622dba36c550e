package report

import (
	"strings"

	"golang.org/x/sys/unix"
)

// argument names one argument of one call.
type argument struct {
	call, name string
}

// flagSet says how a word of flags reads: within mask one of a list, outside of it single bits.
type flagSet struct {
	mask uint64
	one  map[uint64]string
	bits []bit
}

type bit struct {
	value uint64
	name  string
}

// text gives the names joined by |, what has no name in hexadecimal.
func (f *flagSet) text(v uint64) string {
	v = uint64(uint32(v)) // flags are ints: what lies above is no part of them
	var names []string
	if f.mask != 0 {
		if name, ok := f.one[v&f.mask]; ok {
			names = append(names, name)
			v &^= f.mask
		}
	}
	for _, b := range f.bits {
		if v&b.value == b.value {
			names = append(names, b.name)
			v &^= b.value
		}
	}
	if v != 0 || len(names) == 0 {
		names = append(names, Hex(v).String())
	}
	if names[0] == "0x0" {
		return "0"
	}
	return strings.Join(names, "|")
}

const all = 0xffffffff

var (
	openFlags = &flagSet{unix.O_ACCMODE, map[uint64]string{0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR"}, []bit{
		{unix.O_TMPFILE, "O_TMPFILE"}, {unix.O_SYNC, "O_SYNC"}, {unix.O_DSYNC, "O_DSYNC"},
		{unix.O_CREAT, "O_CREAT"}, {unix.O_EXCL, "O_EXCL"}, {unix.O_NOCTTY, "O_NOCTTY"}, {unix.O_TRUNC, "O_TRUNC"},
		{unix.O_APPEND, "O_APPEND"}, {unix.O_NONBLOCK, "O_NONBLOCK"}, {unix.O_ASYNC, "O_ASYNC"}, {unix.O_DIRECT, "O_DIRECT"},
		{0x8000, "O_LARGEFILE"}, {unix.O_DIRECTORY, "O_DIRECTORY"}, {unix.O_NOFOLLOW, "O_NOFOLLOW"},
		{unix.O_NOATIME, "O_NOATIME"}, {unix.O_CLOEXEC, "O_CLOEXEC"}, {unix.O_PATH, "O_PATH"},
	}}
	pipeFlags = &flagSet{bits: []bit{
		{unix.O_NONBLOCK, "O_NONBLOCK"}, {unix.O_DIRECT, "O_DIRECT"}, {unix.O_CLOEXEC, "O_CLOEXEC"}}}
	protFlags = &flagSet{all, map[uint64]string{0: "PROT_NONE"}, []bit{
		{unix.PROT_READ, "PROT_READ"}, {unix.PROT_WRITE, "PROT_WRITE"}, {unix.PROT_EXEC, "PROT_EXEC"},
		{unix.PROT_GROWSDOWN, "PROT_GROWSDOWN"}}}
	mapFlags = &flagSet{0xf, map[uint64]string{1: "MAP_SHARED", 2: "MAP_PRIVATE", 3: "MAP_SHARED_VALIDATE"}, []bit{
		{unix.MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE"}, {unix.MAP_FIXED, "MAP_FIXED"}, {unix.MAP_ANONYMOUS, "MAP_ANONYMOUS"},
		{unix.MAP_GROWSDOWN, "MAP_GROWSDOWN"}, {unix.MAP_DENYWRITE, "MAP_DENYWRITE"}, {unix.MAP_LOCKED, "MAP_LOCKED"},
		{unix.MAP_NORESERVE, "MAP_NORESERVE"}, {unix.MAP_POPULATE, "MAP_POPULATE"}, {unix.MAP_NONBLOCK, "MAP_NONBLOCK"},
		{unix.MAP_STACK, "MAP_STACK"}, {unix.MAP_HUGETLB, "MAP_HUGETLB"}, {unix.MAP_SYNC, "MAP_SYNC"}}}
	atFlags = &flagSet{bits: []bit{
		{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"}, {unix.AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"},
		{unix.AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"}, {unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
		{unix.AT_STATX_FORCE_SYNC, "AT_STATX_FORCE_SYNC"}, {unix.AT_STATX_DONT_SYNC, "AT_STATX_DONT_SYNC"}}}
	unlinkFlags = &flagSet{bits: []bit{{unix.AT_REMOVEDIR, "AT_REMOVEDIR"}}}
	accessFlags = &flagSet{bits: []bit{{unix.AT_EACCESS, "AT_EACCESS"}, {unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
		{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}}}
	accessMode = &flagSet{all, map[uint64]string{0: "F_OK"}, []bit{{4, "R_OK"}, {2, "W_OK"}, {1, "X_OK"}}}
	renames    = &flagSet{bits: []bit{{unix.RENAME_NOREPLACE, "RENAME_NOREPLACE"}, {unix.RENAME_EXCHANGE, "RENAME_EXCHANGE"},
		{unix.RENAME_WHITEOUT, "RENAME_WHITEOUT"}}}
	msgFlags = &flagSet{bits: []bit{
		{unix.MSG_OOB, "MSG_OOB"}, {unix.MSG_PEEK, "MSG_PEEK"}, {unix.MSG_DONTROUTE, "MSG_DONTROUTE"},
		{unix.MSG_CTRUNC, "MSG_CTRUNC"}, {unix.MSG_TRUNC, "MSG_TRUNC"}, {unix.MSG_DONTWAIT, "MSG_DONTWAIT"},
		{unix.MSG_EOR, "MSG_EOR"}, {unix.MSG_WAITALL, "MSG_WAITALL"}, {unix.MSG_CONFIRM, "MSG_CONFIRM"},
		{unix.MSG_ERRQUEUE, "MSG_ERRQUEUE"}, {unix.MSG_NOSIGNAL, "MSG_NOSIGNAL"}, {unix.MSG_MORE, "MSG_MORE"},
		{unix.MSG_WAITFORONE, "MSG_WAITFORONE"}, {unix.MSG_ZEROCOPY, "MSG_ZEROCOPY"}, {unix.MSG_FASTOPEN, "MSG_FASTOPEN"},
		{unix.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC"}}}
	families = &flagSet{all, map[uint64]string{0: "AF_UNSPEC", unix.AF_UNIX: "AF_UNIX", unix.AF_INET: "AF_INET",
		unix.AF_INET6: "AF_INET6", unix.AF_NETLINK: "AF_NETLINK", unix.AF_PACKET: "AF_PACKET", unix.AF_VSOCK: "AF_VSOCK"}, nil}
	sockTypes = &flagSet{0xf, map[uint64]string{1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 5: "SOCK_SEQPACKET"}, []bit{
		{unix.SOCK_NONBLOCK, "SOCK_NONBLOCK"}, {unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"}}}
	sockFlags = &flagSet{bits: sockTypes.bits}
	shutHow   = &flagSet{all, map[uint64]string{0: "SHUT_RD", 1: "SHUT_WR", 2: "SHUT_RDWR"}, nil}
	sockLevel = &flagSet{all, map[uint64]string{unix.SOL_IP: "SOL_IP", unix.SOL_SOCKET: "SOL_SOCKET", unix.SOL_TCP: "SOL_TCP",
		unix.SOL_UDP: "SOL_UDP", unix.SOL_IPV6: "SOL_IPV6"}, nil}
	epollOps   = &flagSet{all, map[uint64]string{1: "EPOLL_CTL_ADD", 2: "EPOLL_CTL_DEL", 3: "EPOLL_CTL_MOD"}, nil}
	epollFlags = &flagSet{bits: []bit{{unix.EPOLL_CLOEXEC, "EPOLL_CLOEXEC"}}}
	eventFlags = &flagSet{bits: []bit{{unix.EFD_SEMAPHORE, "EFD_SEMAPHORE"}, {unix.EFD_NONBLOCK, "EFD_NONBLOCK"},
		{unix.EFD_CLOEXEC, "EFD_CLOEXEC"}}}
	clocks = &flagSet{all, map[uint64]string{0: "CLOCK_REALTIME", 1: "CLOCK_MONOTONIC", 2: "CLOCK_PROCESS_CPUTIME_ID",
		3: "CLOCK_THREAD_CPUTIME_ID", 4: "CLOCK_MONOTONIC_RAW", 5: "CLOCK_REALTIME_COARSE", 6: "CLOCK_MONOTONIC_COARSE",
		7: "CLOCK_BOOTTIME"}, nil}
	fcntls = &flagSet{all, map[uint64]string{unix.F_DUPFD: "F_DUPFD", unix.F_GETFD: "F_GETFD", unix.F_SETFD: "F_SETFD",
		unix.F_GETFL: "F_GETFL", unix.F_SETFL: "F_SETFL", unix.F_GETLK: "F_GETLK", unix.F_SETLK: "F_SETLK",
		unix.F_SETLKW: "F_SETLKW", unix.F_SETOWN: "F_SETOWN", unix.F_GETOWN: "F_GETOWN", unix.F_OFD_SETLK: "F_OFD_SETLK",
		unix.F_DUPFD_CLOEXEC: "F_DUPFD_CLOEXEC", unix.F_GETPIPE_SZ: "F_GETPIPE_SZ", unix.F_SETPIPE_SZ: "F_SETPIPE_SZ",
		unix.F_ADD_SEALS: "F_ADD_SEALS", unix.F_GET_SEALS: "F_GET_SEALS"}, nil}
	whence  = &flagSet{all, map[uint64]string{0: "SEEK_SET", 1: "SEEK_CUR", 2: "SEEK_END", 3: "SEEK_DATA", 4: "SEEK_HOLE"}, nil}
	maskHow = &flagSet{all, map[uint64]string{0: "SIG_BLOCK", 1: "SIG_UNBLOCK", 2: "SIG_SETMASK"}, nil}
	locks   = &flagSet{0x3, map[uint64]string{1: "LOCK_SH", 2: "LOCK_EX"}, []bit{{4, "LOCK_NB"}, {8, "LOCK_UN"}}}
	ioctls  = &flagSet{all, map[uint64]string{unix.TCGETS: "TCGETS", unix.TCSETS: "TCSETS", unix.TCSETSW: "TCSETSW",
		unix.TIOCGWINSZ: "TIOCGWINSZ", unix.TIOCSWINSZ: "TIOCSWINSZ", unix.TIOCGPGRP: "TIOCGPGRP", unix.TIOCSPGRP: "TIOCSPGRP",
		0x541b: "FIONREAD", 0x5421: "FIONBIO", 0x5451: "FIOCLEX", 0x5450: "FIONCLEX",
		unix.FICLONE: "FICLONE"}, nil}
	memfdFlags = &flagSet{bits: []bit{{unix.MFD_CLOEXEC, "MFD_CLOEXEC"}, {unix.MFD_ALLOW_SEALING, "MFD_ALLOW_SEALING"},
		{unix.MFD_HUGETLB, "MFD_HUGETLB"}}}
	randomFlags = &flagSet{bits: []bit{{unix.GRND_NONBLOCK, "GRND_NONBLOCK"}, {unix.GRND_RANDOM, "GRND_RANDOM"}}}
	waitFlags   = &flagSet{bits: []bit{{unix.WNOHANG, "WNOHANG"}, {unix.WUNTRACED, "WUNTRACED"}, {unix.WCONTINUED, "WCONTINUED"}}}
)

// meanings says how the numbers of certain arguments are shown. The names are those of internal/syscalls; a test holds
// them against it.
var meanings = map[argument]func(uint64) string{
	{"openat", "flags"}: openFlags.text, {"openat", "mode"}: octal, {"mkdirat", "mode"}: octal, {"mknodat", "mode"}: octal,
	{"fchmodat", "mode"}: octal, {"fchmod", "mode"}: octal, {"umask", "mask"}: octal,
	{"pipe2", "flags"}: pipeFlags.text, {"dup3", "flags"}: pipeFlags.text, {"dup3", "to"}: descriptor, {"dup2", "to"}: descriptor,
	{"mmap", "prot"}: protFlags.text, {"mmap", "flags"}: mapFlags.text, {"mmap", "fd"}: descriptor, {"mprotect", "prot"}: protFlags.text,
	{"newfstatat", "flags"}: atFlags.text, {"statx", "flags"}: atFlags.text, {"linkat", "flags"}: atFlags.text,
	{"fchownat", "flags"}: atFlags.text, {"utimensat", "flags"}: atFlags.text,
	{"unlinkat", "flags"}: unlinkFlags.text, {"faccessat2", "flags"}: accessFlags.text,
	{"faccessat", "mode"}: accessMode.text, {"faccessat2", "mode"}: accessMode.text, {"renameat2", "flags"}: renames.text,
	{"sendto", "flags"}: msgFlags.text, {"recvfrom", "flags"}: msgFlags.text, {"sendmsg", "flags"}: msgFlags.text,
	{"recvmsg", "flags"}: msgFlags.text,
	{"socket", "domain"}: families.text, {"socket", "type"}: sockTypes.text,
	{"socketpair", "domain"}: families.text, {"socketpair", "type"}: sockTypes.text, {"accept4", "flags"}: sockFlags.text,
	{"shutdown", "how"}: shutHow.text, {"setsockopt", "level"}: sockLevel.text, {"getsockopt", "level"}: sockLevel.text,
	{"epoll_ctl", "op"}: epollOps.text, {"epoll_create1", "flags"}: epollFlags.text, {"eventfd2", "flags"}: eventFlags.text,
	{"clock_gettime", "clock"}: clocks.text, {"clock_getres", "clock"}: clocks.text, {"clock_nanosleep", "clock"}: clocks.text,
	{"timerfd_create", "clock"}: clocks.text, {"fcntl", "cmd"}: fcntls.text, {"lseek", "whence"}: whence.text,
	{"rt_sigprocmask", "how"}: maskHow.text, {"flock", "operation"}: locks.text, {"ioctl", "request"}: ioctls.text,
	{"memfd_create", "flags"}: memfdFlags.text, {"getrandom", "flags"}: randomFlags.text, {"wait4", "options"}: waitFlags.text,
	{"rt_sigaction", "signal"}: signalName, {"kill", "signal"}: signalName, {"tkill", "signal"}: signalName,
	{"tgkill", "signal"}: signalName,
}
