package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"flotilla/api"
	"flotilla/api/apitest"
	"flotilla/cluster"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"flotilla": main})
}

// rig is the cluster of one script.
type rig struct {
	*apitest.Cluster
	rev int64
}

type rigKey struct{}

// TestScripts runs the program against a cluster of three hosts in this process. Besides the
// commands of testscript: "exits N flotilla …" wants that exit code; "mark" notes the store's
// revision, "same" wants it unchanged; "etcd off|on"; "lose HOST" ends a host's sign of life;
// "until TEXT flotilla …" repeats the command until it prints the text;
// "local HOST frozen|out|well" is what a host's daemon says of itself; "members HOST… -HOST…" are
// those with an etcd member, and of them those whose member does not answer; "wished UNIT FROM TO"
// wants that move to be wished in the unit's head; "group NAME KEY=VALUE…" makes a group with max, selector, windows
// and times; "window NAME CALENDAR DURATION" makes a window; "way HOST WORDS…" is how a host reboots from now on.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": cmdExits, "mark": cmdMark, "same": cmdSame, "etcd": cmdEtcd, "lose": cmdLose, "local": cmdLocal, "members": cmdMembers,
			"wished": cmdWished, "until": cmdUntil, "group": cmdGroup, "window": cmdWindow, "way": cmdWay,
		},
		RequireExplicitExec: true,
	})
}

func setup(env *testscript.Env) error {
	c, err := apitest.New(3)
	if err != nil {
		return err
	}
	env.Defer(c.Close)
	dir, err := os.MkdirTemp("", "fl") // a socket's path is short
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(dir) })
	for _, h := range c.Hosts {
		socket := filepath.Join(dir, h.Name)
		stop, err := h.Listen(socket)
		if err != nil {
			return err
		}
		env.Defer(stop)
		env.Setenv(strings.ToUpper(h.Name), "unix://"+socket)
	}
	env.Setenv("FLOTILLA_ENDPOINT", env.Getenv("H1"))
	env.Values[rigKey{}] = &rig{Cluster: c}
	return nil
}

func rigOf(ts *testscript.TestScript) *rig { return ts.Value(rigKey{}).(*rig) }

// host finds a host by name.
func (r *rig) host(ts *testscript.TestScript, name string) *apitest.Host {
	for _, h := range r.Hosts {
		if h.Name == name {
			return h
		}
	}
	ts.Fatalf("no host %s", name)
	return nil
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s exits %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// cmdMark waits until the leader and the agents have nothing more to write.
func cmdMark(ts *testscript.TestScript, _ bool, _ []string) {
	r := rigOf(ts)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for calm := 0; calm < 4; calm++ {
		rev, err := r.Revision(context.Background())
		ts.Check(err)
		if rev != r.rev {
			r.rev, calm = rev, 0
		}
		<-tick.C
	}
}

func cmdSame(ts *testscript.TestScript, _ bool, _ []string) {
	r := rigOf(ts)
	rev, err := r.Revision(context.Background())
	ts.Check(err)
	if rev != r.rev {
		ts.Fatalf("the store is at revision %d, it was marked at %d", rev, r.rev)
	}
}

func cmdEtcd(ts *testscript.TestScript, _ bool, args []string) {
	rigOf(ts).Backend.Down(args[0] == "off")
}

func cmdLose(ts *testscript.TestScript, _ bool, args []string) {
	r := rigOf(ts)
	h := r.host(ts, args[0])
	ts.Check(r.Stop(context.Background(), h))
	ts.Check(r.Wait(context.Background(), func(s *cluster.Snapshot) bool { return s.Hosts[h.ID].Alive == nil }))
}

func cmdLocal(ts *testscript.TestScript, _ bool, args []string) {
	h := rigOf(ts).host(ts, args[0])
	switch args[1] {
	case "frozen":
		h.SetLocal(api.Local{Frozen: "the store is not the one this host knows"})
	case "out":
		h.SetLocal(api.Local{StoreOut: time.Unix(1700000000, 0)})
	case "well":
		h.SetLocal(api.Local{})
	default:
		ts.Fatalf("local %s: unknown word", fmt.Sprint(args))
	}
}

func cmdMembers(ts *testscript.TestScript, _ bool, args []string) {
	var list []api.EtcdMember
	for _, a := range args {
		name, away := strings.CutPrefix(a, "-")
		m := api.EtcdMember{ID: name, Host: string(rigOf(ts).host(ts, name).ID), Healthy: !away}
		if away {
			m.Reason = "does not answer: connection refused"
		}
		list = append(list, m)
	}
	rigOf(ts).SetEtcd(list)
}

func cmdWished(ts *testscript.TestScript, _ bool, args []string) {
	r := rigOf(ts)
	spec, _, err := r.Store.Unit(context.Background(), cluster.Unit(args[0]))
	ts.Check(err)
	if from, to := r.host(ts, args[1]).ID, r.host(ts, args[2]).ID; spec.Shift.From != from || spec.Shift.To != to || spec.Shift.Generation == 0 {
		ts.Fatalf("%s: the wish is %+v", args[0], spec.Shift)
	}
}

func cmdUntil(ts *testscript.TestScript, _ bool, args []string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(2 * time.Minute)
	for {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if out := ts.ReadFile("stdout"); strings.Contains(out, args[0]) {
			return
		} else if time.Now().After(end) {
			ts.Fatalf("%s never prints %q", strings.Join(args[1:], " "), args[0])
		}
		<-tick.C
	}
}
