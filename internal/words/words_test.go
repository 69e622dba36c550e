package words

import "testing"

func TestOf(t *testing.T) {
	for text, want := range map[string]string{
		"ended":                         "variant 2: ended",
		"variant 2 (follower) ended":    "variant 2 (follower) ended",
		"variant 2: it ended":           "variant 2: it ended",
		"variant 2":                     "variant 2",
		"variant 21 (follower) ended":   "variant 2: variant 21 (follower) ended",
		"variant 1 (leader) went alone": "variant 2: variant 1 (leader) went alone",
		"":                              "variant 2: ",
	} {
		if got := Of(2, text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
