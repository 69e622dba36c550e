// Package supervisor starts the variants of a group, makes the memory they share, holds their hands until the program's first
// instruction, and then watches: what they say, how they end, whether one is late. It ends the group when it must.
//
// It is the control plane of one host. It never touches a record on its way between variants of one host, it knows nothing
// of containers (who calls it does), and what a call's arguments mean is internal/syscalls' and internal/report's.
//
// A session is owned by one goroutine, which runs (*session).loop; everything else (readers of sockets, waiters for
// children, pumps) sends it events over one channel and keeps no state of its own.
package supervisor

// Exit codes that are monmod's and not the program's.
const (
	ExitDivergence  = 70
	ExitPeerLost    = 69
	ExitConfig      = 78
	ExitUsage       = 64
	exitNoProgram   = 127
	exitNotRunnable = 126
)
