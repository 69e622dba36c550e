package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadOperator(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test makes files of other users: run it as root")
	}
	const text = "require: true\n"
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir, file string) error
		kind    error
		require bool
	}{
		{"missing", func(_ *testing.T, _, file string) error { return os.Remove(file) }, nil, false},
		{"root's", func(*testing.T, string, string) error { return nil }, nil, true},
		{"another user's", func(_ *testing.T, _, file string) error { return os.Chown(file, 1, 0) }, ErrUnsafeFile, false},
		{"group-writable", func(_ *testing.T, _, file string) error { return os.Chmod(file, 0o664) }, ErrUnsafeFile, false},
		{"world-writable", func(_ *testing.T, _, file string) error { return os.Chmod(file, 0o646) }, ErrUnsafeFile, false},
		{"in another user's folder", func(_ *testing.T, dir, _ string) error { return os.Chown(dir, 1, 0) }, ErrUnsafeFile, false},
		{"in a writable folder", func(_ *testing.T, dir, _ string) error { return os.Chmod(dir, 0o777) }, ErrUnsafeFile, false},
		{"a link to another user's", func(t *testing.T, dir, file string) error {
			target := filepath.Join(t.TempDir(), "target")
			return errors.Join(os.WriteFile(target, []byte(text), 0o644), os.Chown(target, 1, 0), os.Remove(file), os.Symlink(target, file))
		}, ErrUnsafeFile, false},
		{"a link to root's", func(t *testing.T, dir, file string) error {
			target := filepath.Join(t.TempDir(), "target")
			return errors.Join(os.WriteFile(target, []byte(text), 0o644), os.Remove(file), os.Symlink(target, file))
		}, nil, true},
		{"a dangling link", func(t *testing.T, dir, file string) error {
			return errors.Join(os.Remove(file), os.Symlink(filepath.Join(dir, "none"), file))
		}, ErrUnreadable, false},
		{"wrong", func(_ *testing.T, _, file string) error { return os.WriteFile(file, []byte("require: maybe\n"), 0o644) }, ErrWrongType, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "monmod")
			file := filepath.Join(dir, "runtime.yaml")
			if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(file, []byte(text), 0o644), c.prepare(t, dir, file)); err != nil {
				t.Fatal(err)
			}
			o, err := LoadOperator(file)
			if !errors.Is(err, c.kind) || c.kind == nil && err != nil {
				t.Fatalf("got %v, want %v", err, c.kind)
			}
			if err == nil && (o.Require != c.require || o.Policy == "" || o.Runtime == "") {
				t.Errorf("got %+v", o)
			}
			if err != nil && !strings.HasPrefix(err.Error(), file+":") {
				t.Errorf("%v does not name the file", err)
			}
		})
	}
}

func TestOperatorCheck(t *testing.T) {
	strict := "policy: base\non_divergence: kill\nexec: deny\nbackend: kmod\n"
	exempt := []Rule{{Call: "read", Check: CheckExempt}}
	for _, c := range []struct {
		operator string
		request  Request
		weaker   []string // what is named, in order
	}{
		{"", Request{Policy: PolicySocketRWOC, OnDivergence: Audit, Exec: ExecAllow, Backend: BackendSUD, Rules: exempt}, nil},
		{strict, Request{}, nil},
		{strict, Request{Policy: PolicyFull, OnDivergence: Kill, Exec: ExecDeny, Backend: BackendKmod}, nil},
		{strict, Request{Policy: PolicyBase, Backend: BackendAuto, Rules: []Rule{{Path: "/a", Data: DataOwn}}}, nil},
		{strict, Request{Policy: PolicyNonsocketRO}, []string{"policy nonsocket_ro"}},
		{strict, Request{Policy: "unheard"}, []string{"policy unheard"}},
		{strict, Request{OnDivergence: Audit}, []string{"on_divergence audit"}},
		{strict, Request{Exec: ExecAllow}, []string{"exec allow"}},
		{strict, Request{Backend: BackendSUD}, []string{"backend sud"}},
		{strict, Request{Rules: exempt}, []string{"a rule"}},
		{strict, Request{Policy: PolicySocketRW, OnDivergence: Audit}, []string{"policy socket_rw", "on_divergence audit"}},
	} {
		o, err := parseOperator("runtime.yaml", []byte(c.operator))
		if err != nil {
			t.Fatal(err)
		}
		err = o.Check(c.request)
		if (err == nil) != (c.weaker == nil) || err != nil && !errors.Is(err, ErrWeakened) {
			t.Errorf("%+v: got %v", c.request, err)
			continue
		}
		var all Problems
		if errors.As(err, &all); len(all) != len(c.weaker) {
			t.Errorf("%+v: got %v", c.request, err)
			continue
		}
		for i, p := range all {
			if !strings.HasPrefix(p.Error(), "runtime.yaml: "+c.weaker[i]) {
				t.Errorf("%+v: got %v, want %q", c.request, p, c.weaker[i])
			}
		}
	}
}

func TestCheckPreload(t *testing.T) {
	for _, c := range []struct {
		text        string
		user, image bool // whether it is allowed
	}{{"", true, false}, {"inject: annotation", true, false}, {"inject: any", true, true}, {"inject: launch", false, false}} {
		o, err := parseOperator("runtime.yaml", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		for image, allowed := range map[bool]bool{false: c.user, true: c.image} {
			err := o.CheckPreload("variable MONMOD_INJECT", image)
			if (err == nil) != allowed || err != nil && !errors.Is(err, ErrWeakened) {
				t.Errorf("%q, from an image %v: %v", c.text, image, err)
			}
		}
	}
}

func TestOperatorChoose(t *testing.T) {
	for _, c := range []struct{ operator, asked, want Backend }{
		{BackendAuto, BackendAuto, BackendAuto}, {BackendKmod, BackendAuto, BackendKmod}, {BackendKmod, "", BackendKmod}, {BackendAuto, BackendSUD, BackendSUD},
	} {
		if got := (&Operator{Backend: c.operator}).Choose(c.asked); got != c.want {
			t.Errorf("operator %s, asked %q: got %s, want %s", c.operator, c.asked, got, c.want)
		}
	}
}

// The ladder and the table of policies are one order.
func TestPolicyRank(t *testing.T) {
	for i, c := range floors {
		if got := Policy(c.value).Rank(); got != i {
			t.Errorf("%s has rank %d, want %d", c.value, got, i)
		}
	}
	if Policy("commit").Rank() != -1 {
		t.Error("commit exempts nothing and has no rank")
	}
}
