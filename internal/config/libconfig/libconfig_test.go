package libconfig

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// dump renders a value on one line, with the line of each setting.
func dump(v *Value) string {
	var parts []string
	switch v.Kind {
	case Group:
		for _, s := range v.Settings {
			parts = append(parts, fmt.Sprintf("%s@%d=%s", s.Name, s.Line, dump(s.Value)))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case List, Array:
		for _, i := range v.Items {
			parts = append(parts, dump(i))
		}
		if v.Kind == Array {
			return "[" + strings.Join(parts, " ") + "]"
		}
		return "(" + strings.Join(parts, " ") + ")"
	case String:
		return fmt.Sprintf("%q", v.Text)
	case Float:
		return "f" + v.Text
	}
	return v.Text
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "{}"},
		{" # a\n // b\n /* c\n d */ x = 1 /**/", "{x@4=1}"},
		{"a = 1; b : 2, c=3 d=4", "{a@1=1 b@1=2 c@1=3 d@1=4}"},
		{"a = 1;\r\na = 2;", "{a@1=1 a@2=2}"},
		{"n = -7; h = 0x1E; b = 0b101; o = 0o17; l = 5L; ll = +6LL; z = 007", "{n@1=-7 h@1=30 b@1=5 o@1=15 l@1=5 ll@1=6 z@1=7}"},
		{"a = 0.5; b = -1e3; c = .25; d = 2.; e = 1.5E-2", "{a@1=f0.5 b@1=f-1000 c@1=f0.25 d@1=f2 e@1=f0.015}"},
		{"a = true; b = FALSE; c = True", "{a@1=true b@1=false c@1=true}"},
		{`s = "a\"b\\\n\x41" " and " /* */ "more"`, `{s@1="a\"b\\\nA and more"}`},
		{"s = \"two\nlines\"; n = 1", `{s@1="two\nlines" n@2=1}`},
		{`s = "# // /* no comments"`, `{s@1="# // /* no comments"}`},
		{"l = (1, \"a\", (), [], {x = 1;}); a = [1, 2, 3,]", `{l@1=(1 "a" () [] {x@1=1}) a@1=[1 2 3]}`},
		{"a-b_c*9 = 1; *x = 2", "{a-b_c*9@1=1 *x@1=2}"},
		{"g = { h : { i = 1 } j = 2 }", "{g@1={h@1={i@1=1} j@1=2}}"},
		{"min = -9223372036854775808", "{min@1=-9223372036854775808}"},
	} {
		v, err := Parse([]byte(c.in))
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
		} else if got := dump(v); got != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		in   string
		line int
		says string
	}{
		{"a", 1, "= after"}, {"a =", 1, "a value"}, {"= 1", 1, "name of a setting"}, {"a = 1;;", 1, "name of a setting"},
		{"a = yes", 1, "double quotes"}, {"\n\na = \"x", 3, "no end"}, {"a = \"x\\", 1, "no end"}, {"a = 1 /* x\n\n", 1, "no end"},
		{`a = "\q"`, 1, "escape"}, {`a = "\x4"`, 1, "escape"}, {`a = "\xzz"`, 1, "escape"}, {"a = \"\n\\q\"", 2, "escape"},
		{"a = (1 2)", 1, "a comma or )"}, {"a = (1", 1, "a comma or )"}, {"a = [1, \"x\"]", 1, "different kinds"}, {"a = [(1)]", 1, "only numbers"},
		{"a = { b = 1", 1, "name of a setting"}, {"a = )", 1, "a value"}, {"a = 1 )", 1, "name of a setting"},
		{"a = 99999999999999999999", 1, "no number"}, {"a = 0x", 1, "no number"}, {"a = 1-2", 1, "no number"}, {"a = --1", 1, "no number"},
		{"a = 0x-1", 1, "no number"}, {"a = 1_000", 1, "no number"}, {"a = 0x1p4", 1, "no number"}, {"a = +-1", 1, "no number"}, {"a = .", 1, "no number"},
		{"a = 1e999", 1, "no number"}, {"@include \"x\"", 1, "@include"}, {"ä = 1", 1, "begins nothing"}, {"a = 'x'", 1, "begins nothing"},
		{"a = " + strings.Repeat("(", 1000), 1, "nested"}, {"a = " + strings.Repeat("{a=", 1000), 1, "nested"},
	} {
		_, err := Parse([]byte(c.in))
		var where *Error
		if !errors.As(err, &where) || where.Line != c.line || !strings.Contains(where.Error(), c.says) || where.Fix == "" {
			t.Errorf("%.40q: got %v, want line %d and %q", c.in, err, c.line, c.says)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a = 1;", `l = ( { id = 0x1; s = "a\x41" "b"; }, [1.5, 2.0] ); /* c */ b : TRUE # d`, "a = \"\\", "@include", "a=-", "a=(((", "/*"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil {
			var where *Error
			if !errors.As(err, &where) || where.Line < 1 || where.Line > 1+strings.Count(string(data), "\n") {
				t.Fatalf("error without a place in the text: %v", err)
			}
			return
		}
		if v.Kind != Group {
			t.Fatalf("the file is a %d", v.Kind)
		}
		_ = dump(v)
	})
}
