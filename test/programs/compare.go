package programs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/monmod/monmod/test/internal/target"
)

// Verdict says how a monitored run compares with the native one.
type Verdict int

// The verdicts. A run that differs in more than one way gets the last of those that hold.
const (
	Same     Verdict = iota
	Mismatch         // it ran, and what it did differs
	Failed           // it did not run to its end, or left something behind
	Diverged         // monmod ended it: a false divergence
)

// statusDivergence is the exit status of monmod for a divergence.
const statusDivergence = 70

// String names the verdict.
func (v Verdict) String() string {
	return [...]string{"same", "mismatch", "failed", "diverged"}[v]
}

// Compare judges got, run in the way how, against want, the native run. The text says what differs and shows the program's output.
func (b *Bench) Compare(want, got Outcome, how target.How) (Verdict, string) {
	verdict := Same
	var text strings.Builder
	differ := func(v Verdict, format string, args ...any) {
		verdict = max(verdict, v)
		fmt.Fprintf(&text, format+"\n", args...)
	}
	if got.Status != want.Status {
		differ(Mismatch, "status %d, natively %d", got.Status, want.Status)
	}
	wantLines, gotLines := lines(want.Stdout, b.AnyOrder), lines(got.Stdout, b.AnyOrder)
	for _, part := range []struct {
		name      string
		want, got []string
	}{
		{"output", wantLines, gotLines}, {"files", want.Files, got.Files}, {"answers", want.Answers, got.Answers},
	} {
		if d := firstDifference(part.want, part.got); d != "" {
			differ(Mismatch, "%s: %s", part.name, d)
		}
	}
	if got.Err != nil {
		differ(Failed, "not carried out: %v", got.Err)
	}
	if len(got.Left) > 0 {
		differ(Failed, "left behind:\n%s", strings.Join(got.Left, "\n"))
	}
	if how.Variants > 0 && got.Status == statusDivergence && want.Status != statusDivergence {
		differ(Diverged, "ended as a divergence")
	}
	if verdict != Same {
		fmt.Fprintf(&text, "%s%s", got.Result, got.Report)
	}
	return verdict, text.String()
}

func lines(text []byte, anyOrder bool) []string {
	if anyOrder {
		return sorted(text)
	}
	var out []string
	for l := range bytes.Lines(text) {
		out = append(out, string(l))
	}
	return out
}

// firstDifference returns "" for equal lists.
func firstDifference(want, got []string) string {
	if slices.Equal(want, got) {
		return ""
	}
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	at := func(l []string) string {
		if i < len(l) {
			return fmt.Sprintf("%q", l[i])
		}
		return "nothing"
	}
	return fmt.Sprintf("entry %d of %d is %s, natively (%d) %s", i+1, len(got), at(got), len(want), at(want))
}
