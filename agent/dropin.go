package agent

import (
	"bytes"
	"fmt"
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
