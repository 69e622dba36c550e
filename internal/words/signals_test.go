package words

import "testing"

func TestSignal(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "signal 0", 9: "signal 9 (SIGKILL)", 31: "signal 31 (SIGSYS)", 32: "signal 32", 33: "signal 33", 34: "signal 34 (SIGRTMIN)",
		35: "signal 35 (SIGRTMIN+1)", 63: "signal 63 (SIGRTMIN+29)", 64: "signal 64 (SIGRTMAX)", 65: "signal 65", 1<<64 - 1: "signal 18446744073709551615",
	} {
		if got := Signal(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
