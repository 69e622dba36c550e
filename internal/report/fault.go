package report

import "fmt"

// faultCodes names what si_code of a fault means: sigaction(2).
var faultCodes = map[string][]string{
	"SIGSEGV": {1: "SEGV_MAPERR", 2: "SEGV_ACCERR", 3: "SEGV_BNDERR", 4: "SEGV_PKUERR"},
	"SIGBUS":  {1: "BUS_ADRALN", 2: "BUS_ADRERR", 3: "BUS_OBJERR"},
	"SIGILL":  {1: "ILL_ILLOPC", 2: "ILL_ILLOPN", 3: "ILL_ILLADR", 4: "ILL_ILLTRP", 5: "ILL_PRVOPC", 6: "ILL_PRVREG", 7: "ILL_COPROC", 8: "ILL_BADSTK"},
	"SIGFPE":  {1: "FPE_INTDIV", 2: "FPE_INTOVF", 3: "FPE_FLTDIV", 4: "FPE_FLTOVF", 5: "FPE_FLTUND", 6: "FPE_FLTRES", 7: "FPE_FLTINV", 8: "FPE_FLTSUB"},
	"SIGTRAP": {1: "TRAP_BRKPT", 2: "TRAP_TRACE"},
}

func faultCode(signal string, a Arg) string {
	if names := faultCodes[signal]; a.Value != nil && uint64(*a.Value) < uint64(len(names)) && names[*a.Value] != "" {
		return names[*a.Value]
	}
	return "code " + a.Text
}

// placeText says where in the program's code a fault was, in a way that means the same in every variant: the library numbers
// executable mappings in the order in which they were made (mm_code_place, preload/memory.c).
func placeText(a Arg) string {
	if a.Value == nil {
		return a.Text
	}
	place := uint64(*a.Value)
	if place == 0 {
		return "an address outside of all code"
	}
	return fmt.Sprintf("byte %#x of executable mapping %d", place&(1<<40-1), place>>40)
}
