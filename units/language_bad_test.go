package units

import (
	"fmt"
	"strings"
	"testing"
)

// badOption is what stands in [X-Flotilla] of web@.service, from line 4 on, with the one line that answers it.
type badOption struct{ in, want string }

func badExpressions() []badOption {
	return []badOption{
		{"MachineMetadata=disk==ssd", `MachineMetadata=disk==ssd is malformed (write one =)`},
		{"MachineMetadata=disk=~ss.*", `MachineMetadata=disk=~ss.* is malformed (no patterns here; write key in (a,b). A value that begins with ~ stands in double quotes)`},
		{"MachineMetadata=cores=>4", `MachineMetadata=cores=>4 is malformed (write >= or <=. A value that begins with > or < stands in double quotes)`},
		{"MachineMetadata=cores=<4", `MachineMetadata=cores=<4 is malformed (write >= or <=. A value that begins with > or < stands in double quotes)`},
		{"MachineMetadata=cores>=four", `MachineMetadata=cores>=four is malformed (write a plain number behind >=, such as 4 or 2.5)`},
		{"MachineMetadata=memory>16G", `MachineMetadata=memory>16G is malformed (write a plain number behind >, such as 4 or 2.5)`},
		{"MachineMetadata=kernel<6.1.0", `MachineMetadata=kernel<6.1.0 is malformed (write a plain number behind <, such as 4 or 2.5)`},
		{"MachineMetadata=cores<=", `MachineMetadata=cores<= is malformed (write a plain number behind <=, such as 4 or 2.5)`},
		{"MachineMetadata=cores>=1e3", `MachineMetadata=cores>=1e3 is malformed (write a plain number behind >=, such as 4 or 2.5)`},
		{"MachineMetadata=cores>=4 # big", `MachineMetadata="cores>=4 # big" is malformed (put the comment on a line of its own, or the value in double quotes)`},
		{"MachineMetadata=region in eu,us", `MachineMetadata="region in eu,us" is malformed (write key in (a,b))`},
		{"MachineMetadata=region in (eu us)", `MachineMetadata="region in (eu us)" is malformed (put a comma between two values; one with blanks or parentheses goes with key=value)`},
		{"MachineMetadata=region in ()", `MachineMetadata="region in ()" is malformed (write at least one value between the parentheses, and one between two commas)`},
		{"MachineMetadata=region in (eu,,us)", `MachineMetadata="region in (eu,,us)" is malformed (write at least one value between the parentheses, and one between two commas)`},
		{"MachineMetadata=region in (eu", `MachineMetadata="region in (eu" is malformed (write key in (a,b))`},
		{"MachineMetadata=region notin eu", `MachineMetadata="region notin eu" is malformed (write key notin (a,b))`},
		{"MachineMetadata=region not in (eu)", `MachineMetadata="region not in (eu)" is malformed (write notin in one word)`},
		{"MachineMetadata=region IN (eu)", `MachineMetadata="region IN (eu)" is malformed (write in and notin in small letters)`},
		{"MachineMetadata=region in (a=b)", `MachineMetadata="region in (a=b)" is malformed (a value holds no =; several stand as "a!=1" "b!=2")`},
		{"MachineMetadata=region!=", `MachineMetadata=region!= is malformed (write a value behind !=, or !key for hosts without the label)`},
		{"MachineMetadata=!region=eu", `MachineMetadata=!region=eu is malformed (write !key for hosts without the label, key!=value for another value)`},
		{"MachineMetadata=! region", `MachineMetadata="! region" is malformed (write !key for hosts without the label, key!=value for another value)`},
		{"MachineMetadata=region eu", `MachineMetadata="region eu" is malformed (write key=value, key!=value, key>=4, key in (a,b), key notin (a,b), key or !key)`},
		{"MachineMetadata=zone-", `MachineMetadata=zone- is malformed (the key of a label does not end in -)`},
		{"MachineMetadata=a!=b c!=d", `MachineMetadata="a!=b c!=d" is malformed (a value holds no =; several stand as "a!=1" "b!=2")`},
		{"MachineMetadata=" + strings.Repeat("k", 129), `MachineMetadata=` + strings.Repeat("k", 64) + `... is malformed (the key of a label has 128 bytes at most)`},
		{"Prefer=disk=", `Prefer=disk= is malformed (write a value behind it, or the key alone for any value)`},
		{"Prefer=disk='ssd'", `Prefer=disk='ssd' is malformed (write key=value or "key=value"; single quotes would be part of it)`},
		{"Prefer=cores>many", `Prefer=cores>many is malformed (write a plain number behind >, such as 4 or 2.5)`},
		{"Prefer=", ""},
	}
}

func badAmounts() []badOption {
	return []badOption{
		{"MaxPerHost=0", `MaxPerHost=0 is not between 1 and 100000 (write 1 or more, or remove the option)`},
		{"MaxPerHost=-1", `MaxPerHost=-1 is not a number (write a number such as 2)`},
		{"MaxPerHost=two", `MaxPerHost=two is not a number (write a number such as 2)`},
		{"MaxPerHost=1000000", `MaxPerHost=1000000 is not between 1 and 100000 (write 1 or more, or remove the option)`},
		{"Memory=50%", `Memory=50% is a share of a memory, not a size (hosts differ: write a size such as 512M)`},
		{"Memory=0", `Memory=0 reserves nothing (remove it to reserve nothing)`},
		{"Memory=infinity", `Memory=infinity fits on no host (remove it to reserve nothing)`},
		{"Memory=512mb", `Memory=512mb is not a size (did you mean 512M?)`},
		{"Memory=2GiB", `Memory=2GiB is not a size (did you mean 2G?)`},
		{"Memory=512", `Memory=512 is 512 bytes, too little for any process (did you mean 512M?)`},
		{"Memory=much", `Memory=much is not a size (write a size such as 512M or 1.5G; K, M, G and T are powers of 1024)`},
		{"Memory=-1G", `Memory=-1G is not a size (write a size such as 512M or 1.5G; K, M, G and T are powers of 1024)`},
		{"Memory=1M 1G", `Memory="1M 1G" is not a size (write a size such as 512M or 1.5G; K, M, G and T are powers of 1024)`},
		{"Memory=16E", `Memory=16E is not a size (write a size such as 512M or 1.5G; K, M, G and T are powers of 1024)`},
		{"CPU=0", `CPU=0 reserves nothing (remove it to reserve nothing)`},
		{"CPU=50%", `CPU=50% is not a number of cores (did you mean 0.5?)`},
		{"CPU=500m", `CPU=500m is not a number of cores (did you mean 0.5?)`},
		{"CPU=half", `CPU=half is not a number of cores (write cores such as 0.5 or 2, with three digits behind the point at most)`},
		{"CPU=0.0001", `CPU=0.0001 is not a number of cores (write cores such as 0.5 or 2, with three digits behind the point at most)`},
		{"CPU=-1", `CPU=-1 is not a number of cores (write cores such as 0.5 or 2, with three digits behind the point at most)`},
		{"MaxUnavailable=0", `MaxUnavailable=0 would let nothing be updated (write 1 or more)`},
		{"MaxUnavailable=0%", `MaxUnavailable=0% would let nothing be updated (write 1 or more)`},
		{"MaxUnavailable=150%", `MaxUnavailable=150% is more than all (write a number such as 2, or a share such as 25%)`},
		{"MaxUnavailable=some", `MaxUnavailable=some is not a number (write a number such as 2, or a share such as 25%)`},
		{"MaxUnavailable=25%%", `MaxUnavailable=25%% is not a number (write a number such as 2, or a share such as 25%)`},
		{"MaxPerHost=%i", `MaxPerHost=%i is not a number (write a number such as 2)`},
		{"Spread=zone:soft", `Spread=zone:soft is malformed (write Spread=zone:hard, or without :hard where a host may be taken all the same)`},
		{"Spread=zone:Hard", `Spread=zone:Hard is malformed (write Spread=zone:hard, or without :hard where a host may be taken all the same)`},
		{"Spread=zone=eu", `Spread=zone=eu is malformed (write the key of a label, as in Spread=zone or Spread=zone:hard)`},
		{"Spread=:hard", `Spread=:hard is malformed (write the key of a label, as in Spread=zone or Spread=zone:hard)`},
		{"Spread=zone zone:hard", `Spread= names zone twice, with and without :hard (keep one of them)`},
		{"Spread=a b c d e f g h i", `Spread= names 9 labels, 8 is the most (keep those that matter)`},
	}
}

func badChoices() []badOption {
	return []badOption{
		{"Handover=startfirst", `Handover=startfirst is not known (did you mean start-first?)`},
		{"Handover=none", `Handover=none is not known (write stop-first or start-first)`},
		{"Reschedule=yes", `Reschedule=yes is not known (write no or on-failure)`},
		{"Reschedule=onfailure", `Reschedule=onfailure is not known (did you mean on-failure?)`},
		{"Drain=no", `Drain=no is not known (write move, stay or stop)`},
		{"Drain=stays", `Drain=stays is not known (did you mean stay?)`},
		{"Drain=Stop", `Drain=Stop is not known (did you mean stop?)`},
		{"Drain=move stay", `Drain="move stay" is not known (did you mean move?)`},
		{"Drains=stay", `unknown option Drains in [X-Flotilla] (did you mean Drain=?)`},
		{"[Service]\nDrain=stay", `Drain= in [Service] does nothing (write it in [X-Flotilla])`},
		{"Runtime=Docker", `Runtime=Docker is not known (did you mean docker?)`},
		{"Runtime=containerd", `Runtime=containerd is not known (write docker or podman)`},
		{"Runtime=podman\nImage=Nginx", `Image=Nginx is no image reference (the name of an image has small letters only)`},
		{"Runtime=podman\nImage=docker://nginx", `Image=docker://nginx is no image reference (write it without docker://, as in docker.io/library/nginx:1.27)`},
		{"Runtime=podman\nImage=nginx:", `Image=nginx: is no image reference (write a tag behind the :, or remove it)`},
		{"Runtime=podman\nImage=nginx@sha256:12", `Image=nginx@sha256:12 is no image reference (a digest stands as @sha256: and 64 hexadecimal digits)`},
		{"Runtime=podman\nImage=nginx,redis", `Image=nginx,redis is no image reference (put a blank between two references, and no quotes inside)`},
		{"Runtime=podman\nImage=--privileged", `Image=--privileged is no image reference (write it as in docker.io/library/nginx:1.27)`},
		{"Runtime=podman\nImage=$(id)", `Image=$(id) is no image reference (write it as in docker.io/library/nginx:1.27)`},
		{"Image=nginx", `Image= does not say who pulls it: ExecStart= runs neither docker nor podman (add Runtime=docker or Runtime=podman)`},
		{"Replaces=old", `Replaces=old: unit name has no type (did you mean old.service?)`},
		{"Replaces=old@.service", `Replaces=old@.service: this is a template, which runs nowhere (write old@*.service for its instances)`},
		{"Replaces=%n", `Replaces= names the unit itself (name the units that should leave its host)`},
		{"Replace=old.service", `unknown option Replace in [X-Flotilla] (did you mean Replaces=?)`},
		{"Memroy=1G", `unknown option Memroy in [X-Flotilla] (did you mean Memory=?)`},
		{"MaxPerhost=1", `unknown option MaxPerhost in [X-Flotilla] (did you mean MaxPerHost=?)`},
		{"Images=nginx", `unknown option Images in [X-Flotilla] (did you mean Image=?)`},
		{"[Service]\nMemory=1G", `Memory= in [Service] does nothing (write it in [X-Flotilla])`},
		{"[Service]\nMemoryMax=1GB", `MemoryMax=1GB is not a size, and systemd would pass over it (did you mean 1G?)`},
		{"[Service]\nMemoryMax=0", `MemoryMax=0 is not a size, and systemd would pass over it (write a size such as 512M or 1.5G; K, M, G and T are powers of 1024)`},
		{"[Service]\nMemoryMax=110%", `MemoryMax=110% is no share of a memory, and systemd would pass over it (write a share above 0% and up to 100%, or a size such as 512M)`},
		{"[Service]\nMemoryMax=%i", `MemoryMax=%i is not a size, and systemd would pass over it (write a size such as 512M or 1.5G; K, M, G and T are powers of 1024)`},
		{"[Service]\nCPUQuota=2", `CPUQuota=2 is not a share, and systemd would pass over it (write a share of one core such as 50%, or 200% for two cores)`},
	}
}

func badCombinations() []badOption {
	const id = "MachineID=0123abcd\n"
	return []badOption{
		{id + "Prefer=disk=ssd", `Prefer= cannot go with MachineID= (the machine is already chosen; remove one of them)`},
		{id + "Replaces=a.service", `Replaces= cannot go with MachineID= (the machine is already chosen; remove one of them)`},
		{id + "Reschedule=on-failure", `Reschedule=on-failure cannot go with MachineID= (the machine is already chosen; remove one of them)`},
		{"MachineOf=a.service\nReschedule=on-failure", `Reschedule=on-failure cannot go with MachineOf= (the unit is bound to the host of the other; remove one of them)`},
		{"Global=yes\nReplaces=a.service", `Replaces= cannot go with Global=yes (a global unit runs on every host that fits; remove one of them)`},
		{"Global=yes\nMaxPerHost=2", `MaxPerHost= cannot go with Global=yes (a global unit runs on every host that fits; remove one of them)`},
		{"Global=yes\nSpread=zone", `Spread= cannot go with Global=yes (a global unit runs on every host that fits; remove one of them)`},
		{"Global=yes\nPrefer=disk", `Prefer= cannot go with Global=yes (a global unit runs on every host that fits; remove one of them)`},
		{"Global=yes\nHandover=start-first", `Handover= cannot go with Global=yes (a copy of a global unit does not move; remove one of them)`},
		{"Global=yes\nReschedule=on-failure", `Reschedule=on-failure cannot go with Global=yes (a copy of a global unit does not move; remove one of them)`},
		{"Global=yes\nDrain=move", `Drain=move cannot go with Global=yes (a copy of a global unit does not move; remove one of them)`},
		{id + "Drain=move", `Drain=move cannot go with MachineID= (the machine is already chosen; remove one of them)`},
		{id + "Drain=stop", `Drain=stop cannot go with MachineID= (the machine is already chosen; remove one of them)`},
		{"Fence=yes\nHandover=start-first", `Handover=start-first cannot go with Fence=yes (a fenced unit runs at most once in the cluster; remove one of them)`},
		{"Fence=yes\nReplaces=a.service", `Replaces= cannot go with Fence=yes (a fenced unit may have to wait, and what it pushed off would be gone; remove one of them)`},
		{"Fence=yes\nRuntime=docker", `Runtime=docker cannot go with Fence=yes (use Podman with --cgroups=split: Docker's processes live outside the unit's cgroup)`},
		{"Conflicts=a.service\nReplaces=b.service", `Replaces= cannot go with Conflicts= (one gives way where the other pushes; MaxPerHost=1 keeps the instances of a template apart)`},
		{"Replaces=a*.service\nMachineOf=a1.service", `MachineOf=a1.service matches Replaces=a*.service (the unit could run nowhere; change one of them)`},
	}
}

// badPlain are faults of a unit that is neither a template nor an instance, of which some would be none in a template.
func badPlain() []badOption {
	const choice = ` (remove one of them, or write the values of a choice in one key in (a,b))`
	return []badOption{
		{"MaxPerHost=2", `MaxPerHost= is for the instances of a template, and web.service is none (name the file web@.service and start instances of it)`},
		{"Spread=zone", `Spread= is for the instances of a template, and web.service is none (name the file web@.service and start instances of it)`},
		{"MaxUnavailable=2", `MaxUnavailable= is for global units and the instances of a template, and web.service is neither (name the file web@.service and start instances of it)`},
		{"MachineMetadata=region in (eu,us)\nMachineMetadata=region=ap", `MachineMetadata= asks for "region=eu or region=us" and for region=ap, which no host has` + choice},
		{"MachineMetadata=region in (eu)\nMachineMetadata=region in (us)", `MachineMetadata= asks for region=eu and for region=us, which no host has` + choice},
		{"MachineMetadata=disk=ssd\nMachineMetadata=disk!=ssd", `MachineMetadata= asks for disk=ssd and for disk!=ssd, which no host has` + choice},
		{"MachineMetadata=cores=2\nMachineMetadata=cores>=4", `MachineMetadata= asks for cores=2 and for cores>=4, which no host has` + choice},
		{"MachineMetadata=cores>8\nMachineMetadata=cores<2", `MachineMetadata= asks for cores>8 and for cores<2, which no host has` + choice},
		{"MachineMetadata=cores<4.0\nMachineMetadata=cores>=4", `MachineMetadata= asks for cores>=4 and for cores<4.0, which no host has` + choice},
		{"MachineMetadata=cores<=4\nMachineMetadata=cores>=4", ""},
		{"MachineMetadata=cores>4\nMachineMetadata=cores<5", ""},
		{"MachineMetadata=!gpu\nMachineMetadata=gpu", `MachineMetadata= asks for !gpu and for gpu, which no host has` + choice},
		{"MachineMetadata=!gpu\nMachineMetadata=gpu=a100", `MachineMetadata= asks for gpu=a100 and for !gpu, which no host has` + choice},
	}
}

// badFleet are faults of [X-Fleet], which has fleet's options only.
func badFleet() []badOption {
	return []badOption{
		{"Fence=yes", `Fence= is not an option of [X-Fleet] (rename the section to [X-Flotilla])`},
		{"Memory=1G", `Memory= is not an option of [X-Fleet] (rename the section to [X-Flotilla])`},
		{"Spread=zone", `Spread= is not an option of [X-Fleet] (rename the section to [X-Flotilla])`},
		{"Zone=eu", `unknown option Zone in [X-Fleet] (options of this section: MachineID, MachineOf, MachineMetadata, Conflicts, Replaces, Global)`},
		{"MachineMetadata=cores>=4", `MachineMetadata=cores>=4 is malformed (write key=value; comparisons are for the section [X-Flotilla])`},
		{"MachineMetadata=gpu", `MachineMetadata=gpu is malformed (write key=value; comparisons are for the section [X-Flotilla])`},
		{"X-ConditionMachineMetadata=a!=b", `MachineMetadata=a!=b is malformed (write key=value; comparisons are for the section [X-Flotilla])`},
		{"X-ConditionMachineBootID=4bd5a2a0-ab4e-4e17-92d7-1e2f3a4b5c6d", `X-ConditionMachineBootID=4bd5a2a0-ab4e-4e17-92d7-1e2f3a4b5c6d is not a machine id (write the 32 hexadecimal digits of /etc/machine-id, or the first 8)`},
		{"Global=y", `Global=y was no for fleet (write yes or no)`},
		{"Global=enabled", `Global=enabled is not a boolean (write yes or no)`},
		{"Conflicts=a.service\nReplaces=b.service", `Replaces= cannot go with Conflicts= (one gives way where the other pushes; MaxPerHost=1 keeps the instances of a template apart)`},
	}
}

func TestBadOptions(t *testing.T) {
	for _, table := range []struct {
		unit    Name
		section string
		list    []badOption
	}{
		{"web@.service", Section, badExpressions()},
		{"web@.service", Section, badAmounts()},
		{"web@.service", Section, badChoices()},
		{"web@.service", Section, badCombinations()},
		{"web@1.service", Section, badCombinations()},
		{"web.service", Section, badPlain()},
		{"web.service", OldSection, badFleet()},
	} {
		for _, test := range table.list {
			want := ""
			if test.want != "" {
				want = fmt.Sprintf("%s:%d: %s", table.unit, 4+strings.Count(test.in, "\n"), test.want)
			}
			got := ""
			if err := Verify(table.unit, []byte("[Service]\nExecStart=/bin/true\n["+table.section+"]\n"+test.in+"\n")); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%q differs\n got %s\nwant %s", test.in, got, want)
			}
		}
	}
}
