package config

import "slices"

// The values of a group's keys that have a fixed few.
type (
	// Policy says which calls the leader waits for, and which are not compared.
	Policy string
	// Backend is the way system calls get into the monitor.
	Backend string
	// Entry says whether call sites are patched.
	Entry string
	// Guard says how far code that could get at the monitor is kept from running.
	Guard string
	// FS says whose files the variants work on.
	FS string
	// Response is the answer to a divergence.
	Response string
	// Program says whether the variants run one and the same program file.
	Program string
	// Check says whether the calls that a rule matches are compared.
	Check string
	// Data says whose contents the files have that a rule matches.
	Data string
)

// The policies, each exempting more than the one before.
const (
	PolicyFull        Policy = "full"
	PolicyBase        Policy = "base"
	PolicyNonsocketRO Policy = "nonsocket_ro"
	PolicyNonsocketRW Policy = "nonsocket_rw"
	PolicySocketRO    Policy = "socket_ro"
	PolicySocketRW    Policy = "socket_rw"
	PolicySocketRWOC  Policy = "socket_rw_oc"
)

// The other values that this version can do.
const (
	BackendAuto Backend = "auto"
	BackendSUD  Backend = "sud"
	BackendKmod Backend = "kmod"

	EntryKernel Entry = "kernel"

	GuardFull Guard = "full"
	GuardWeak Guard = "weak"

	FSAuto   FS = "auto"
	FSShared FS = "shared"
	FSOwn    FS = "own"

	Kill  Response = "kill"
	Audit Response = "audit"

	ProgramSame    Program = "same"
	ProgramDiffers Program = "differs"

	CheckExempt  Check = "exempt"
	CheckCompare Check = "compare"

	DataLeader  Data = "leader"
	DataDiffers Data = "differs"
	DataOwn     Data = "own"
)

var policies = []choice{
	{value: "full", doc: "Nothing is exempt: the leader waits for every follower before every call."},
	{value: "base", doc: "Exempts time, identity, working directory, uname and sched_yield."},
	{value: "nonsocket_ro", doc: "Exempts also access, lseek, stat, ioctl and fcntl, and reads of files."},
	{value: "nonsocket_rw", doc: "Exempts also writes to files."},
	{value: "socket_ro", doc: "Exempts also reads of sockets, waiting for descriptors and asking sockets for their names and options."},
	{value: "socket_rw", doc: "Exempts also writes to sockets, sendfile, changes of what is waited for, setsockopt and shutdown."},
	{value: "socket_rw_oc", doc: "Exempts also open and close."},
	{value: "commit", doc: "Every call is compared; the leader runs ahead and waits only before an effect that the outside can see.",
		instead: "write policy: full, which compares as much and waits more often"},
}

// ladder is the order of the policies that exempt, from the strictest.
var ladder = []Policy{PolicyFull, PolicyBase, PolicyNonsocketRO, PolicyNonsocketRW, PolicySocketRO, PolicySocketRW, PolicySocketRWOC}

// Rank is the policy's place on the ladder: 0 for full, 6 for socket_rw_oc, -1
// for none of them. A higher rank exempts more.
func (p Policy) Rank() int { return slices.Index(ladder, p) }

var backends = []choice{
	{value: "auto", doc: "The host chooses: `kmod` where the module is loaded, else `sud`."},
	{value: "sud", doc: "Syscall User Dispatch: Linux 5.11 or newer, nothing else."},
	{value: "kmod", doc: "The kernel module: no signal per call, and guarded gates and memory (kernel-module.md). A host without the module refuses to start."},
	{value: "seccomp", doc: "For kernels without Syscall User Dispatch.", instead: "write backend: sud (Linux 5.11 or newer)"},
}

var entries = []choice{
	{value: "kernel", doc: "Every call is forced through the kernel."},
	{value: "patched", doc: "Proven call sites jump straight into the monitor.", instead: "write entry: kernel, which is slower and does the same"},
}

var guards = []choice{
	{value: "full", doc: "Code is searched before it may run, and changed or refused where it could open the monitor's protection key; memory that can be written and executed is refused. On processors without such keys the monitor's memory is out of the program's page tables while the program runs. Without the kernel module there is neither."},
	{value: "weak", doc: "Code runs as it is, also code that the program has just written (JIT compilers), and without protection keys the monitor's memory stays where it is: calls are cheaper. Every start warns what that leaves open."},
}

var filesystems = []choice{
	{value: "auto", doc: "Found out when the variants meet: what is the same file system in all is shared, the rest is each variant's own."},
	{value: "shared", doc: "All variants see the same files: the leader works on them, the followers get its results and never write."},
	{value: "own", doc: "Every variant works on its own copy; contents are compared by digest."},
}

var responses = []choice{
	{value: "kill", doc: "All variants end with exit code 70, and a report says why."},
	{value: "audit", doc: "The same call with other arguments is recorded and goes on with the leader's; another call ends that follower."},
	{value: "restore", doc: "Back to the last common checkpoint.", instead: "write on_divergence: kill"},
	{value: "quarantine", doc: "The minority of three or more ends, the rest goes on.", instead: "write on_divergence: kill"},
}

var programs = []choice{
	{value: "same", doc: "Variants whose program files have different digests are refused."},
	{value: "differs", doc: "Different builds are meant to run together."},
}

var checks = []choice{
	{value: "exempt", doc: "Argument values are not compared and the leader does not wait. Number, class, descriptor and room for output are compared all the same."},
	{value: "compare", doc: "The leader waits and the arguments are compared, whatever the policy exempts."},
}

var contents = []choice{
	{value: "leader", doc: "Everyone reads what the leader read."},
	{value: "differs", doc: "Every variant reads its own, and a difference is no divergence."},
	{value: "own", doc: "Wholly each variant's own: opened, mapped and written by each on its own, not compared."},
}
