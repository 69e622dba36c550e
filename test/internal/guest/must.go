package guest

import "testing"

// Must runs a guest whose script has to succeed, without a complaint of the kernel.
func Must(t testing.TB, o Options) Result {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.fine() {
		t.Fatalf("kernel %s: %s", o.Kernel, r)
	}
	return r
}

// MustPair runs two connected guests, as Pair does, whose scripts have to succeed, without a complaint of their kernels.
func MustPair(t testing.TB, first, second Options) [2]Result {
	t.Helper()
	results, err := Pair(t.Context(), first, second)
	if err != nil {
		t.Fatal(err)
	}
	if !results[0].fine() || !results[1].fine() {
		t.Fatalf("guest 1, kernel %s: %s\nguest 2, kernel %s: %s", first.Kernel, results[0], second.Kernel, results[1])
	}
	return results
}

func (r Result) fine() bool { return r.ExitCode == 0 && len(r.Problems) == 0 }
