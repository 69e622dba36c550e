package guest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monmod/monmod/test/internal/guest"
	"github.com/monmod/monmod/test/internal/target"
)

// mistakes are those of planted/planted.c, with what the kernel says of each. Lockdep, which sees the first two, looks no further
// when anything of locks or memory has been found.
var mistakes = []struct{ name, complaint string }{
	{"unread", "suspicious RCU usage"},
	{"order", "possible circular locking dependency"},
	{"sleeps", "sleeping function called from invalid context"},
	{"shift", "UBSAN: shift-out-of-bounds"},
	{"twice", "ODEBUG: init active"},
	{"heap", "BUG: KASAN: slab-out-of-bounds in heap"},
	{"freed", "BUG: KASAN: use-after-free in freed"},
	{"big", "BUG: KASAN: vmalloc-out-of-bounds in big"},
	{"leak", "unreferenced object"},
}

// TestSanitizersSee makes mistakes in the sanitized kernel: what says nothing of the module is worth something if it says
// something of these.
func TestSanitizersSee(t *testing.T) {
	needs(t)
	if !slices.Contains(kernels(t), guest.Sanitized) {
		t.Skip("set MONMOD_GUEST_KERNELS=" + guest.Sanitized.Name + "; make soak-guest does")
	}
	dir := t.TempDir()
	if err := guest.BuildModule(guest.Sanitized, filepath.Join(target.Root(), "test/guest/planted"), dir); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("insmod /m/planted.ko || exit\n")
	for _, m := range mistakes {
		script.WriteString("echo " + m.name + " >/sys/module/planted/parameters/make || exit\n")
	}
	r, err := guest.Run(t.Context(), guest.Options{
		Kernel: guest.Sanitized, Files: map[string]string{"/m": dir}, Append: "kasan_multi_shot", Script: script.String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mistakes {
		if !slices.ContainsFunc(r.Problems, func(line string) bool { return strings.Contains(line, m.complaint) }) {
			t.Errorf("the kernel did not say %q of the mistake %s", m.complaint, m.name)
		}
	}
	if t.Failed() || r.ExitCode != 0 {
		t.Errorf("%s", r)
	}
	t.Logf("%v\n%s", r.Elapsed, strings.Join(r.Problems, "\n"))
}
