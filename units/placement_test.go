package units

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRequirements(t *testing.T) {
	for _, test := range []struct {
		name string
		unit Name
		in   string
		want Requirements
	}{
		{"none", "web.service", "[Service]\nExecStart=/bin/true\n", Requirements{}},
		{"empty section", "web.service", "[X-Flotilla]\n", Requirements{}},
		{
			"all that go together", "web@1.service",
			"[X-Flotilla]\nMachineOf=db.service\nMachineMetadata=region=eu\nConflicts=web@*.service old.service\nFence=yes\nGlobal=no\n",
			Requirements{
				MachineOf: []Name{"db.service"},
				Metadata:  []Requirement{{Key: "region", Values: []string{"eu"}}},
				Conflicts: []string{"old.service", "web@*.service"}, Fence: true,
			},
		},
		{
			"metadata: or within a key, and between keys", "web.service",
			"[X-Flotilla]\nMachineMetadata=region=us\nMachineMetadata=\"disk=ssd\" \"region=eu\"\nMachineMetadata=region=us\n",
			Requirements{Metadata: []Requirement{{Key: "disk", Values: []string{"ssd"}}, {Key: "region", Values: []string{"eu", "us"}}}},
		},
		{
			"metadata value with blanks", "web.service", "[X-Flotilla]\nMachineMetadata=rack=row 2\n",
			Requirements{Metadata: []Requirement{{Key: "rack", Values: []string{"row 2"}}}},
		},
		{
			"pinned with conflicts, which fleet refused", "web.service", "[X-Flotilla]\nMachineID=0123abcd\nConflicts=*.socket\n",
			Requirements{MachineID: "0123abcd", Conflicts: []string{"*.socket"}},
		},
		{
			"the same machine twice", "web.service", "[X-Fleet]\nMachineID=0123abcd\nX-ConditionMachineID=0123abcd\n",
			Requirements{MachineID: "0123abcd"},
		},
		{
			"old names", "web.service",
			"[X-Fleet]\nX-ConditionMachineOf=a.service\nX-ConditionMachineMetadata=k=v\nX-Conflicts=b.service\nMachineMetadata=k=w\n",
			Requirements{MachineOf: []Name{"a.service"}, Metadata: []Requirement{{Key: "k", Values: []string{"v", "w"}}}, Conflicts: []string{"b.service"}},
		},
		{
			"empty assignment resets", "web.service", "[X-Flotilla]\nConflicts=a.service\nConflicts=\nConflicts=b.service\nGlobal=yes\nGlobal=\n",
			Requirements{Conflicts: []string{"b.service"}},
		},
		{"last boolean wins", "web.service", "[X-Flotilla]\nGlobal=1\nGlobal=OFF\nGlobal=True\n", Requirements{Global: true}},
		{
			"section twice", "web.service", "[X-Flotilla]\nConflicts=a.service\n[Service]\n[X-Flotilla]\nConflicts=b.service\n",
			Requirements{Conflicts: []string{"a.service", "b.service"}},
		},
		{
			"specifiers", "web@3.service", "[X-Flotilla]\nMachineOf=db@%i.service\nMachineMetadata=a=%n\nMachineMetadata=b=%N\nMachineMetadata=c=%p-100%%\n",
			Requirements{
				MachineOf: []Name{"db@3.service"},
				Metadata:  []Requirement{{Key: "a", Values: []string{"web@3.service"}}, {Key: "b", Values: []string{"web@3"}}, {Key: "c", Values: []string{"web-100%"}}},
			},
		},
		{"%p of a plain name", "web.service", "[X-Flotilla]\nConflicts=%p-*.service\n", Requirements{Conflicts: []string{"web-*.service"}}},
		{
			"template", "web@.service", "[X-Flotilla]\nMachineOf=db@%i.service\n",
			Requirements{MachineOf: []Name{"db@" + templateInstance + ".service"}},
		},
		{
			"fence with podman in its own cgroup", "web.service",
			"[Service]\nExecStartPre=/usr/bin/podman pull x\nExecStart=/usr/bin/podman run --cgroups split x\nExecStopPost=-/usr/bin/podman rm -f x\n[X-Flotilla]\nFence=yes\n",
			Requirements{Fence: true},
		},
		{
			"fence with a path that ends in docker", "web.service",
			"[Service]\nExecStart=/usr/bin/tar -C /var/lib/docker\nExecStart=\nExecStart=/bin/sh -c 'ls /var/lib/docker'\n[X-Flotilla]\nFence=yes\n",
			Requirements{Fence: true},
		},
	} {
		got, err := mustParse(t, test.unit, test.in).Requirements()
		if err != nil {
			t.Errorf("%s: Requirements: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: Requirements differ (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestSameRequirements: two files ask for the same however they spell it.
func TestSameRequirements(t *testing.T) {
	base := "[X-Flotilla]\nMachineMetadata=a=1\nMachineMetadata=b=2\nMachineMetadata=a=3\nConflicts=x.service y.service\n"
	for _, test := range []struct {
		name, in string
		same     bool
	}{
		{"other order", "[X-Flotilla]\nConflicts=y.service\nConflicts=x.service\nMachineMetadata=\"b=2\" \"a=3\" \"a=1\"\n", true},
		{"old section", "[X-Fleet]\nX-Conflicts=y.service x.service x.service\nX-ConditionMachineMetadata=\"b=2\" \"a=3\" \"a=1\"\n", true},
		{"other values", "[X-Flotilla]\nMachineMetadata=\"a=1\" \"b=2\" \"a=4\"\nConflicts=x.service y.service\n", false},
		{"fenced", base + "Fence=yes\n", false},
		{"global", base + "Global=yes\n", false},
		{"pinned", base + "MachineID=0123abcd\n", false},
		{"with a peer", base + "MachineOf=z.service\n", false},
		{"none", "", false},
	} {
		want := mustRequire(t, base)
		if got := mustRequire(t, test.in); cmp.Equal(got, want) != test.same {
			t.Errorf("%s: Requirements = %+v, base %+v, want same: %v", test.name, got, want, test.same)
		}
	}
}

func mustRequire(t *testing.T, in string) Requirements {
	t.Helper()
	r, err := mustParse(t, "web.service", in).Requirements()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRequirementsMatch(t *testing.T) {
	r := Requirements{
		MachineID: "0123abcd", Conflicts: []string{"web@*.service"},
		Metadata: []Requirement{{Key: "disk", Values: []string{"ssd"}}, {Key: "region", Values: []string{"eu", "us"}}},
	}
	if !r.MatchMachine("0123abcd00000000") || r.MatchMachine("1123abcd00000000") || !(Requirements{}).MatchMachine("x") {
		t.Error("MatchMachine: want the host with the short id, and any host without MachineID")
	}
	if (Requirements{MachineID: "0123"}).MatchMachine("0123abcd00000000") {
		t.Error("MatchMachine: a prefix of another length matches")
	}
	if !NamesMachine("0123abcd", "0123abcd00000000") || NamesMachine("0123abcd0", "0123abcd00000000") || NamesMachine("", "0123abcd") {
		t.Error("NamesMachine: want the whole id or its first eight digits, and nothing else")
	}
	if !r.MatchMetadata(map[string]string{"disk": "ssd", "region": "us"}) || r.MatchMetadata(map[string]string{"disk": "ssd"}) {
		t.Error("MatchMetadata: want every key satisfied by one of its values")
	}
	if got := r.Metadata[1].String(); got != "region=eu or region=us" {
		t.Errorf("String() = %q", got)
	}
	if !r.ConflictsWith("web@1.service", "web@2.service") || r.ConflictsWith("web@1.service", "web@1.service") || r.ConflictsWith("a.service", "b.service") {
		t.Error("ConflictsWith: want other matching units only")
	}
}
