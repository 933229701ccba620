package agent

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// DropInName is the drop-in that holds all that we add to a unit.
const DropInName = "50-flotilla.conf"

// dropInMark begins the line that tells a person which order a drop-in was
// written for. It is left out of comparisons: a new generation alone changes
// no file, and so needs no reload.
const dropInMark = "# flotilla: "

// DropIn renders the drop-in of a placement: identity for every service; for a fenced
// one also its ties to the fence and the token that only grows. budget is how long a
// fenced unit may take to stop.
func DropIn(host cluster.HostID, unit cluster.Unit, p cluster.Placement, budget time.Duration) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%sgeneration=%d blob=%s\n", dropInMark, p.Generation, p.Blob)
	if p.Fence {
		fmt.Fprintf(&b, "[Unit]\nRequisite=%[1]s\nPartOf=%[1]s\nAfter=%[1]s\n", FenceTarget)
	}
	if unit.Type() != "service" {
		return []byte(b.String())
	}
	fmt.Fprintf(&b, "[Service]\nEnvironment=FLOTILLA_HOST=%s FLOTILLA_UNIT=%s\n", host, escape(string(unit)))
	stop := p.StopWithin
	if p.Fence {
		fmt.Fprintf(&b, "Environment=FLOTILLA_FENCE=%d\nSendSIGKILL=yes\n", p.Generation)
		if stop <= 0 || stop > budget {
			stop = budget
		}
	}
	if stop > 0 {
		fmt.Fprintf(&b, "TimeoutStopSec=%dms\n", stop.Milliseconds())
	}
	return []byte(b.String())
}

// escape protects the backslashes that unit names may hold from Environment=.
func escape(name string) string { return strings.ReplaceAll(name, `\`, `\\`) }

// dropInBody is what systemd reads of a drop-in.
func dropInBody(dropIn []byte) []byte {
	if !bytes.HasPrefix(dropIn, []byte(dropInMark)) {
		return dropIn
	}
	_, body, _ := bytes.Cut(dropIn, []byte{'\n'})
	return body
}

// fencedDropIn reports whether a drop-in ties its unit to the fence.
func fencedDropIn(dropIn []byte) bool {
	return bytes.Contains(dropIn, []byte("Requisite="+FenceTarget+"\n"))
}

// bundleOf is the hash of a user's drop-ins as one content, "" of none.
func bundleOf(d units.DropIns) units.Hash {
	bundle, err := d.Bundle()
	if err != nil || bundle == nil {
		return ""
	}
	return units.HashOf(bundle)
}

// writeDropIns makes the user's drop-ins of a unit exactly these: it removes what went and writes what differs.
func (a *Agent) writeDropIns(name cluster.Unit, want units.DropIns) error {
	is := map[string][]byte{}
	for _, d := range a.files[name].DropIns {
		is[d.Name] = d.Raw
	}
	for _, d := range a.files[name].DropIns {
		if slices.ContainsFunc(want, func(w units.DropIn) bool { return w.Name == d.Name }) {
			continue
		}
		if err := a.step("remove drop-in"); err != nil {
			return err
		}
		if err := a.doors.Files.RemoveDropIn(string(name), d.Name); err != nil {
			return err
		}
	}
	for _, d := range want {
		if raw, there := is[d.Name]; there && bytes.Equal(raw, d.Raw) {
			continue
		}
		if d.Name == DropInName {
			return fmt.Errorf("drop-in %s is flotilla's own", d.Name)
		}
		if err := a.step("write drop-in"); err != nil {
			return err
		}
		if err := a.doors.Files.WriteDropIn(string(name), d.Name, d.Raw); err != nil {
			return err
		}
	}
	return nil
}
