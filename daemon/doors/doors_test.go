package doors

import (
	"context"
	"testing"

	"flotilla/agent"
	"flotilla/agent/systemd"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/units"
)

var (
	_ Manager = (*systemd.Manager)(nil)
	_ Manager = (*fake.Host)(nil)
	_ Dir     = (*systemd.Dir)(nil)
	_ Dir     = (*fake.Dir)(nil)
	_ Journal = systemd.Journal{}
	_ Groups  = systemd.Groups{}

	_ Login = (*systemd.Logind)(nil)
	_ Login = fake.Logind{}

	_ agent.Images  = (*systemd.Images)(nil)
	_ agent.Logind  = Logind{}
	_ agent.Machine = Host{}
)

// TestHostSpeaksTheAgentsWords: a unit is written, started, seen, restarted and killed through
// the doors.
func TestHostSpeaksTheAgentsWords(t *testing.T) {
	ctx := t.Context()
	machine := fake.New(fake.Options{})
	h := Host{Manager: machine, Dir: machine.Dir(), Log: machine}
	file := []byte("[Service]\nExecStart=/bin/web\n")
	if err := h.WriteDropIn("web.service", agent.DropInName, []byte("# ours\n")); err != nil {
		t.Fatal(err)
	}
	if err := h.Write("web.service", file); err != nil {
		t.Fatal(err)
	}
	if err := h.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	list, err := h.List()
	if err != nil || len(list) != 1 || list[0].Unit != "web.service" || list[0].Blob != units.HashOf(file) || string(list[0].DropIn) != "# ours\n" {
		t.Errorf("List() = %+v, %v, want web.service as it was written", list, err)
	}
	started := one(ctx, t, h, agent.Start)
	if restarted := one(ctx, t, h, agent.Restart); restarted == started || started == "" {
		t.Errorf("invocations after start and restart = %q, %q, want two", started, restarted)
	}
	if err := (Killer{machine}).KillUnits([]cluster.Unit{"web.service"}); err != nil {
		t.Fatal(err)
	}
	seen, err := h.Units(ctx, []cluster.Unit{"web.service"})
	if err != nil || seen["web.service"].Running() {
		t.Errorf("Units() after a kill = %+v, %v, want it ended", seen["web.service"], err)
	}
	if v := verb(agent.Write); v != *new(systemd.Verb) {
		t.Errorf("verb(write) = %v, want none", v)
	}
}

// one carries out one job and returns the invocation that runs then.
func one(ctx context.Context, t *testing.T, h Host, k agent.Kind) string {
	t.Helper()
	job := agent.Job{Unit: "web.service", Verb: k}
	if r := h.Jobs(ctx, []agent.Job{job}); len(r) != 1 || r[0].Job != job || r[0].Outcome != "done" || r[0].Err != nil {
		t.Fatalf("Jobs(%s) = %+v, want it done", k, r)
	}
	seen, err := h.Units(ctx, []cluster.Unit{"web.service"})
	if err != nil || !seen["web.service"].Running() {
		t.Fatalf("Units() after %s = %+v, %v, want it running", k, seen["web.service"], err)
	}
	return seen["web.service"].Invocation
}
