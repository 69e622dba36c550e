package runtime

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

const plainSpec = `{"process":{"args":["a"],"cwd":"/"},"root":{"path":"r"},"linux":{"namespaces":[{"type":"mount"}]},
"mounts":[{"destination":"/dev","type":"tmpfs","source":"tmpfs"}]}`

func TestCheckSpec(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{name: "plain"},
		{"user namespace", `{"type":"mount"}`, `{"type":"mount"},{"type":"user"}`, "has a user namespace"},
		{"mappings", `"linux":{`, `"linux":{"uidMappings":[{"containerID":0,"hostID":1000,"size":1}],`, "maps user IDs"},
		{"no mount namespace", `{"type":"mount"}`, `{"type":"pid"}`, "no mount namespace of its own"},
		{"another's mount namespace", `{"type":"mount"}`, `{"type":"mount","path":"/proc/1/ns/mnt"}`, "no mount namespace of its own"},
		{"no program", `["a"]`, `[]`, "no process.args"},
		{"no Linux", `"linux":`, `"x":`, "no linux section"},
		{"virtual machine", `"root":`, `"vm":{"kernel":{"path":"/k"}},"root":`, "another platform"},
		{"host's /dev", `"type":"tmpfs","source":"tmpfs"`, `"type":"bind","source":"/dev","options":["rbind"]`, "not its own (bind from /dev)"},
		{"no /dev", `"/dev"`, `"/tmp"`, "no /dev of its own"},
		{"later /dev", `"source":"tmpfs"}`, `"source":"tmpfs"},{"destination":"/dev/../dev","type":"bind","source":"/dev"}`, "not its own"},
		{"over the root", `"source":"tmpfs"}`, `"source":"tmpfs"},{"destination":"/","type":"tmpfs"}`, "over its root"},
		{"the monitor's place", `"source":"tmpfs"}`, `"source":"tmpfs"},{"destination":"/dev/monmod/sock","type":"bind","source":"/x"}`, "in the monitor's place"},
		{"capitals", `"process"`, `"Process"`, `differs from "process"`},
		{"capitals inside", `"args"`, `"Args"`, `differs from "args"`},
		{"seccomp", `"linux":{`, `"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO"},`, "denies the system call prctl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := parseBundle([]byte(strings.Replace(plainSpec, c.old, c.new, 1)))
			if err != nil {
				t.Fatal(err)
			}
			err = checkSpec(b)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// allowAll is a profile that allows what the monitor needs, as engines' own do.
func allowAll(but string) string {
	names := []string{}
	for _, c := range neededCalls {
		if c.name != but {
			names = append(names, `"`+c.name+`"`)
		}
	}
	return `{"names":[` + strings.Join(names, ",") + `],"action":"SCMP_ACT_ALLOW"}`
}

func TestSeccomp(t *testing.T) {
	for _, c := range []struct{ name, profile, want string }{
		{"none", `null`, ""},
		{"allows all", `{"defaultAction":"SCMP_ACT_ALLOW"}`, ""},
		{"logs all", `{"defaultAction":"SCMP_ACT_LOG"}`, ""},
		{"allows what is needed", `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[` + allowAll("") + `]}`, ""},
		{"lacks one", `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[` + allowAll("sigaltstack") + `]}`, "denies the system call sigaltstack"},
		{"kills one", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["memfd_create"],"action":"SCMP_ACT_KILL"}]}`, "denies the system call memfd_create"},
		{"asks an agent", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mmap"],"action":"SCMP_ACT_NOTIFY"}]}`, "hands to an agent the system call mmap"},
		{"traces", `{"defaultAction":"SCMP_ACT_TRACE"}`, "hands to a tracer the system call prctl"},
		{"sockets but for AF_VSOCK", `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[` + allowAll("socket") + `,
			{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":40,"op":"SCMP_CMP_NE"}]}]}`, ""},
		{"inet sockets alone", `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[` + allowAll("socket") + `,
			{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]}]}`, "system call socket(AF_UNIX)"},
		{"unix or inet sockets", `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[` + allowAll("socket") + `,
			{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2,"op":"SCMP_CMP_EQ"},{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}]}`, ""},
		{"no dispatch", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["prctl"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":59,"op":"SCMP_CMP_EQ"}]}]}`, "prctl(PR_SET_SYSCALL_USER_DISPATCH)"},
		{"another prctl", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["prctl"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":22,"op":"SCMP_CMP_EQ"}]}]}`, ""},
		{"executable memory", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mprotect"],"action":"SCMP_ACT_ERRNO","args":[{"index":2,"value":4,"valueTwo":4,"op":"SCMP_CMP_MASKED_EQ"}]}]}`, "system call mprotect"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var profile *specs.LinuxSeccomp
			if err := json.Unmarshal([]byte(c.profile), &profile); err != nil {
				t.Fatal(err)
			}
			err := checkSeccomp(profile)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestSeccompWithModule: what only the kernel module's back end needs is asked of a profile only for it.
func TestSeccompWithModule(t *testing.T) {
	for _, c := range []struct{ but, want string }{
		{"", ""}, {"ioctl", "system call ioctl(MM_KMOD_IOC_ARM)"}, {"pkey_mprotect", "system call pkey_mprotect"},
	} {
		profile := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
		if c.but != "" {
			profile.Syscalls = []specs.LinuxSyscall{{Names: []string{c.but}, Action: specs.ActErrno}}
		}
		if err := checkSeccomp(profile); err != nil {
			t.Errorf("without the module, no %q: %v", c.but, err)
		}
		err := checkCalls(profile, moduleCalls)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("with the module, no %q: got %v, want %q", c.but, err, c.want)
		}
	}
}

func TestSandbox(t *testing.T) {
	for _, c := range []struct {
		annotations map[string]string
		want        bool
	}{
		{map[string]string{"io.kubernetes.cri.container-type": "sandbox"}, true},
		{map[string]string{"io.kubernetes.cri-o.ContainerType": "sandbox"}, true},
		{map[string]string{"io.kubernetes.cri.container-type": "container"}, false},
		{map[string]string{"io.kubernetes.cri.container-type": "sandbox", "io.container.manager": "libpod"}, false},
		{nil, false},
	} {
		if got := isSandbox(c.annotations); got != c.want {
			t.Errorf("%v: %v", c.annotations, got)
		}
	}
}

func TestFollowerRefused(t *testing.T) {
	b, err := parseBundle([]byte(strings.Replace(plainSpec, `"source":"tmpfs"}`, `"source":"tmpfs"},{"destination":"/v","type":"ext4","source":"/dev/vdb"}`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := derive(b, &injection{way: "launch"}, ".2"); err == nil || !strings.Contains(err.Error(), "mounts /dev/vdb (ext4) at /v itself") {
		t.Errorf("got %v", err)
	}
}

// TestRequire: a host that requires monitoring has no containers that forgot to
// ask, but pods have their sandbox.
func TestRequire(t *testing.T) {
	for _, c := range []struct {
		name, operator, annotations string
		flag, refused               bool
	}{
		{name: "nobody requires"},
		{name: "the operator requires", operator: "require: true", refused: true},
		{name: "the engine's arguments require", flag: true, refused: true},
		{name: "sandbox", operator: "require: true", annotations: `"io.kubernetes.cri.container-type":"sandbox"`},
		{name: "an image that poses as a sandbox", operator: "require: true",
			annotations: `"io.kubernetes.cri.container-type":"sandbox","io.container.manager":"libpod"`, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := parseBundle([]byte(strings.Replace(plainSpec, `{`, `{"annotations":{`+c.annotations+`},`, 1)))
			if err != nil {
				t.Fatal(err)
			}
			w := &wrapper{operator: operatorOf(t, c.operator), require: c.flag}
			r, err := w.asks(b)
			if r != nil || c.refused != (err != nil) || err != nil && !strings.Contains(err.Error(), "this host requires it") {
				t.Errorf("asks for %v, %v", r, err)
			}
		})
	}
}
