package plan_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// weather is a cluster to which all kinds of things happen, and a judge that looks at each decision about reboots
// with eyes of its own when it is written.
type weather struct {
	*world
	r     *rand.Rand
	fault string
}

// TestRebootsByChance: whatever happens, the semaphores, windows, failure domains and etcd hold, slots are freed for
// a reason, and in the end everybody has what was asked for, or is told why not.
func TestRebootsByChance(t *testing.T) {
	const seeds = 60
	ended, done := 0, 0
	for seed := range uint64(seeds) {
		c := &weather{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 7))}
		c.build()
		for i := range 120 {
			c.happen()
			if i == 60 {
				c.save()
			}
			c.decide()
			if c.fault != "" {
				t.Fatalf("seed %d, step %d: %s", seed, i, c.fault)
			}
		}
		c.heal()
		if c.fault != "" {
			t.Fatalf("seed %d, healing: %s", seed, c.fault)
		}
		for _, r := range c.snap.History {
			if ended++; r.Outcome == cluster.PhaseDone {
				done++
			}
		}
	}
	if done < 2*seeds || ended-done < seeds {
		t.Errorf("%d reboots were done and %d ended otherwise in %d clusters: too few to show anything", done, ended-done, seeds)
	}
}

// save: a saved cluster is planned alike.
func (c *weather) save() {
	var s plan.Saved
	if err := json.Unmarshal([]byte(c.saved()), &s); err != nil {
		c.blame("read what was saved: %v", err)
		return
	}
	snap, err := s.Snapshot()
	if err != nil {
		c.blame("restore what was saved: %v", err)
		return
	}
	if diff := cmp.Diff(c.plan(), plan.Plan(snap, s.Options, s.Taken)); diff != "" {
		c.blame("plan of the saved cluster (-want +got):\n%s", diff)
	}
}

func (c *weather) build() {
	n := 3 + c.r.IntN(5)
	for i := range n {
		name := fmt.Sprint("h", i)
		c.addHost(name, "zone="+anyOf(c.r, "a", "b"), "role="+anyOf(c.r, "web", "db", "none"))
		if i < 3 && c.r.IntN(2) == 0 {
			c.command("etcd " + name + " healthy")
		}
	}
	c.command("window noon *-*-*_12:00 1h")
	c.command("window often *-*-*_*:00 20m")
	for _, g := range []string{"web", "db", "all"} {
		if c.r.IntN(3) > 0 {
			c.edit(g)
		}
	}
	for i := range c.r.IntN(5) {
		c.command(fmt.Sprintf("unit u@%d.service launched %s", i, anyOf(c.r, "MaxUnavailable=1", "Handover=start-first", "Drain=stay")))
	}
	c.command("unit log.service launched Global=true")
}

func anyOf(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// edit sets a group anew.
func (c *weather) edit(name string) {
	selector := ""
	if name != "all" {
		selector = " selector=role=" + name
	}
	delete(c.snap.Groups, name)
	c.command(fmt.Sprintf("group %s%s max=%s windows=%s failures=%d blocked=%s drain=%dm retry=%dm %s %s", name, selector,
		anyOf(c.r, "0", "1", "1", "2", "50%", "3"), anyOf(c.r, "", "", "noon", "often", "noon,often"), c.r.IntN(2),
		anyOf(c.r, "abort", "skip", "stop"), 1+c.r.IntN(10), 1+c.r.IntN(60),
		anyOf(c.r, "", "spread=zone", "finish"), anyOf(c.r, "", "stage=zone=a/1/1m")))
}

func (c *weather) anyHost() string {
	return c.nameOf(hostID(fmt.Sprint("h", c.r.IntN(len(c.snap.Hosts)))))
}

// happen lets one thing happen.
func (c *weather) happen() {
	name := c.anyHost()
	h := c.snap.Hosts[hostID(name)]
	switch n := c.r.IntN(100); {
	case n < 12:
		c.command("wish " + name + " " + c.anyHost() + anyOf(c.r, "", "", " now", " external", " soft"))
	case n < 14:
		c.command("cancel " + name)
	case n < 22:
		c.command("need " + name + " " + anyOf(c.r, "yes kernel", "yes libc", "no", "unknown"))
	case n < 25:
		c.edit(anyOf(c.r, "web", "db", "all"))
	case n < 26:
		c.command("group " + anyOf(c.r, "web", "db", "all") + " gone")
	case n < 28:
		c.command(anyOf(c.r, "freeze all", "thaw all", "thaw all", "freeze "+name+" until=23:00", "thaw "+name))
	case n < 30 && h.Grant != nil:
		c.command("unlock " + name)
	case n < 32:
		c.command("host label " + name + " zone=" + anyOf(c.r, "a", "b") + " role=" + anyOf(c.r, "web", "db"))
	case n < 35 && h.Alive != nil:
		c.kill(name)
	case n < 42 && h.Alive == nil:
		c.revive(name, c.r.IntN(3) > 0)
	case n < 44:
		c.command("host " + anyOf(c.r, "drain", "cordon", "uncordon", "uncordon") + " " + name)
	case n < 45 && h.Alive != nil && h.Info.Etcd != "":
		c.command("etcd " + name + " " + anyOf(c.r, "healthy", "healthy", "no_leader"))
	case n < 46:
		c.command("reload")
	case n < 47:
		c.setClock(c.now.Add(time.Duration(c.r.IntN(7200)-3600) * time.Second))
	case n < 70:
		c.now = c.now.Add(time.Duration(c.r.IntN(400)) * time.Second)
	default:
		c.agent(h, c.r.IntN(8) > 0)
	}
}

// agent lets a host's agent do what is its turn, or fail at it.
func (c *weather) agent(h *cluster.Host, well bool) {
	c.obey(h)
	g, name := h.Grant, h.Name()
	verdict := map[bool]string{true: " well", false: " red it_fails"}[well]
	switch {
	case g == nil || h.Alive == nil || !g.Phase.Holds():
	case g.Phase == cluster.PhaseDrained:
		c.command("before " + name + verdict)
	case g.Phase == cluster.PhaseGranted && well:
		c.use(h)
	case g.Phase == cluster.PhaseGranted, g.Phase == cluster.PhaseRebooting && !well:
		c.command("refuse " + name + " logind_says_no")
	case g.Phase == cluster.PhaseRebooting && h.Info.Boot == g.Boot.ID:
		c.kill(name)
	case g.Phase == cluster.PhaseReturning, g.Phase == cluster.PhaseSettling:
		c.command("after " + name + verdict)
	}
}

// decide plans until nothing is left to decide, and judges each decision when it is written.
func (c *weather) decide() {
	for range 200 {
		res := c.plan()
		if again := c.plan(); !reflect.DeepEqual(res, again) {
			c.fault = "two plans of one snapshot differ:\n" + cmp.Diff(res, again)
			return
		}
		c.told(res.Reboots)
		decided := map[cluster.HostID]bool{}
		for _, d := range res.Decisions {
			if d.Kind == plan.Grant && decided[d.Host] {
				c.blame("host %s has two decisions in one plan", c.nameOf(d.Host))
			}
			decided[d.Host] = decided[d.Host] || d.Kind == plan.Grant
			for _, g := range d.Orders.Grants {
				c.judge(c.snap.Hosts[g.Host], g.Grant)
			}
			if at := c.snap.Hosts[d.Host]; d.Kind == plan.Place && (at.Spec.Drain != nil || at.Spec.Cordon != nil) {
				c.blame("%s is placed on %s, which a person closed", d.Unit, at.Name())
			}
			if err := c.apply(d.Orders); err != nil {
				c.blame("apply %s %s: %v", d.Kind, d.Unit, err)
			}
		}
		if c.fault != "" || len(res.Decisions) == 0 {
			return
		}
	}
	c.blame("the plan does not come to rest")
}

func (c *weather) blame(format string, args ...any) {
	if c.fault == "" {
		c.fault = fmt.Sprintf(format, args...)
	}
}

// told: each host that is to reboot, or does, has a sentence.
func (c *weather) told(list []plan.HostReboot) {
	said := map[cluster.HostID]plan.HostReboot{}
	for _, r := range list {
		if said[r.Host] = r; r.Reason == "" || r.Phase == cluster.PhaseNone {
			c.blame("host %s is %q without a reason", r.Name, r.Phase)
		}
	}
	for id, h := range c.snap.Hosts {
		wish := h.Spec.Reboot != nil && h.Spec.Removed == nil && (h.Grant == nil || h.Spec.Reboot.ID > h.Grant.Wish)
		if r, ok := said[id]; (wish || h.HoldsSlot()) && (!ok || h.HoldsSlot() && h.Grant != nil && r.Phase != h.Grant.Phase) {
			c.blame("of host %s is said %+v", h.Name(), r)
		}
	}
}

// judge looks at a step of a host's reboot just before it is written.
func (c *weather) judge(h *cluster.Host, next *cluster.Grant) {
	was := cluster.PhaseNone
	if h.Grant != nil {
		was = h.Grant.Phase
	}
	switch {
	case next == nil:
		c.blame("the grant of %s is deleted", h.Name())
	case next.Phase == cluster.PhaseDraining && was != cluster.PhaseDraining:
		c.mayStart(h, next, func(x *cluster.Host) bool { return x.HoldsSlot() || missing(x) })
	case next.Phase == cluster.PhaseGranted && was != cluster.PhaseGranted:
		if h.Grant.Generation != next.Generation || was != cluster.PhaseDrained {
			c.blame("%s is granted from %s", h.Name(), was)
		}
		if before := h.Info.Reboot.Before; before == nil || !before.Well || before.Generation != next.Generation {
			c.blame("%s is granted with the verdict %+v", h.Name(), before)
		}
		c.mayStart(h, next, func(x *cluster.Host) bool {
			return x.HoldsSlot() && (x.Grant.Phase >= cluster.PhaseGranted || x.Alive == nil) || missing(x)
		})
	case next.Phase == cluster.PhaseDrained && was == cluster.PhaseGranted && h.Used():
		c.blame("the grant of %s is taken back after it used it", h.Name())
	case !next.Phase.Holds():
		c.mayEnd(h, next)
	case next.Generation != h.Grant.Generation:
		c.blame("%s begins as %s", h.Name(), next.Phase)
	}
}

// missing says that a host is not in service without a slot.
func missing(x *cluster.Host) bool {
	written := x.Grant != nil && x.Grant.Phase == cluster.PhaseReleased && x.Info != nil && x.Info.Boot == x.Grant.Boot.ID
	_, up := x.Boot()
	return x.Spec.Removed == nil && !up && !(written && x.Alive == nil)
}

// mayStart: I1, I4, the failure domains and etcd, for all groups that the host is in now.
func (c *weather) mayStart(h *cluster.Host, next *cluster.Grant, away func(*cluster.Host) bool) {
	for _, g := range cluster.GroupsOf(c.snap, h) {
		var gone []*cluster.Host
		whole := 0
		for _, x := range c.snap.Hosts {
			in := slices.ContainsFunc(cluster.GroupsOf(c.snap, x), func(y *cluster.GroupHead) bool { return y.Name == g.Name })
			if in {
				whole++
			}
			held := x.Grant != nil && x.Grant.Phase.Holds() && slices.Contains(x.Grant.Groups, g.Name)
			if x != h && (in || held) && away(x) {
				gone = append(gone, x)
			}
		}
		if most := g.Max.Of(whole); len(gone)+1 > most {
			c.blame("I1: %s goes to %s as one more than %d of group %s", h.Name(), next.Phase, most, g.Name)
		}
		for _, x := range gone {
			if v, ok := h.Labels()[g.Spread]; ok && x.Labels()[g.Spread] == v {
				c.blame("%s goes to %s beside %s of the same %s", h.Name(), next.Phase, x.Name(), g.Spread)
			}
		}
		began := next.Phase == cluster.PhaseGranted && g.Finish
		if !next.Now && !began && !c.openNow(g, next.Need) {
			c.blame("I4: %s goes to %s outside of the windows of group %s", h.Name(), next.Phase, g.Name)
		}
	}
	if !next.Now && (c.snap.Reboots.Freeze.Holds(c.now) || h.Spec.Freeze.Holds(c.now)) {
		c.blame("%s goes to %s although it is frozen", h.Name(), next.Phase)
	}
	if h.Info.Etcd == "" {
		return
	}
	for _, x := range c.snap.Hosts {
		if x.Info.Etcd != "" && (x.Info.Etcd != cluster.EtcdHealthy || x != h && away(x)) {
			c.blame("%s goes to %s while the etcd member on %s is %s, grant %+v", h.Name(), next.Phase, x.Name(), x.Info.Etcd, x.Grant)
		}
	}
}

// openNow asks the windows themselves.
func (c *weather) openNow(g *cluster.GroupHead, need bool) bool {
	if len(g.Windows) == 0 {
		return !need
	}
	for _, name := range g.Windows {
		if list, err := c.snap.Windows[name].Openings(c.now, 1); err == nil && !list[0].From.After(c.now) {
			return true
		}
	}
	return false
}

// mayEnd: I5. Who may have gone down keeps its slot until it is back and well, or a person or its own word ends that.
func (c *weather) mayEnd(h *cluster.Host, next *cluster.Grant) {
	boot, up := h.Boot()
	back := up && boot != next.Boot
	refused := h.Booting != nil && h.Booting.Generation == next.Generation && h.Booting.Refused != ""
	unlocked := h.Spec.Unlock != nil && h.Spec.Unlock.Generation == next.Generation
	switch next.Phase {
	case cluster.PhaseDone:
		after := h.Info.Reboot.After
		if !back || after == nil || !after.Well || after.Generation != next.Generation {
			c.blame("I5: %s is done, back %v, with the verdict %+v", h.Name(), back, after)
		}
	case cluster.PhaseReleased:
		if !unlocked && h.Spec.Removed == nil {
			c.blame("I5: %s is released by nobody", h.Name())
		}
	case cluster.PhaseLoop:
		if h.Grant.Phase != cluster.PhaseDone {
			c.blame("%s loops from %s", h.Name(), h.Grant.Phase)
		}
	default:
		if h.Used() || h.Grant.Phase > cluster.PhaseGranted && !refused {
			c.blame("I5: %s is %s although it used its grant", h.Name(), next.Phase)
		}
	}
}

// heal ends what holds reboots up and lets agents do well: then all comes to rest, and no slot is left.
func (c *weather) heal() {
	c.snap.Groups = map[cluster.GroupName]*cluster.GroupHead{}
	for _, h := range c.snap.Hosts {
		name := h.Name()
		for _, line := range []string{"thaw all", "thaw " + name, "host uncordon " + name, "need " + name + " no"} {
			c.command(line)
		}
		if h.Alive == nil {
			c.revive(name, true)
		}
		if h.Info.Etcd != "" {
			c.command("etcd " + name + " healthy")
		}
	}
	c.obeyAll()
	c.command("run 12h")
	for _, r := range plan.Reboots(c.snap, c.opt, c.now) {
		if h := c.snap.Hosts[r.Host]; r.Phase.Holds() || h.Spec.Reboot != nil && (h.Grant == nil || h.Spec.Reboot.ID > h.Grant.Wish) {
			c.blame("%s is still %s: %s; %s", r.Name, r.Phase, r.Reason, strings.TrimSpace(c.reboots()))
		}
	}
}
