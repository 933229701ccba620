package api

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// TestByName: a person reads hosts by name, whatever their ids are.
func TestByName(t *testing.T) {
	s := cluster.NewSnapshot()
	var x plan.Explanation
	for id, name := range map[cluster.HostID]string{"3333": "h1", "1111": "h2", "2222": "h3"} {
		s.Hosts[id] = &cluster.Host{ID: id, Info: &cluster.HostInfo{Name: name}}
		s.Placed["a.service"] = put(s.Placed["a.service"], id)
		x.Hosts = append(x.Hosts, plan.HostVerdict{Host: id, Name: name, Fits: true})
	}
	if why := goneEverywhere(s, "a.service", "").why; !strings.HasPrefix(why, "waiting for h1 to stop and remove it") {
		t.Errorf("the reason names another host than the first: %s", why)
	}
	var got []string
	for _, i := range unitView(s, "a.service", verdict{}).Instances {
		got = append(got, i.HostName)
	}
	x.Unit = "a.service"
	for _, v := range verdictsOf(s, x) {
		got = append(got, v.Name)
	}
	if list, want := strings.Join(got, " "), "h1 h2 h3 h1 h2 h3"; list != want {
		t.Errorf("instances and verdicts are of %s, want %s", list, want)
	}
}

func put(m map[cluster.HostID]*cluster.Placed, id cluster.HostID) map[cluster.HostID]*cluster.Placed {
	if m == nil {
		m = map[cluster.HostID]*cluster.Placed{}
	}
	m[id] = &cluster.Placed{Host: id, Unit: "a.service"}
	return m
}

// TestQueuedStartHasNotEnded: until its job has begun, a unit that is started again looks as
// one that ended well.
func TestQueuedStartHasNotEnded(t *testing.T) {
	for message, want := range map[string]bool{cluster.Ended: true, cluster.Ended + " with exit status 1": true, "start is queued": false, "": false} {
		for _, kind := range []string{"simple", "oneshot"} {
			file, err := units.Parse("a.service", []byte("[Service]\nType="+kind+"\nExecStart=/bin/true\n"))
			if err != nil {
				t.Fatal(err)
			}
			st := &cluster.Status{Message: message, State: units.State{Load: "loaded", Active: "inactive", Sub: "dead", Result: "success"}}
			got := notRunning(&cluster.Host{ID: "h"}, &cluster.UnitHead{Name: "a.service", File: file}, st)
			if got.ended != want || got.failed {
				t.Errorf("%s with %q: ended %v, failed %v, want ended %v", kind, message, got.ended, got.failed, want)
			}
		}
	}
}

// TestEndedOneshotCounts: a one-shot that ended well is as wanted, so its host counts it as the
// cluster does, but not one that was never started.
func TestEndedOneshotCounts(t *testing.T) {
	const text = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
	file, err := units.Parse("once.service", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ended := units.State{Load: "loaded", Active: "inactive", Sub: "dead", Result: "success"}
	s := cluster.NewSnapshot()
	h := &cluster.Host{ID: "1111", Alive: &cluster.Alive{Boot: "b"}, Placed: map[cluster.Unit]*cluster.Placed{}, Status: map[cluster.Unit]*cluster.Status{}}
	for name, state := range map[cluster.Unit]cluster.Order{"once.service": cluster.Launched, "idle.service": cluster.Loaded} {
		s.Units[name] = &cluster.UnitHead{Name: name, File: file}
		h.Placed[name] = &cluster.Placed{Placement: cluster.Placement{State: state}, Host: h.ID, Unit: name}
		h.Status[name] = &cluster.Status{Boot: "b", State: ended, Message: cluster.Ended}
	}
	if v := hostView(s, h); v.Active != 1 || v.Units != 2 {
		t.Errorf("the host counts %d of %d units, want 1 of 2", v.Active, v.Units)
	}
}

// TestNeedsRoot: who may not open the socket hears that, not that the daemon is down.
func TestNeedsRoot(t *testing.T) {
	at := &net.UnixAddr{Name: "/run/x.sock", Net: "unix"}
	err := unreachable(&net.OpError{Op: "dial", Net: "unix", Addr: at, Err: syscall.EACCES})
	if want := "no daemon answers at /run/x.sock: permission denied (this needs root: sudo flotilla …; --endpoint names another daemon)"; err.Error() != want || !errors.Is(err, ErrUnreachable) {
		t.Errorf("unreachable = %v, want %s", err, want)
	}
}

// TestLogOfAnAbsentHost: its line says once who speaks, which is what prints it.
func TestLogOfAnAbsentHost(t *testing.T) {
	s, _ := serverOf(1, &still{whole: -1})
	entries := make(chan LogEntry, 1)
	s.readInto(t.Context(), source{id: "9", name: "h2", absent: true}, logQuery{}, entries)
	if e := <-entries; e.Host != "h2" || e.Message != "cannot read this host's log: the host is absent" {
		t.Errorf("the line of an absent host is %+v", e)
	}
}
