// Code generated from include/monmod by generate; DO NOT EDIT.

package abi

type Control struct {
	Magic    uint64
	Version  uint32
	State    uint32
	ExitCode uint32
	Live     uint32
	Epoch    uint32
	Pad      uint32
}
type Counters struct {
	Calls           uint64
	Local           uint64
	Compared        uint64
	Exempt          uint64
	BytesCompared   uint64
	BytesReplicated uint64
	Waits           uint64
	Sleeps          uint64
	ByClass         [8]uint64
}
type Stream struct {
	Magic    uint64
	Version  uint32
	RingSize uint32
	Pad0     [12]uint32
	Head     uint64
	Bell     uint32
	Pad1     [13]uint32
	Waits    uint32
	Pad2     [15]uint32
	Counters Counters
}
type Index struct {
	Magic       uint64
	Version     uint32
	Pad0        [13]uint32
	Tail        uint64
	Compared    uint64
	Done        uint64
	Bell        uint32
	Waits       uint32
	Pad1        [8]uint32
	Verdict     uint32
	VerdictLen  uint32
	VerdictSeq  uint64
	VerdictForm [2048]uint8
	Counters    Counters
}
type Rec struct {
	Size   uint32
	Kind   uint8
	Flags  uint8
	Nr     uint16
	Seq    uint64
	Ticket uint64
	Lane   uint32
	Form   uint16
	Klass  uint8
	Effect uint8
}
type Item struct {
	Arg   uint8
	Kind  uint8
	Bytes uint16
	Total uint32
}
type Result struct {
	Ret      int64
	Digest   [16]uint8
	Made     uint8
	MadeKind uint8
	Nout     uint16
	Rules    uint32
	Dev      uint64
	Ino      uint64
}
type Out struct {
	Arg   uint32
	Bytes uint32
	Total uint64
}
type Msg struct {
	Magic   uint32
	Version uint16
	Type    uint16
	Bytes   uint32
	Pad     uint32
}
type Hello struct {
	Token [32]uint8
	Pid   uint32
	Flags uint32
}
type Bases struct {
	Monitor uint64
	Program uint64
	Interp  uint64
	Stack   uint64
	Mmap    uint64
	Brk     uint64
}
type Start struct {
	Role      uint32
	Id        uint32
	Slot      uint32
	Followers uint32
	RingSize  uint32
	Flags     uint32
	Spin      uint32
	Pid       uint32
	Key       [2]uint64
	Bases     Bases
}
type Section struct {
	Tag   uint32
	Bytes uint32
}
type FdEntry struct {
	Fd      uint32
	Cloexec uint32
	Klass   uint32
	Kind    uint32
}
type ProcessState struct {
	Hwcap       uint64
	Hwcap2      uint64
	Ignored     uint64
	Blocked     uint64
	Umask       uint32
	Personality uint32
}
type Rule struct {
	Nr    uint16
	Check uint8
	Data  uint8
	Bytes uint32
}
type Mount struct {
	Dev   uint64
	Klass uint32
	Pad   uint32
}
type Signal struct {
	Signo uint32
	Pad   uint32
}
type Case struct {
	Seq     uint64
	Lane    uint32
	Records uint32
	Reason  uint32
	Frames  uint32
	Regs    [18]uint64
	Frame   [32]uint64
}
type Stop struct {
	BySignal uint32
	Status   uint32
	Counters Counters
}
type Fatal struct {
	ExitCode uint32
	Nr       uint32
	Error    int32
	Pad      uint32
}
type KmodInfo struct {
	Version uint32
	Guards  uint32
	Active  uint32
	Pad     uint32
}
type KmodLibrary struct {
	Version uint32
	Fd      int32
}
type KmodArming struct {
	Version uint32
	Guard   uint32
}
type KmodArm struct {
	Version    uint32
	Pad        uint32
	Gates      uint64
	GatesBytes uint64
	Entry      uint64
	Handler    uint64
	Announce   uint64
	Block      uint64
}
type KmodNext struct {
	Version uint32
	Pad     uint32
	Block   uint64
}
type KmodBlock struct {
	Ax    uint64
	Bx    uint64
	Cx    uint64
	Dx    uint64
	Si    uint64
	Di    uint64
	Bp    uint64
	Sp    uint64
	R8    uint64
	R9    uint64
	R10   uint64
	R11   uint64
	R12   uint64
	R13   uint64
	R14   uint64
	R15   uint64
	Ip    uint64
	Flags uint64
}
type KmodViolation struct {
	Pid     uint32
	Offence uint32
	Nr      uint64
	Ip      uint64
	Sp      uint64
}

const AbiVersion = 0x1
const Page = 0x1000
const MaxVariants = 0x8
const MaxFollowers = 0x7
const Lanes = 0x1
const ControlMagic = 0x6c746e6f636d6d00
const StreamMagic = 0x6d6165727473006d
const IndexMagic = 0x7865646e69006d6d
const RingMin = 0x10000
const RingDefault = 0x100000
const RingMax = 0x4000000
const VerdictBytes = 0x800
const RecMax = 0x8000
const FormMax = 0x600
const InlineMax = 0x40
const Excerpt = 0x30
const RfExempt = 0x1
const RfSignals = 0x2
const RfRestart = 0x4
const RfMore = 0x8
const RfForced = 0x10
const RfMask = 0x40
const RfAgain = 0x20
const MsgMagic = 0x6d6d7367
const MsgBody = 0xc000
const TokenBytes = 0x20
const StartAudit = 0x1
const StartFsShared = 0x2
const StartProgramDiffers = 0x4
const StartApart = 0x8
const StartKmod = 0x10
const StartKey = 0x20
const StartPages = 0x80
const StartCode = 0x40
const PolFile = 0x1
const PolSocket = 0x2
const PathRules = 0x20
const Frames = 0x20
const KmodVersion = 0x1
const KmodGuardNone = 0x0
const KmodGuardToken = 0x1
const KmodGuardKey = 0x2
const KmodGuardPages = 0x3
const KmodKey = 0x1
const KmodPkruClosed = 0x55555554
const KmodLeave = 0xfffffffe
const KmodIocInfo = 0xc0104d01
const KmodIocLibrary = 0x40084d02
const KmodIocArming = 0x40084d03
const KmodIocArm = 0x40384d04
const KmodIocNext = 0x40104d05
const StateStarting = 0x0
const StateRunning = 0x1
const StateEnding = 0x2
const VerdictNone = 0x0
const VerdictDiverged = 0x1
const VerdictMalformed = 0x2
const RecCall = 0x1
const RecResult = 0x2
const RecData = 0x3
const RecSignal = 0x4
const RecFault = 0x5
const ItemValue = 0x1
const ItemBytes = 0x2
const ItemDigest = 0x3
const ItemNull = 0x4
const ItemFault = 0x5
const ItemPtr = 0x6
const FdNone = 0x0
const FdLeader = 0x1
const FdOwn = 0x2
const FdShared = 0x3
const KindOther = 0x0
const KindFile = 0x1
const KindDir = 0x2
const KindSocket = 0x3
const KindEpoll = 0x4
const KindPipe = 0x5
const MsgHello = 0x1
const MsgStart = 0x2
const MsgMapped = 0x3
const MsgArena = 0x4
const MsgReady = 0x5
const MsgGo = 0x6
const MsgSignal = 0x7
const MsgDiverged = 0x8
const MsgAudit = 0x9
const MsgTrace = 0xa
const MsgStop = 0xb
const MsgFatal = 0xc
const MsgEvent = 0xd
const Leader = 0x1
const Follower = 0x2
const SecEnd = 0x0
const SecProgram = 0x1
const SecArgv = 0x2
const SecEnvp = 0x3
const SecCwd = 0x4
const SecFds = 0x5
const SecLimits = 0x6
const SecIds = 0x7
const SecGroups = 0x8
const SecProcess = 0x9
const SecPolicy = 0xa
const SecRules = 0xb
const SecMounts = 0xc
const WhyNone = 0x0
const WhyNumber = 0x1
const WhyForm = 0x2
const WhyKind = 0x3
const WhyResult = 0x4
const WhyData = 0x5
const WhyTaken = 0x6
const WhyCode = 0x7
const WhyStream = 0x8
const KmodGate = 0x1
const KmodCompat = 0x2
const KmodExec = 0x3
const KmodUnmapped = 0x4
const KmodSignal = 0x5
const KmodChild = 0x6
const KmodVsyscall = 0x7
const KmodClosed = 0x8
const KmodReset = 0x9
