package units

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestLanguage(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, test := range []struct {
		name     string
		unit     Name
		in       string // after "[Service]\n"
		wantOnly Requirements
	}{
		{
			"comparisons", "web.service",
			"[X-Flotilla]\nMachineMetadata=\"disk=ssd\" \"cores>=4\" \"!retired\" \"gpu\"\nMachineMetadata=region in (us,eu, us)\nMachineMetadata=zone notin (b)\nMachineMetadata=zone != a\n" +
				"MachineMetadata=load < 2.5\nMachineMetadata=disk=nvme\n",
			Requirements{Metadata: []Requirement{
				{"cores", GreaterEqual, []string{"4"}},
				{"disk", In, []string{"nvme", "ssd"}},
				{"gpu", Exists, nil},
				{"load", Less, []string{"2.5"}},
				{"region", In, []string{"eu", "us"}},
				{"retired", NotExists, nil},
				{"zone", NotIn, []string{"a", "b"}},
			}},
		},
		{
			"a list narrows a choice", "web.service", "[X-Flotilla]\nMachineMetadata=region=eu\nMachineMetadata=region=us\nMachineMetadata=region in (eu,ap)\n",
			Requirements{Metadata: []Requirement{{"region", In, []string{"ap", "eu"}}, {"region", In, []string{"eu", "us"}}}},
		},
		{
			"each preference counts", "web.service", "[X-Flotilla]\nPrefer=disk=ssd\nPrefer=\"disk=nvme\" \"cores>8\" \"disk=ssd\"\n",
			Requirements{Prefer: []Requirement{{"cores", Greater, []string{"8"}}, {"disk", In, []string{"nvme"}}, {"disk", In, []string{"ssd"}}}},
		},
		{
			"family", "web@1.service", "[X-Flotilla]\nMaxPerHost=3\nMaxPerHost=2\nSpread=zone:hard\nSpread=rack zone:hard\nMaxUnavailable=25%\n",
			Requirements{MaxPerHost: 2, Spread: []Spread{{"zone", true}, {"rack", false}}, MaxUnavailable: Amount{25, true}},
		},
		{"global copies", "web.service", "[X-Flotilla]\nGlobal=yes\nMaxUnavailable=3\n", Requirements{Global: true, MaxUnavailable: Amount{N: 3}}},
		{"own room", "web.service", "MemoryMax=1G\nCPUQuota=50%\n[X-Flotilla]\nMemory=1.5G\nCPU=2.25\n", Requirements{Memory: 3 << 29, CPU: 2250}},
		{"room that systemd limits", "web.service", "MemoryMax=512M\nMemoryMax=1G 512M\nCPUQuota=150%\n", Requirements{Memory: 3 << 29, CPU: 1500}},
		{"part of a thousandth", "web.service", "CPUQuota=0.05%\n", Requirements{CPU: 1}},
		{"room without limit", "web.service", "MemoryMax=1G\nMemoryMax=infinity\nCPUQuota=50%\nCPUQuota=\n", Requirements{}},
		{"share of the host's memory", "web.service", "MemoryMax=50%\n[X-Flotilla]\nCPU=0.001\n", Requirements{CPU: 1}},
		{"limits of what is no service", "web.slice", "MemoryMax=1G\nCPUQuota=50%\n", Requirements{}},
		{"taken back", "web.service", "MemoryMax=1G\n[X-Flotilla]\nMemory=2G\nMemory=\nCPU=1\nCPU=\n", Requirements{Memory: 1 << 30}},
		{"handover and failure", "web.service", "[X-Flotilla]\nHandover=start-first\nReschedule=on-failure\n", Requirements{Handover: StartFirst, Reschedule: true}},
		{"the usual", "web.service", "[X-Flotilla]\nHandover=start-first\nHandover=stop-first\nReschedule=no\nDrain=stay\nDrain=move\n", Requirements{}},
		{"stays when its host is drained", "web.service", "[X-Flotilla]\nMachineID=0123abcd\nDrain=stay\n", Requirements{MachineID: "0123abcd", Drain: DrainStay}},
		{"a global one stays in any case", "web.service", "[X-Flotilla]\nGlobal=yes\nDrain=stay\n", Requirements{Global: true, Drain: DrainStay}},
		{"stopped when its host is drained", "web.service", "[X-Flotilla]\nDrain=stop\n", Requirements{Drain: DrainStop}},
		{"runtime without image", "web.service", "[X-Flotilla]\nRuntime=docker\n", Requirements{Runtime: "docker"}},
		{
			"images", "web@7.service", "[X-Flotilla]\nRuntime=docker\nImage=nginx localhost:5000/a/b_c:%i\nImage=nginx" + digest + "\nImage=nginx\n",
			Requirements{Runtime: "docker", Images: []string{"localhost:5000/a/b_c:7", "nginx", "nginx" + digest}},
		},
		{"image of podman", "web.service", "ExecStartPre=/usr/bin/docker ps\nExecStart=/usr/bin/podman run nginx\n[X-Flotilla]\nImage=nginx\n", Requirements{Runtime: "podman", Images: []string{"nginx"}}},
		{"image of docker in a shell", "web.service", "ExecStart=/bin/sh -c 'exec docker run nginx'\n[X-Flotilla]\nImage=nginx\n", Requirements{Runtime: "docker", Images: []string{"nginx"}}},
		{"docker without image", "web.service", "ExecStart=/usr/bin/docker run nginx\n", Requirements{}},
		{"replaces", "web@2.service", "[X-Flotilla]\nReplaces=%p@*.service old.service\n", Requirements{Replaces: []string{"old.service", "web@*.service"}}},
		{"fleet: replaces", "web.service", "[X-Fleet]\nReplaces=old*.service\n", Requirements{Replaces: []string{"old*.service"}}},
		{"fleet: the first machine wins", "web.service", "[X-Fleet]\nMachineID=0123abcd\nMachineID=1123abcd\n", Requirements{MachineID: "0123abcd"}},
		{
			"fleet: the newest name wins", "web.service",
			"[X-Fleet]\nX-ConditionMachineBootID=3123abcd\nX-ConditionMachineID=2123abcd\nX-ConditionMachineID=1123abcd\nMachineID=0123abcd\n",
			Requirements{MachineID: "0123abcd"},
		},
		{"fleet: the newer name wins", "web.service", "[X-Fleet]\nX-ConditionMachineBootID=3123abcd\nX-ConditionMachineID=2123abcd\n", Requirements{MachineID: "2123abcd"}},
		{"fleet: the oldest name", "web.service", "[X-Fleet]\nX-ConditionMachineBootID=3123abcd\n", Requirements{MachineID: "3123abcd"}},
		{"fleet: last boolean", "web.service", "[X-Fleet]\nGlobal=no\nGlobal=ON\n", Requirements{Global: true}},
	} {
		got, err := mustParse(t, test.unit, "[Service]\n"+test.in).Requirements()
		if err != nil {
			t.Errorf("%s: Requirements: %v", test.name, err)
		}
		if diff := cmp.Diff(test.wantOnly, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: Requirements differ (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestRequirementsWith: what drop-ins set in [Service] counts, the last in the order of the names.
func TestRequirementsWith(t *testing.T) {
	f := mustParse(t, "web@1.service", "[Service]\nExecStart=/bin/true\nMemoryMax=1G\nCPUQuota=50%\n[X-Flotilla]\nMaxPerHost=1\n")
	for _, test := range []struct {
		name string
		d    DropIns
		want Requirements
	}{
		{"none", nil, Requirements{MaxPerHost: 1, Memory: 1 << 30, CPU: 500}},
		{"more memory", drops("a.conf", "[Service]\nMemoryMax=2G\n"), Requirements{MaxPerHost: 1, Memory: 2 << 30, CPU: 500}},
		{"the last name", drops("b.conf", "[Service]\nMemoryMax=3G\n", "a.conf", "[Service]\nMemoryMax=2G\nCPUQuota=\n"), Requirements{MaxPerHost: 1, Memory: 3 << 30}},
	} {
		got, err := f.RequirementsWith(test.d)
		if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%s: RequirementsWith = %v, differs (-want +got):\n%s", test.name, err, diff)
		}
	}
	if got, _ := f.Requirements(); got.Memory != 1<<30 {
		t.Errorf("RequirementsWith changed the file: Memory = %d", got.Memory)
	}
}

// TestFenceOutlivesDropIns: our drop-in bounds how long a fenced unit stops, and none may come behind it.
func TestFenceOutlivesDropIns(t *testing.T) {
	const fenced, stop = "[Service]\nExecStart=/bin/true\n[X-Flotilla]\nFence=yes\n", "[Service]\nTimeoutStopSec=1h\n"
	for _, test := range []struct {
		in, name, want string
	}{
		{fenced, "10-stop.conf", ""},
		{fenced, "60-stop.conf", `web.service.d/60-stop.conf:2: TimeoutStopSec= behind 50-flotilla.conf cannot go with Fence=yes: it would undo the stop budget (give the file a name that comes before, such as 10-stop.conf)`},
		{strings.TrimSuffix(fenced, "Fence=yes\n"), "60-stop.conf", ""},
	} {
		got := ""
		if err := VerifyWith("web.service", []byte(test.in), drops("00.conf", "[Unit]\n", test.name, stop)); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: VerifyWith = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestRequirementOperators(t *testing.T) {
	for _, test := range []struct {
		in, shown string
		match     []string // values that match; "-" stands for a host without the label
		not       []string
	}{
		{"k=a", "k=a", []string{"a"}, []string{"b", "A", "-"}},
		{"k in (a,b)", "k=a or k=b", []string{"a", "b"}, []string{"c", "-"}},
		{"k!=a", "k!=a", []string{"b", "-"}, []string{"a"}},
		{"k notin (a, b)", "k!=a and k!=b", []string{"c", "-"}, []string{"a", "b"}},
		{"k", "k", []string{"a"}, []string{"-"}},
		{"!k", "!k", []string{"-"}, []string{"a"}},
		{"k>=4", "k>=4", []string{"4", "4.0", "10", "9007199254740993"}, []string{"3.9", "-4", "many", "4 cores", "", "1e9", "-"}},
		{"k > 9007199254740992", "k>9007199254740992", []string{"9007199254740993"}, []string{"9007199254740992", "-"}},
		{"k<=-1.5", "k<=-1.5", []string{"-1.5", "-2"}, []string{"-1", "0", "-"}},
		{"k<4", "k<4", []string{"3", "3.99", "-7"}, []string{"4", "5", "x", "-"}},
	} {
		r, _, hint := expression(test.in)
		if hint != "" || r.String() != test.shown {
			t.Errorf("expression(%q) = %q, hint %q, want %q", test.in, r.String(), hint, test.shown)
		}
		for i, v := range append(test.match, test.not...) {
			labels := map[string]string{"k": v}
			if v == "-" {
				labels = nil
			}
			if want := i < len(test.match); r.Match(labels) != want {
				t.Errorf("%s: Match(%s) = %v, want %v", test.in, v, !want, want)
			}
		}
		if r.Negative() && (r.Opposite().Negative() || r.Opposite().Match(nil)) {
			t.Errorf("%s: the opposite %v holds for a host without the label", test.in, r.Opposite())
		}
	}
}

func TestAmountOf(t *testing.T) {
	for _, test := range []struct {
		a           Amount
		whole, want int
	}{{Amount{}, 10, 1}, {Amount{N: 3}, 10, 3}, {Amount{25, true}, 10, 2}, {Amount{25, true}, 3, 1}, {Amount{100, true}, 7, 7}} {
		if got := test.a.Of(test.whole); got != test.want {
			t.Errorf("%+v.Of(%d) = %d, want %d", test.a, test.whole, got, test.want)
		}
	}
}

// FuzzExpression: what reads well is shown so that it reads the same, and what does not has a hint.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{"a=b", "a!=b", "a in (b, c)", "a notin (b)", "a", "!a", "a>=1", "a<-2.5", "in in (in)", "a==b", "=", "!", "a in ()", "ü>1", "a= b", "a\x00>1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, eq, hint := expression(text)
		if hint != "" {
			mustOneLine(t, text, &Error{Msg: hint})
			return
		}
		if !labelKey(r.Key) || eq && (r.Op != In || len(r.Values) != 1) || r.Op <= NotIn && len(r.Values) == 0 {
			t.Fatalf("expression(%q) = %+v", text, r)
		}
		for _, v := range r.Values {
			if CheckLabel(r.Key, v) != nil {
				t.Errorf("expression(%q) asks for a value that no label has: %q", text, v)
			}
			if r.Op <= NotIn && r.Match(map[string]string{r.Key: v}) != (r.Op == In) {
				t.Errorf("expression(%q) does not tell its own value %q", text, v)
			}
		}
		if r.Op <= NotIn && len(r.Values) > 1 {
			return // shown as several
		}
		back, _, hint := expression(r.String())
		if diff := cmp.Diff(r, back, cmpopts.EquateEmpty()); hint != "" || diff != "" {
			t.Errorf("expression(%q) is shown as %q, which reads otherwise (%s):\n%s", text, r.String(), hint, diff)
		}
	})
}

// FuzzDropIns: no drop-in breaks the reader, every fault has its place, and VerifyWith finds what VerifyDropIns does.
func FuzzDropIns(f *testing.F) {
	f.Add("a.conf", []byte("[Service]\nMemoryMax=1G\n"), []byte("[Service]\nExecStart=/bin/true\n"))
	f.Add("a", []byte("[X-Flotilla]\n"), []byte("[X-Flotilla]\nFence=yes\n[Service]\nExecStart=/bin/true\n"))
	f.Add("60.conf", []byte("[Service]\nTimeoutSec=1\nExecStart=a/b\rKillMode=none"), []byte("[X-Flotilla]\nFence=yes\n"))
	f.Fuzz(func(t *testing.T, name string, raw, file []byte) {
		d := DropIns{{Name: name, Raw: raw}, {Name: "zz.conf", Raw: []byte("[Unit]\n")}}
		before := bytes.Clone(raw)
		err, whole := VerifyDropIns("web@1.service", d), VerifyWith("web@1.service", file, d)
		if !bytes.Equal(before, raw) {
			t.Fatal("the drop-in changed")
		}
		if err != nil && whole == nil {
			t.Fatalf("VerifyWith accepts what VerifyDropIns refuses: %v", err)
		}
		for _, e := range [...]error{err, whole} {
			list, _ := e.(Errors)
			for _, fault := range list {
				mustOneLine(t, name+string(raw)+string(file), fault)
				if fault.Hint == "" || fault.Line > lines(raw)+lines(file) || fault.File == "" {
					t.Errorf("fault %+v: no place or no hint", fault)
				}
			}
		}
		if f, e := Parse("web@1.service", file); e == nil && err == nil {
			checkRequirementsWith(t, f, d)
		}
	})
}

func checkRequirementsWith(t *testing.T, f *File, d DropIns) {
	t.Helper()
	one, errOne := f.RequirementsWith(d)
	two, errTwo := f.RequirementsWith(d)
	if !cmp.Equal(one, two) || !cmp.Equal(errOne, errTwo) {
		t.Errorf("two results for one file with drop-ins: %+v %v, %+v %v", one, errOne, two, errTwo)
	}
}
