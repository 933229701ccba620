package store

import (
	"cmp"
	"fmt"

	"flotilla/cluster"
)

// putReboot applies a written key of what reboots are about. A group, window or grant that cannot be read is
// bad by itself: its hosts do not reboot, and all else goes on. So does the history without a record
// that cannot be read.
func (d *decoder) putReboot(k parsed, kv KeyValue) (err error) {
	switch k.kind {
	case kindReboots:
		d.snap.RebootsRev = kv.ModRev
		d.snap.Reboots, err = decode[cluster.RebootPolicy](kv)
	case kindNotified:
		d.snap.Notified, _ = readable[cluster.Notified](kv) // else it is told from the beginning
	case kindGroup:
		g, bad := readable[cluster.Group](kv)
		d.snap.Groups[k.name] = &cluster.GroupHead{Group: g, Name: k.name, Rev: kv.ModRev, Bad: bad}
	case kindWindow:
		w, bad := readable[cluster.Window](kv)
		d.snap.Windows[k.name] = &cluster.WindowHead{Window: w, Name: k.name, Rev: kv.ModRev, Bad: bad}
	case kindGrant:
		g, bad := readable[cluster.Grant](kv)
		if bad != "" {
			d.snap.SetGrant(k.host, nil, bad, kv.ModRev, d.clock())
			return nil
		}
		d.snap.SetGrant(k.host, &g, "", kv.ModRev, d.clock())
	case kindBooting:
		var b cluster.Booting
		if b, err = decode[cluster.Booting](kv); err == nil {
			d.snap.SetBooting(k.host, &b, kv.ModRev)
		}
	case kindHistory:
		if r, bad := readable[cluster.Record](kv); bad == "" {
			r.Rev = kv.ModRev
			d.snap.History[k.history()] = &r
		}
	default:
		err = fmt.Errorf("key %s: kind %d is not about reboots", kv.Key, int(k.kind))
	}
	return err
}

// readable is a value, or why it cannot be read.
func readable[T any](kv KeyValue) (v T, bad string) {
	v, err := decode[T](kv)
	if err != nil {
		return v, cmp.Or(err.Error(), "cannot be read")
	}
	return v, ""
}

// removeReboot applies the deletion of one.
func (d *decoder) removeReboot(k parsed) {
	switch k.kind {
	case kindReboots:
		d.snap.Reboots, d.snap.RebootsRev = cluster.RebootPolicy{}, 0
	case kindNotified:
		d.snap.Notified = cluster.Notified{}
	case kindGroup:
		delete(d.snap.Groups, k.name)
	case kindWindow:
		delete(d.snap.Windows, k.name)
	case kindGrant:
		d.snap.DeleteGrant(k.host)
	case kindBooting:
		d.snap.SetBooting(k.host, nil, 0)
	case kindHistory:
		delete(d.snap.History, k.history())
	}
}
