// Package syscalls holds the one description of every system call that monmod knows: what its arguments are, who
// carries it out, what it does to the world, how its result is compared and from which policy on it is exempt.
//
// From it come the library's tables (preload/table.gen.h), docs/syscalls.md and the decoding of records for reports.
// Nothing here runs in a variant, and nothing else in the tree may say what an argument of a call means.
package syscalls

//go:generate go run ./gen -table ../../preload/table.gen.h -docs ../../docs/syscalls.md

// Class says who carries a call out (enum mm_class in the generated header).
type Class uint8

const (
	All     Class = iota // every variant for itself, results compared
	Leader               // the leader; results and output go to the followers
	ByFD                 // as the descriptor in the first fd argument was opened
	ByPath               // the leader; on a file system of each variant's own, every variant
	Local                // every variant for itself, not in the stream: their number depends on the layout
	Special              // a function of its own in the library
	Absent               // answered with an error number in every variant, never carried out
	Ends                 // this version cannot run a program that makes it: the group ends with a message
)

var classNames = [...]string{"all", "leader", "by fd", "by path", "local", "special", "absent", "ends"}

func (c Class) String() string { return classNames[c] }

// Effect says whom a call can reach.
type Effect uint8

const (
	None  Effect = iota // reads only
	Own                 // changes the process itself
	World               // others can see it; what nothing is said about
)

func (e Effect) String() string { return [...]string{"none", "own", "world"}[e] }

// Result says how results of calls that everyone carries out are compared.
type Result uint8

const (
	Exact     Result = iota // the same number
	ErrnoOnly               // both succeed, or both fail with the same error number
	Ignored                 // not compared
)

func (r Result) String() string { return [...]string{"exact", "errno", "not"}[r] }

// Flag is a set of properties of a row.
type Flag uint8

const (
	Blocks   Flag = 1 << iota // may sleep for as long as the world likes
	Restarts                  // made again after a handler with SA_RESTART (signal(7))
	Makes                     // success returns a new descriptor
)

// Rung is a step of the ladder of policies: the first policy that exempts the call. NoRung: always compared.
type Rung uint8

const (
	NoRung Rung = iota
	Base
	NonsocketRO
	NonsocketRW
	SocketRO
	SocketRW
	SocketRWOC
)

// Policies lists the ladder's names, strictest first; the index is the rung.
var Policies = []string{"full", "base", "nonsocket_ro", "nonsocket_rw", "socket_ro", "socket_rw", "socket_rw_oc"}

// Row describes one canonical call. Calls that a kernel has in two spellings (open and openat) have one row, and Spellings
// says how the older maps to it, so that two C libraries agree.
type Row struct {
	Name   string
	NR     int // x86_64; the numbers of other processors map to the same row
	Class  Class
	Effect Effect
	Result Result
	Flags  Flag
	File   Rung // exempt on paths, and on descriptors that are no sockets
	Socket Rung // exempt on sockets
	Args   string
	Errno  string // Absent: what it answers
	Why    string // Absent, Ends: the reason, for people
}

// Spelling maps a call of x86_64 to a canonical one: each argument is an index of the original's, or a constant.
type Spelling struct {
	Name string
	NR   int
	To   string
	Args [6]Operand
}

// Operand is one argument of the canonical call: argument Arg of the original, or, where Arg is negative, Const.
type Operand struct {
	Arg   int
	Const int64
}
