package guest

import "testing"

// Must runs a guest whose script has to succeed, without a complaint of the kernel.
func Must(t testing.TB, o Options) Result {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.ExitCode != 0 || len(r.Problems) > 0 {
		t.Fatalf("kernel %s: %s", o.Kernel, r)
	}
	return r
}
