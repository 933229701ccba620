package plan_test

import (
	"fmt"
	"testing"
	"time"

	"flotilla/leader/plan"
)

func hostName(i int) string { return fmt.Sprintf("h%04d", i) }

func benchWorld(b *testing.B, hosts, units int) *world {
	w := newWorld(b)
	for i := range hosts {
		w.addHost(hostName(i), fmt.Sprintf("zone=%d", i%3))
	}
	for i := range units {
		w.unit(fmt.Sprintf("u%05d.service", i), "launched")
	}
	return w
}

// settled is a cluster in which nothing is left to decide.
func settled(b *testing.B, hosts, units int) *world {
	w := benchWorld(b, hosts, units)
	for len(w.step().Decisions) > 0 {
		w.obeyAll()
	}
	return w
}

// benchPlan plans the same again and again; placements/s counts the decisions of a plan that makes many.
func benchPlan(b *testing.B, w *world, want int) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if got := len(plan.Plan(w.snap, w.opt, w.now).Decisions); got != want {
			b.Fatalf("Plan() made %d decisions, want %d", got, want)
		}
	}
	if want > 1 {
		b.ReportMetric(float64(want)*float64(b.N)/b.Elapsed().Seconds(), "placements/s")
	}
}

func BenchmarkStart5000On10(b *testing.B)  { benchPlan(b, benchWorld(b, 10, 5000), 5000) }
func BenchmarkStart5000On100(b *testing.B) { benchPlan(b, benchWorld(b, 100, 5000), 5000) }
func BenchmarkSteady10000On100(b *testing.B) {
	benchPlan(b, settled(b, 100, 10_000), 0)
}

func BenchmarkLost30Of100With10000(b *testing.B) {
	w := settled(b, 100, 10_000)
	for i := range 30 {
		w.kill(hostName(i))
	}
	w.now = w.now.Add(3 * time.Second)
	benchPlan(b, w, 3000)
}

// A third of the units have labels, peers or conflicts.
func mixed(b *testing.B) *world {
	w := benchWorld(b, 100, 6000)
	for i := range 2000 {
		w.unit(fmt.Sprintf("app%03d@%d.service", i/10, i%10), "launched", fmt.Sprintf("Conflicts=app%03d@*.service", i/10))
	}
	for i := range 1000 {
		w.unit(fmt.Sprintf("side%04d.service", i), "launched", fmt.Sprintf("MachineOf=u%05d.service", i))
		w.unit(fmt.Sprintf("zoned%04d.service", i), "launched", fmt.Sprintf("MachineMetadata=zone=%d", i%3))
	}
	return w
}

func BenchmarkStartMixed10000On100(b *testing.B) { benchPlan(b, mixed(b), 10_000) }
func BenchmarkSteadyMixed10000On100(b *testing.B) {
	w := mixed(b)
	for len(w.step().Decisions) > 0 {
		w.obeyAll()
	}
	benchPlan(b, w, 0)
}

// Units that no host can take, at 6,000 hosts: one label is mistyped in a template.
func BenchmarkRefused60000On6000(b *testing.B) {
	w := benchWorld(b, 6000, 0)
	for i := range 60_000 {
		w.unit(fmt.Sprintf("app@%05d.service", i), "launched", "MachineMetadata=zoen=1")
	}
	benchPlan(b, w, 0)
}

// More instances than hosts, of a unit that stands alone on its host.
func BenchmarkConflictRefused6000On1000(b *testing.B) {
	w := benchWorld(b, 1000, 0)
	for i := range 6000 {
		w.unit(fmt.Sprintf("app@%05d.service", i), "launched", "Conflicts=app@*.service")
	}
	benchPlan(b, w, 1000)
}

// Many globs, each of which concerns a few hosts.
func BenchmarkSteadyGlobs2000On2000(b *testing.B) {
	w := benchWorld(b, 2000, 0)
	for i := range 2000 {
		w.unit(fmt.Sprintf("app%04d@1.service", i), "launched", fmt.Sprintf("Conflicts=app%04d@*.service", i))
	}
	for len(w.step().Decisions) > 0 {
		w.obeyAll()
	}
	benchPlan(b, w, 0)
}

// Global units, all in their places.
func BenchmarkSteadyGlobal20On6000(b *testing.B) {
	w := benchWorld(b, 6000, 0)
	for i := range 20 {
		w.unit(fmt.Sprintf("agent%02d.service", i), "launched", "Global=yes")
	}
	for len(w.step().Decisions) > 0 {
		w.obeyAll()
	}
	benchPlan(b, w, 0)
}

func BenchmarkStart20000On1000(b *testing.B)  { benchPlan(b, benchWorld(b, 1000, 20_000), 20_000) }
func BenchmarkStart100000On1000(b *testing.B) { benchPlan(b, benchWorld(b, 1000, 100_000), 100_000) }

// One family, spread over a label with these many values.
func benchSpread(b *testing.B, hosts, values, units int, options ...string) {
	w := newWorld(b)
	for i := range hosts {
		w.addHost(hostName(i), fmt.Sprintf("zone=%d", i%values))
		w.info(hostName(i), "memory=65536M", "cpus=64")
	}
	for i := range units {
		w.unit(fmt.Sprintf("app@%05d.service", i), "launched", options...)
	}
	benchPlan(b, w, units)
}

func BenchmarkSpread10000On300(b *testing.B)     { benchSpread(b, 300, 3, 10_000, "Spread=zone") }
func BenchmarkSpreadHard10000On300(b *testing.B) { benchSpread(b, 300, 3, 10_000, "Spread=zone:hard") }

// Each host is a value of its own.
func BenchmarkSpreadByHost10000On300(b *testing.B) {
	benchSpread(b, 300, 300, 10_000, "Spread=zone:hard")
}
func BenchmarkFamily10000On1000(b *testing.B) { benchSpread(b, 1000, 3, 10_000) }
func BenchmarkReserved10000On1000(b *testing.B) {
	benchSpread(b, 1000, 3, 10_000, "Memory=512M", "CPU=1", "Prefer=zone=1", "MaxPerHost=30")
}

// Two instances each of many templates.
func BenchmarkFamilies10000On1000(b *testing.B) {
	w := benchWorld(b, 1000, 0)
	for i := range 10_000 {
		w.unit(fmt.Sprintf("app%04d@%d.service", i/2, i%2), "launched")
	}
	benchPlan(b, w, 10_000)
}

// Room for a tenth of the units, on hosts of many sizes.
func BenchmarkFull10000On1000(b *testing.B) {
	w := benchWorld(b, 1000, 0)
	for i := range 1000 {
		w.info(hostName(i), fmt.Sprintf("memory=%dM", 256*(1+i%2)), "cpus=64")
	}
	for i := range 10_000 {
		w.unit(fmt.Sprintf("u%05d.service", i), "launched", "Memory=256M")
	}
	benchPlan(b, w, 1500)
}

// Units that somebody moves by Replaces=, all in their places.
func BenchmarkSteadyReplaces2000On1000(b *testing.B) {
	w := benchWorld(b, 1000, 1000)
	for i := range 1000 {
		w.unit(fmt.Sprintf("new%05d.service", i), "launched", fmt.Sprintf("Replaces=u%05d.service", i))
	}
	for len(w.step().Decisions) > 0 {
		w.obeyAll()
	}
	benchPlan(b, w, 0)
}

func BenchmarkSteady100000On1000(b *testing.B) { benchPlan(b, settled(b, 1000, 100_000), 0) }

// One unit more than a settled cluster has.
func BenchmarkOneMore100000On1000(b *testing.B) {
	w := settled(b, 1000, 100_000)
	w.unit("web.service", "launched")
	benchPlan(b, w, 1)
}

// One instance more, with a family to look at.
func BenchmarkOneMoreInstance100000On1000(b *testing.B) {
	w := settled(b, 1000, 100_000)
	w.unit("web@1.service", "launched", "Spread=zone")
	benchPlan(b, w, 1)
}
