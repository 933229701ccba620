//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// lockAddress is where the hosts answer FleetLock clients.
const lockAddress = "127.0.0.1:3333"

// askScript sends standard input to the server as it is, and prints what it answers: the status line's number, and the body.
const askScript = `exec 3<>/dev/tcp/127.0.0.1/3333
cat >&3
read -r _ status _ <&3
length=0
while IFS= read -r line <&3; do
  line=${line%$'\r'}
  [ -n "$line" ] || break
  case ${line,,} in content-length:*) length=${line#*: } ;; esac
done
echo "$status $(head -c "$length" <&3)"`

// askers has as many clients ask at once, each with the request that standard input is.
const askers = `request=$(mktemp)
cat >"$request"
for _ in $(seq "$2"); do bash -c "$1" ask <"$request" & done
wait
rm "$request"`

// beforeUnit notes for which reboots it ran.
const beforeUnit = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo %i >>/var/lib/before'\n"

// zincatiBytes are what Zincati sends for a host.
func zincatiBytes(h *hosts.Host, operation string) string {
	body := fmt.Sprintf("{\n  \"client_params\": {\n    \"id\": %q,\n    \"group\": \"default\"\n  }\n}", h.MachineID())
	return fmt.Sprintf("POST /v1/%s HTTP/1.1\r\nfleet-lock-protocol: true\r\naccept: */*\r\nhost: %s\r\ncontent-length: %d\r\n\r\n%s", operation, lockAddress, len(body), body)
}

// lockAsk has the client of a host ask there, as many times at once, and returns the refusals' kinds; "" is a yes.
func lockAsk(ctx context.Context, h *hosts.Host, operation string, clients int) ([]string, error) {
	out, err := h.Exec(ctx, strings.NewReader(zincatiBytes(h, operation)), "bash", "-c", askers, "askers", askScript, fmt.Sprint(clients))
	if err != nil {
		return nil, err
	}
	var kinds []string
	for line := range strings.Lines(out) {
		status, body, _ := strings.Cut(strings.TrimSpace(line), " ")
		var refusal api.LockRefusal
		switch err := json.Unmarshal([]byte(body), &refusal); {
		case err != nil:
			return nil, fmt.Errorf("%s: answer %q: %w", h.Name(), line, err)
		case status == "200":
			refusal.Kind = ""
		case refusal.Kind == "" || refusal.Value == "":
			return nil, fmt.Errorf("%s: answer %q is no refusal", h.Name(), line)
		}
		kinds = append(kinds, refusal.Kind)
	}
	if len(kinds) != clients {
		return nil, fmt.Errorf("%s: %d answers to %d clients: %q", h.Name(), len(kinds), clients, out)
	}
	return kinds, nil
}

// lockUntil asks again until the answer is one of two, and says whether it was a yes.
func lockUntil(t *testing.T, ctx context.Context, h *hosts.Host, operation, refusal string) (yes bool) {
	t.Helper()
	awaitThat(t, ctx, h.Name()+" hears the answer to "+operation, func(ctx context.Context) error {
		kinds, err := lockAsk(ctx, h, operation, 1)
		if err != nil {
			return err
		}
		if yes = kinds[0] == ""; yes || kinds[0] == refusal {
			return nil
		}
		return fmt.Errorf("it hears %s", kinds[0])
	})
	return yes
}

// TestFleetLock: what docs/locksmith.md says, on three hosts whose workloads are not ours. 50 clients ask at once and one host may
// reboot; it really does, by its own client, and so do the others in their turn.
func TestFleetLock(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	ownLab(t, "fleetlock", 3)
	lockBed(t, ctx)
	since := revision(t, ctx)
	before := boots(t)
	noUnits(t, ctx)

	first := stampede(t, ctx)
	rest := others(first)
	if yes := lockUntil(t, ctx, first, "steady-state", ""); !yes {
		t.Fatalf("%s cannot give its lock back", first.Name())
	}
	record := awaitRecord(t, ctx, first, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseAbandoned })
	t.Logf("%s gave its lock back: %s", first.Name(), record.Reason)
	rebooted(t, before)
	for _, h := range rest { // what they asked for stands
		lockUntil(t, ctx, h, "steady-state", "")
	}

	flotilla(t, ctx, "window", "set", "night", "2099-01-01 02:00", "--for", "3h", "--zone", "Europe/Berlin")
	flotilla(t, ctx, "group", "set", "default", "--window", "night")
	if yes := lockUntil(t, ctx, first, "pre-reboot", "outside_window"); yes {
		t.Fatalf("%s may reboot outside its window", first.Name())
	}
	lockUntil(t, ctx, first, "steady-state", "")
	flotilla(t, ctx, "group", "set", "default", "--clear", "windows")

	for i, h := range bed.Hosts {
		lockReboot(t, ctx, h, bed.Hosts[(i+1)%len(bed.Hosts)], since)
	}
	rebooted(t, before, bed.Hosts...)
	members(t, ctx)
	t.Logf("reboot history:\n%s", flotilla(t, ctx, "reboot", "history"))
}

// lockBed makes a cluster of hosts that are there for their reboots alone, with a unit that runs before each.
func lockBed(t *testing.T, ctx context.Context) {
	t.Helper()
	for _, h := range bed.Hosts {
		if err := h.WriteFile(ctx, "/etc/systemd/system/flotilla-before-reboot@.service", 0o644, []byte(beforeUnit)); err != nil {
			t.Fatal(err)
		}
		exec(t, ctx, h, "systemctl", "daemon-reload")
	}
	exec(t, ctx, bed.Hosts[0], testbed.Installed, "init", "-o", "json", "--only", "reboots", "--fleetlock", lockAddress)
	for _, h := range bed.Hosts[1:] {
		if err := bed.Join(ctx, h, "--only", "reboots", "--fleetlock", lockAddress); err != nil {
			t.Fatal(err)
		}
	}
	members(t, ctx)
	flotilla(t, ctx, "group", "set", "default", "--max", "1", "--settle", "2s", "--return-timeout", "1m")
}

// noUnits demands that the hosts take no unit, and say why.
func noUnits(t *testing.T, ctx context.Context) {
	t.Helper()
	submit(t, ctx, map[string]string{"web.service": testbed.SleepUnit})
	flotilla(t, ctx, "start", "--no-wait", "web")
	awaitThat(t, ctx, "web.service is refused", func(ctx context.Context) error {
		list, err := testbed.Units(ctx, bed.Hosts[0], "web.service")
		if err != nil {
			return err
		}
		if len(list) != 1 || !strings.Contains(list[0].Reason, "reboots") || len(list[0].Instances) > 0 {
			return fmt.Errorf("units %+v", list)
		}
		return nil
	})
	flotilla(t, ctx, "destroy", "web")
}

// stampede has 50 clients ask at once, demands that those of one host alone are told yes, and returns that host.
func stampede(t *testing.T, ctx context.Context) *hosts.Host {
	t.Helper()
	type answer struct {
		host  *hosts.Host
		kinds []string
		err   error
	}
	answers := make(chan answer)
	for i, h := range bed.Hosts {
		go func() {
			kinds, err := lockAsk(ctx, h, "pre-reboot", []int{17, 17, 16}[i])
			answers <- answer{h, kinds, err}
		}()
	}
	var yes []*hosts.Host
	var failed error
	for range bed.Hosts {
		a := <-answers
		failed = errors.Join(failed, a.err)
		count := map[string]int{}
		for _, kind := range a.kinds {
			count[kind]++
		}
		t.Logf("%s hears %v", a.host.Name(), count)
		switch {
		case count[""] > 0:
			yes = append(yes, a.host)
		case a.err == nil && count["slots_full"]+count["drain_in_progress"]+count["store_unavailable"] != len(a.kinds):
			t.Errorf("%s hears %v, want that slots are full", a.host.Name(), count)
		}
	}
	if failed != nil {
		t.Fatal(failed)
	}
	if len(yes) != 1 {
		t.Fatalf("%d hosts may reboot at once, want one", len(yes))
	}
	return yes[0]
}

// lockReboot has the client of a host take its lock, reboot it and give the lock back, while that of another is told to wait.
func lockReboot(t *testing.T, ctx context.Context, h, other *hosts.Host, since int64) {
	t.Helper()
	boot, err := h.BootID()
	if err != nil {
		t.Fatal(err)
	}
	if !lockUntil(t, ctx, h, "pre-reboot", "") {
		t.Fatalf("%s may not reboot", h.Name())
	}
	if yes := lockUntil(t, ctx, other, "pre-reboot", "slots_full"); yes {
		t.Fatalf("%s and %s may reboot at once", h.Name(), other.Name())
	}
	lockUntil(t, ctx, other, "steady-state", "")
	ran, err := h.ReadFile(ctx, "/var/lib/before")
	if err != nil || len(strings.Fields(string(ran))) == 0 {
		t.Errorf("flotilla-before-reboot@.service of %s ran for %q, %v", h.Name(), ran, err)
	}
	_, _ = h.Exec(ctx, nil, "systemctl", "reboot") // may be killed by the shutdown that it asks for
	if err := h.AwaitBoot(ctx, boot); err != nil {
		t.Fatal(err)
	}
	lockUntil(t, ctx, h, "steady-state", "")
	record := awaitRecord(t, ctx, h, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseDone })
	t.Logf("%s: %s, away for %.1f s", h.Name(), record.Cause, record.Away)
}
