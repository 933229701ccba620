package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
)

// The kinds of simulated units stand in their names.
const (
	plain  = "plain"  // runs on
	fenced = "fence"  // runs on, on one host at most; odd ones ignore SIGTERM
	apart  = "apart"  // conflicts with its like
	follow = "follow" // runs where plain-N does
	zoned  = "zone"   // runs in zone a
	global = "global" // runs everywhere
	exits  = "exit"   // ends by itself
	fails  = "fail"   // fails at once
	deaf   = "deaf"   // ignores SIGTERM for four seconds

	tied = "tied" // runs on and stays on a host that is drained; a family
	few  = "few"  // a family of which one at a time may be down

	swift = "swift" // runs on, and on its next host before it leaves one
	picky = "picky" // as swift, but fails on h1, and is tried elsewhere; of scripts only
)

// ends says whether units of this name end by themselves.
func ends(u cluster.Unit) bool {
	return strings.HasPrefix(string(u), exits) || strings.HasPrefix(string(u), fails) || strings.HasPrefix(string(u), picky)
}

// behave is how the processes of simulated units behave on a host.
func behave(host, name string) (fake.Behaviour, bool) {
	kind, rest, _ := strings.Cut(name, "-")
	odd := len(rest) > 0 && (rest[0]-'0')%2 == 1
	switch kind {
	case fenced:
		return fake.Behaviour{IgnoreTerm: odd}, true
	case deaf:
		return fake.Behaviour{IgnoreTerm: true}, true
	case exits:
		return fake.Behaviour{Exits: true, Run: 20 * time.Second}, true
	case fails:
		return fake.Behaviour{Exits: true, Status: 1}, true
	case picky:
		return fake.Behaviour{Exits: true, Status: 1}, host == "h1"
	}
	return fake.Behaviour{}, false
}

// broken is the version of a unit's content that does not come up.
const broken = 0

// content is the unit file of a unit, in one of its versions.
func content(u cluster.Unit, version int) []byte {
	kind, n, _ := strings.Cut(strings.TrimSuffix(string(u), ".service"), "-")
	var b strings.Builder
	fmt.Fprintf(&b, "[Service]\nExecStart=/bin/app --version %d\n", version)
	if version == broken {
		b.Reset()
		b.WriteString("[Service]\nExecStart=/bin/false\n")
	}
	if kind != exits && kind != fails && kind != picky {
		b.WriteString("Restart=always\nRestartSec=1\n")
	}
	if kind == deaf {
		b.WriteString("TimeoutStopSec=4\n")
	}
	b.WriteString("[X-Flotilla]\n")
	switch kind {
	case fenced:
		b.WriteString("Fence=yes\n")
	case apart:
		b.WriteString("Conflicts=" + apart + "-*.service\n")
	case follow:
		b.WriteString("MachineOf=" + plain + "-" + n + ".service\n")
	case zoned:
		b.WriteString("MachineMetadata=zone=a\n")
		fmt.Fprintf(&b, "Runtime=podman\nImage=app:%d\n", version)
	case global:
		b.WriteString("Global=true\n")
	case tied:
		b.WriteString("Drain=stay\nMaxUnavailable=50%\n")
	case few:
		b.WriteString("MaxUnavailable=1\n")
	case swift:
		b.WriteString("Handover=start-first\n")
	case picky:
		b.WriteString("Handover=start-first\nReschedule=on-failure\n")
	}
	return []byte(b.String())
}

// populate draws the names of n units.
func populate(rng *rand.Rand, n int) []cluster.Unit {
	shares := []struct {
		kind string
		part int
	}{{plain, 8}, {fenced, 4}, {apart, 2}, {follow, 2}, {zoned, 2}, {global, 1}, {exits, 1}, {fails, 1}, {deaf, 2}}
	total := 0
	for _, s := range shares {
		total += s.part
	}
	count := map[string]int{}
	var out []cluster.Unit
	for range n {
		at := rng.IntN(total)
		for _, s := range shares {
			if at -= s.part; at < 0 {
				count[s.kind]++
				out = append(out, cluster.Unit(fmt.Sprintf("%s-%d.service", s.kind, count[s.kind])))
				break
			}
		}
	}
	return out
}

// families draws the instances of three templates.
func families(rng *rand.Rand) []cluster.Unit {
	var out []cluster.Unit
	for _, kind := range []string{few, swift, tied} {
		for n := range 2 + rng.IntN(3) {
			out = append(out, cluster.Unit(fmt.Sprintf("%s-web@%d.service", kind, n+1)))
		}
	}
	return out
}
