package fake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/agent/systemd"
)

const runsOn = "[Service]\nExecStart=/bin/sleep infinity\n"

func mustInstall(t testing.TB, h *Host, files map[string]string) {
	t.Helper()
	for name, data := range files {
		if err := errors.Join(h.Dir().WriteDropIn(name, systemd.DropIn, nil), h.Dir().Write(name, []byte(data))); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mustStart(t testing.TB, h *Host, name string) {
	t.Helper()
	if got, err := h.Start(t.Context(), name); err != nil || got != systemd.Done {
		t.Fatalf("Start(%s) = %q, %v, want done", name, got, err)
	}
}

func mustUnit(t testing.TB, h *Host, name string) systemd.Unit {
	t.Helper()
	units, err := h.Units(t.Context(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	return units[0]
}

func TestFilesAreUnknownUntilReload(t *testing.T) {
	h := New(Options{})
	if err := errors.Join(h.Dir().WriteDropIn("a.service", systemd.DropIn, nil), h.Dir().Write("a.service", []byte(runsOn))); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Start(t.Context(), "a.service"); !errors.Is(err, systemd.ErrNoSuchUnit) {
		t.Errorf("Start before Reload = %q, %v, want ErrNoSuchUnit", got, err)
	}
}

func TestPowerLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Seed: 1, StartTime: Range{time.Second, 2 * time.Second}})
		h.AddHostUnit("sshd.service", "/usr/lib/systemd/system/sshd.service", runsOn)
		mustInstall(t, h, map[string]string{"a.service": runsOn, "b.service": runsOn})
		mustStart(t, h, "a.service")
		if err := h.StartTransientTimer(t.Context(), "x.timer", h.Boottime()+time.Minute, "a.service"); err != nil {
			t.Fatal(err)
		}
		boot, machine := h.BootID(), h.MachineID()
		waited := make(chan error)
		ctx := t.Context()
		go func() {
			_, err := h.Start(ctx, "b.service")
			waited <- err
		}()
		synctest.Wait()
		h.PowerLoss()
		if err := <-waited; !errors.Is(err, systemd.ErrDisconnected) {
			t.Errorf("Start over a power loss = %v, want ErrDisconnected", err)
		}
		if _, err := h.Units(t.Context(), []string{"a.service"}); !errors.Is(err, systemd.ErrDisconnected) {
			t.Errorf("Units without power = %v, want ErrDisconnected", err)
		}
		h.Boot()
		if h.BootID() == boot || h.MachineID() != machine {
			t.Errorf("after a boot: boot id %s of %s, machine id %s of %s", h.BootID(), boot, h.MachineID(), machine)
		}
		if u := mustUnit(t, h, "a.service"); u.Load != systemd.NotFound || u.Active != systemd.Inactive {
			t.Errorf("a unit of /run after a boot = %+v, want none", u)
		}
		if u := mustUnit(t, h, "sshd.service"); u.Load != systemd.Loaded {
			t.Errorf("the host's own unit after a boot = %+v, want it loaded", u)
		}
		if entries, err := h.Dir().List(); err != nil || len(entries) != 0 {
			t.Errorf("List() after a boot = %v, %v, want none", entries, err)
		}
		events := len(h.Events())
		time.Sleep(time.Hour) // virtual: nothing of the life before happens in this one
		if got := h.Events()[events:]; len(got) != 0 {
			t.Errorf("events from before the power loss = %+v", got)
		}
	})
}

func TestDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{StartTime: Range{time.Second, time.Second}})
		mustInstall(t, h, map[string]string{"a.service": runsOn})
		changed, err := h.Changes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-changed
		waited := make(chan error)
		ctx := t.Context()
		go func() {
			_, err := h.Start(ctx, "a.service")
			waited <- err
		}()
		synctest.Wait()
		h.Disconnect()
		if err := <-waited; !errors.Is(err, systemd.ErrDisconnected) {
			t.Errorf("Start over a disconnect = %v, want ErrDisconnected", err)
		}
		time.Sleep(2 * time.Second)
		h.Connect()
		for names := range changed {
			if names == nil {
				break
			}
		}
		if u := mustUnit(t, h, "a.service"); u.Active != systemd.Active {
			t.Errorf("the unit after a disconnect = %+v, want active: units go on", u)
		}
	})
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		mustInstall(t, h, map[string]string{
			"a.service": runsOn + "Restart=always\n",
			"b.service": "[Unit]\nPartOf=a.service\nAfter=a.service\n" + runsOn,
		})
		h.Jobs(t.Context(), []systemd.Job{{Name: "b.service", Verb: systemd.Start}, {Name: "a.service", Verb: systemd.Start}})
		h.Crash("a.service")
		time.Sleep(time.Second)
		if _, err := h.Stop(t.Context(), "a.service"); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range h.Events() {
			got = append(got, fmt.Sprintf("%s %s by %s", e.Op, e.Unit, e.By))
		}
		want := []string{
			"reload  by call", "start a.service by call", "start b.service by call",
			"crash a.service by outside", "exit a.service by signal", "start a.service by restart",
			"stop b.service by dependency", "stop a.service by call",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Events() (-want +got):\n%s", diff)
		}
		if got, want := h.Counts(), (Counts{Start: 2, Stop: 1, Reload: 1}); got != want {
			t.Errorf("Counts() = %+v, want %+v", got, want)
		}
		lines, err := h.LastLines(t.Context(), "a.service", "", 100)
		if err != nil || len(lines) == 0 || lines[0].Unit != "a.service" {
			t.Errorf("LastLines() = %v, %v, want what happened to a.service", lines, err)
		}
	})
}

// The same seed gives the same life, to the nanosecond.
func TestSeed(t *testing.T) {
	life := func(seed uint64) (events []Event) {
		synctest.Test(t, func(t *testing.T) {
			h := New(Options{Seed: seed, StartTime: Range{0, time.Second}, StopTime: Range{0, time.Second}})
			files, jobs := map[string]string{}, []systemd.Job{}
			for i := range 20 {
				name := fmt.Sprintf("u%d.service", i)
				files[name] = fmt.Sprintf("[Unit]\nAfter=u%d.service\n", (i+7)%20/2) + runsOn
				jobs = append(jobs, systemd.Job{Name: name, Verb: systemd.Start})
			}
			files["u0.service"] = runsOn
			delete(files, "u9.service")
			mustInstall(t, h, files)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			h.Jobs(ctx, jobs)
			events = h.Events()
		})
		return events
	}
	first, again, other := life(1), life(1), life(2)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("two lives of one seed differ:\n%s", diff)
	}
	if slices.Equal(first, other) {
		t.Error("two seeds gave the same life")
	}
}

func TestBehave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Behave: func(name string) (Behaviour, bool) {
			return Behaviour{Start: time.Minute, Exits: true, Run: time.Hour, Status: 3}, name == "a.service"
		}})
		mustInstall(t, h, map[string]string{"a.service": runsOn})
		begun := time.Now()
		mustStart(t, h, "a.service")
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("the start took %s, want 1m", took)
		}
		time.Sleep(time.Hour + time.Second)
		if u := mustUnit(t, h, "a.service"); u.Active != systemd.Failed || u.ExecMainStatus != 3 {
			t.Errorf("after an hour = %+v, want failed with 3", u)
		}
	})
}

func TestSpan(t *testing.T) {
	tests := map[string]time.Duration{
		"5": 5 * time.Second, "100ms": 100 * time.Millisecond, "1min 30s": 90 * time.Second, "1.5h": 90 * time.Minute,
		"infinity": forever, "": -1, "x": -1, "5 parsecs": -1, "2m5": 125 * time.Second,
	}
	for in, want := range tests {
		got, ok := span(in)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("span(%q) = %s, want %s", in, got, want)
		}
	}
}

// 5,000 starts on ten hosts: written, reloaded, started and reported.
func BenchmarkStart5000(b *testing.B) {
	for b.Loop() {
		for range 10 {
			h := New(Options{})
			var jobs []systemd.Job
			var names []string
			for i := range 500 {
				name := fmt.Sprintf("web@%d.service", i)
				if err := errors.Join(h.Dir().WriteDropIn(name, systemd.DropIn, nil), h.Dir().Write(name, []byte(runsOn))); err != nil {
					b.Fatal(err)
				}
				names, jobs = append(names, name), append(jobs, systemd.Job{Name: name, Verb: systemd.Start})
			}
			if err := h.Reload(b.Context()); err != nil {
				b.Fatal(err)
			}
			for _, r := range h.Jobs(b.Context(), jobs) {
				if r.Outcome != systemd.Done {
					b.Fatalf("%s: %q, %v", r.Name, r.Outcome, r.Err)
				}
			}
			if units, err := h.Units(b.Context(), names); err != nil || units[499].Active != systemd.Active {
				b.Fatal(units[499], err)
			}
		}
	}
}
