package syscalls

import "fmt"

// rowless names the calls of x86_64 that have no row, by number: a program that makes one ends with its name. Newer ones than the
// highest that has a row do not exist for a program.
var rowless = map[int]string{
	64: "semget", 65: "semop", 66: "semctl", 68: "msgget", 69: "msgsnd", 70: "msgrcv", 71: "msgctl",
	78: "getdents", 103: "syslog", 134: "uselib", 135: "personality", 136: "ustat", 139: "sysfs", 153: "vhangup",
	156: "_sysctl", 159: "adjtimex", 163: "acct", 164: "settimeofday", 167: "swapon", 168: "swapoff",
	169: "reboot", 170: "sethostname", 171: "setdomainname", 172: "iopl", 173: "ioperm", 174: "create_module",
	175: "init_module", 176: "delete_module", 177: "get_kernel_syms", 178: "query_module", 179: "quotactl",
	180: "nfsservctl", 181: "getpmsg", 182: "putpmsg", 183: "afs_syscall", 184: "tuxcall", 185: "security",
	205: "set_thread_area", 207: "io_destroy", 208: "io_getevents", 209: "io_submit", 210: "io_cancel",
	211: "get_thread_area", 212: "lookup_dcookie", 214: "epoll_ctl_old", 215: "epoll_wait_old",
	216: "remap_file_pages", 219: "restart_syscall", 220: "semtimedop", 236: "vserver", 240: "mq_open",
	241: "mq_unlink", 242: "mq_timedsend", 243: "mq_timedreceive", 244: "mq_notify", 245: "mq_getsetattr",
	246: "kexec_load", 251: "ioprio_set", 252: "ioprio_get", 256: "migrate_pages", 279: "move_pages",
	301: "fanotify_mark", 303: "name_to_handle_at", 304: "open_by_handle_at", 312: "kcmp", 313: "finit_module",
	314: "sched_setattr", 315: "sched_getattr", 320: "kexec_file_load", 321: "bpf", 333: "io_pgetevents",
	424: "pidfd_send_signal", 428: "open_tree", 429: "move_mount", 430: "fsopen", 431: "fsconfig", 432: "fsmount",
	433: "fspick", 442: "mount_setattr", 443: "quotactl_fd",
}

// NativeName gives the name of a number of x86_64, whatever monmod does with it.
func NativeName(nr int) string {
	for _, r := range Table {
		if r.NR == nr {
			return r.Name
		}
	}
	for _, s := range Spellings {
		if s.NR == nr {
			return s.Name
		}
	}
	if name := rowless[nr]; name != "" {
		return name
	}
	return fmt.Sprintf("number %d of x86_64", nr)
}
