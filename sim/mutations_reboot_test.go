package sim

import (
	"context"
	"strings"

	"flotilla/cluster"
	"flotilla/cluster/store"
)

// rebootMutations are defects in how hosts reboot.
func rebootMutations() []mutation {
	return []mutation{
		{"a grant is used on what was read before", "traps", 40, func() seams { return seams{backend: func(b store.Backend) store.Backend { return reader{b} }} }, 14},
		{"taking a grant back does not compare its use", "traps", 60, func() seams { return edited(withoutUse) }, 0},
		{"nobody heeds hosts that go down", "typed", 60, func() seams { return misleading(nobodyGoes) }, 3},
		{"windows are not looked at again", "windows", 10, func() seams { return misleading(allFinish) }, 0},
		{"a slot is free in the boot that was to end", "rolls", 10, func() seams { return misleading(backAtOnce) }, 0},
		{"a host that reboots is failed over", "rolls", 20, func() seams { return misleading(nobodyMayGo) }, 0},
		{"a reboot rests on no operator's word", "people", 60, func() seams { return edited(withoutHosts) }, 8},
	}
}

// reader uses grants without comparing that they still stand.
type reader struct{ store.Backend }

func (r reader) Txn(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	uses := false
	for _, op := range t.Then {
		uses = uses || strings.HasPrefix(op.Key, prefix+"boot/")
	}
	var kept []store.Compare
	for _, c := range t.If {
		if !uses || !strings.HasSuffix(c.Key, "/grant") {
			kept = append(kept, c)
		}
	}
	t.If = kept
	return r.Backend.Txn(ctx, t)
}

func withoutUse(o cluster.Orders) cluster.Orders {
	return without(o, func(c cluster.Condition) bool { return c.Kind == cluster.BootingAt })
}

// nobodyGoes hides who is going down.
func nobodyGoes(s *cluster.Snapshot) {
	for _, h := range s.Hosts {
		if h.Info == nil || h.Info.Reboot == nil || h.Info.Reboot.Down == nil {
			continue
		}
		info, report := *h.Info, *h.Info.Reboot
		report.Down = nil
		info.Reboot = &report
		h.Info = &info
	}
}

// allFinish lets what began in a window end after it.
func allFinish(s *cluster.Snapshot) {
	for name, g := range s.Groups {
		next := *g
		next.Finish = true
		s.Groups[name] = &next
	}
}

// backAtOnce takes a host that is still going down for one that is back.
func backAtOnce(s *cluster.Snapshot) {
	for _, h := range s.Hosts {
		if h.Grant != nil && h.Grant.Phase == cluster.PhaseRebooting {
			next := *h.Grant
			next.Boot = cluster.Boot{ID: "another"}
			h.Grant = &next
		}
	}
}

// nobodyMayGo hides which hosts are away because they may.
func nobodyMayGo(s *cluster.Snapshot) {
	for _, h := range s.Hosts {
		if h.Alive == nil && h.Grant != nil && h.Grant.Phase.Away() {
			h.Grant, h.GrantRev = nil, 0
		}
	}
}
