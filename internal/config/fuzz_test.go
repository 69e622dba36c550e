package config

import (
	"errors"
	"testing"
)

// fuzzGroup holds for any input: no panic, errors of the promised type, and a
// group that is accepted is valid and means the same when read again.
func fuzzGroup(f *testing.F, libconfigForm bool) {
	for _, in := range inputs(f, "group") {
		if data := read(f, in); isLibconfig(data) == libconfigForm {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Parse("group.yaml", data)
		if err != nil {
			var all Problems
			if !errors.As(err, &all) || err.Error() == "" {
				t.Fatalf("%v is no Problems", err)
			}
			return
		}
		if _, err := g.Variant(g.Leader); err != nil || len(g.Variants) < MinVariants || len(g.Variants) > MaxVariants || g.LagWall < g.Lag || g.Policy.Rank() < 0 {
			t.Fatalf("accepted: %+v", g)
		}
		for i, v := range g.Variants {
			if v.ID < 1 || v.ID > MaxID || i > 0 && v.ID <= g.Variants[i-1].ID || (v.Address == "") != (v.Port == 0) || v.Port > 65535 {
				t.Fatalf("accepted: %+v", g.Variants)
			}
		}
		again, err := Parse("group.yaml", data)
		if err != nil || again.Digest() != g.Digest() {
			t.Fatalf("read again: %v, %q", err, Differences(g.Meaning(), again.Meaning()))
		}
	})
}

func FuzzYAML(f *testing.F) { fuzzGroup(f, false) }

func FuzzLibconfigForm(f *testing.F) { fuzzGroup(f, true) }

func FuzzOperator(f *testing.F) {
	for _, in := range inputs(f, "operator") {
		f.Add(read(f, in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parseOperator("runtime.yaml", data)
		if err == nil && (o.Policy.Rank() < 0 || o.Runtime == "" || o.Exec == "" || o.Backend == "" || o.OnDivergence == "") {
			t.Fatalf("accepted: %+v", o)
		}
	})
}
