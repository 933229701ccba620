package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"flotilla/cluster"
)

// SavedReboots is what a Saved holds about reboots, beside what it holds of each host.
type SavedReboots struct {
	Groups  map[cluster.GroupName]SavedGroup  `json:"groups,omitempty"`
	Windows map[cluster.GroupName]SavedWindow `json:"windows,omitempty"`
	Policy  cluster.RebootPolicy              `json:"reboots,omitzero"`
	History []*cluster.Record                 `json:"history,omitempty"` // by host, then generation
}

// SavedGroup is a group with its mod revision.
type SavedGroup struct {
	cluster.Group
	Rev int64  `json:"revision"`
	Bad string `json:"bad,omitempty"`
}

// SavedWindow is a window with its mod revision.
type SavedWindow struct {
	cluster.Window
	Rev int64  `json:"revision"`
	Bad string `json:"bad,omitempty"`
}

// SavedGrant is where a host's reboot stands.
type SavedGrant struct {
	Grant      *cluster.Grant   `json:"grant,omitempty"`
	GrantRev   int64            `json:"grant_revision,omitempty"`
	GrantSeen  time.Time        `json:"grant_seen,omitzero"`
	GrantReady time.Time        `json:"grant_ready,omitzero"`
	GrantBack  time.Time        `json:"grant_back,omitzero"`
	GrantBad   string           `json:"grant_bad,omitempty"`
	Booting    *cluster.Booting `json:"booting,omitempty"`
	BootingRev int64            `json:"booting_revision,omitempty"`
}

func saveReboots(snap *cluster.Snapshot) SavedReboots {
	out := SavedReboots{Groups: map[cluster.GroupName]SavedGroup{}, Windows: map[cluster.GroupName]SavedWindow{}, Policy: snap.Reboots}
	out.Policy.Webhook = "" // the planner does not look at it, and it may hold a secret
	for name, g := range snap.Groups {
		out.Groups[name] = SavedGroup{g.Group, g.Rev, g.Bad}
	}
	for name, w := range snap.Windows {
		out.Windows[name] = SavedWindow{w.Window, w.Rev, w.Bad}
	}
	out.History = slices.SortedFunc(maps.Values(snap.History), func(a, b *cluster.Record) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Generation, b.Generation))
	})
	return out
}

// restore puts it into a snapshot.
func (s *SavedReboots) restore(into *cluster.Snapshot) {
	for name, g := range s.Groups {
		into.Groups[name] = &cluster.GroupHead{Group: g.Group, Name: name, Rev: g.Rev, Bad: g.Bad}
	}
	for name, w := range s.Windows {
		into.Windows[name] = &cluster.WindowHead{Window: w.Window, Name: name, Rev: w.Rev, Bad: w.Bad}
	}
	into.Reboots = s.Policy
	for _, r := range s.History {
		if r != nil {
			into.History[cluster.HistoryKey{Host: r.Host, Generation: r.Generation}] = r
		}
	}
}

func saveGrant(h *cluster.Host) SavedGrant {
	return SavedGrant{h.Grant, h.GrantRev, h.GrantSeen, h.GrantReady, h.GrantBack, h.GrantBad, h.Booting, h.BootingRev}
}

// restore puts it into a host.
func (g *SavedGrant) restore(into *cluster.Host) {
	into.Grant, into.GrantRev, into.GrantSeen, into.GrantBad = g.Grant, g.GrantRev, g.GrantSeen, g.GrantBad
	into.GrantReady, into.GrantBack = g.GrantReady, g.GrantBack
	into.Booting, into.BootingRev = g.Booting, g.BootingRev
}
